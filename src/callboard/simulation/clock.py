"""The time of a simulated device, which can run slower than that of the others, or stand still."""

import asyncio
from collections.abc import Callable

from attrs import define


@define(eq=False)
class _Alarm:
    """Something to do when so much time has passed; `handle` while the clock goes."""

    left_s: float
    call: Callable[[], None]
    handle: asyncio.TimerHandle | None = None
    due_s: float = 0.0


class DeviceClock:
    """Counts time for one device."""

    def __init__(self) -> None:
        self._alarms: dict[_Alarm, None] = {}
        self._factor = 1.0
        self._stopped = 0

    @property
    def stopped(self) -> bool:
        """Whether it stands still."""
        return self._stopped > 0

    def after(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function when so much time has passed here."""
        alarm = _Alarm(delay_s, call)
        self._alarms[alarm] = None
        if not self._stopped:
            self._arm(alarm)

    def stop(self) -> None:
        """Stand still; as often as it is stopped it has to be started before it goes on."""
        self._stopped += 1
        if self._stopped == 1:
            self._hold()

    def start(self) -> None:
        """Go on."""
        self._stopped -= 1
        if not self._stopped:
            self._release()

    def slow(self, factor: float) -> None:
        """From now on everything takes `factor` times as long as now."""
        if not self._stopped:
            self._hold()
        self._factor *= factor
        if not self._stopped:
            self._release()

    def clear(self) -> None:
        """Forget everything that was to be done."""
        for alarm in self._alarms:
            if alarm.handle is not None:
                alarm.handle.cancel()
        self._alarms.clear()

    def _arm(self, alarm: _Alarm) -> None:
        loop = asyncio.get_running_loop()
        delay_s = alarm.left_s * self._factor
        alarm.due_s = loop.time() + delay_s
        alarm.handle = loop.call_later(delay_s, self._ring, alarm)

    def _ring(self, alarm: _Alarm) -> None:
        del self._alarms[alarm]
        alarm.call()

    def _hold(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for alarm in self._alarms:
            if alarm.handle is not None:
                alarm.handle.cancel()
                alarm.handle = None
                alarm.left_s = max(0.0, alarm.due_s - now_s) / self._factor

    def _release(self) -> None:
        for alarm in self._alarms:
            self._arm(alarm)
