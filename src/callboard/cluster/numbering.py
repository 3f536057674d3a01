"""Which number of a group's log the event of a host has.

Hosts number their events themselves, for one names another as its cause before the leader has
seen either. The numbers of a host begin above a base of its own, so that a number alone says whose
it is.
"""

from bisect import bisect_right
from collections.abc import Iterable

HOST_SEQ_BASE = 1 << 40
"""No log has as many events; a greater number is a host's own."""


def base_of(jobs: Iterable[int]) -> int:
    """What the numbers of a host begin above, which has these jobs of a group and no other host."""
    return HOST_SEQ_BASE * (1 + min(jobs))


class Numbering:
    """The numbers that events of one host have got, mostly in runs; without the host's base."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._seqs: list[int] = []
        self._counts: list[int] = []

    @property
    def next(self) -> int:
        """The number of the first event that has not come yet."""
        return self._firsts[-1] + self._counts[-1] if self._firsts else 1

    def add(self, number: int, seq: int) -> None:
        """The event of this number, which is no less than `next`, is `seq` in the log."""
        if self._firsts and number == self.next and seq == self._seqs[-1] + self._counts[-1]:
            self._counts[-1] += 1
        else:
            self._firsts.append(number)
            self._seqs.append(seq)
            self._counts.append(1)

    def of(self, number: int) -> int | None:
        """What an event is in the log, None for one that has not come."""
        run = bisect_right(self._firsts, number) - 1
        if run < 0 or number >= self._firsts[run] + self._counts[run]:
            return None
        return self._seqs[run] + number - self._firsts[run]
