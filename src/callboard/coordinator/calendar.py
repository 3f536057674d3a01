"""Dates, for what is to be known after a restart: a clock that only counts begins anew then."""

import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Calendar:
    """Makes dates of the times of an exchange, and back.

    Attributes:
        now_s: The exchange's clock, in seconds.
        machine_s: The machine's, in seconds since 1970.
    """

    now_s: Callable[[], float]
    machine_s: Callable[[], float] = time.time

    def date(self, time_s: float) -> int:
        """The date of a time of the exchange, in seconds since 1970."""
        return round(self.machine_s() - (self.now_s() - time_s))

    def time_s(self, date: int) -> float:
        """The time of a date, which may be before the exchange's clock began.

        It is never later than now, whatever was done to the machine's clock.
        """
        return self.now_s() - max(0.0, self.machine_s() - date)
