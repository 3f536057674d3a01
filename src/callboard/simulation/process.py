"""What runs on a simulated device, step by step: time passes, answers come, it goes on."""

from collections.abc import Callable, Generator
from enum import Enum
from typing import Protocol


class Need(Enum):
    """What a process waits for besides time."""

    ANSWER = "the answer to its call"
    OTHERS = "the end of what it has put into the background"


class Awaited(Protocol):
    """Something that goes on outside of the device."""

    def begin(self, ended: Callable[[bool], None]) -> None:
        """Begin it; `ended` is told whether it was a success."""
        ...


Step = float | Need | Awaited | None
"""What a process waits for before it goes on: seconds, something that others do, something that
goes on outside of the device, or, with None, only that the device lets it."""

Course = Generator[Step, bool, int]
"""What a process does; it is sent whether what it has waited for was a success."""


class Process:
    """Something that runs on a device.

    Args:
        course: What it does; its value is the exit status.
        after: Calls a function when so many seconds have passed on the device.
        ended: Is told the exit status.

    Attributes:
        needs: What it waits for, None while time passes for it.
    """

    def __init__(
        self,
        course: Course,
        after: Callable[[float, Callable[[], None]], None],
        ended: Callable[[int], None],
    ) -> None:
        self.needs: Need | None = None
        self._course = course
        self._after = after
        self._ended = ended
        self._over = False

    def start(self) -> None:
        """Run up to where it has to wait."""
        self._advance(lambda: next(self._course))

    def resume(self, *, success: bool) -> None:
        """Go on, for what it waits for has come."""
        self.needs = None
        self._advance(lambda: self._course.send(success))

    def stop(self) -> None:
        """End it where it is; nobody is told."""
        self._over = True

    def _advance(self, go: Callable[[], Step]) -> None:
        while not self._over:
            try:
                step = go()
            except StopIteration as end:
                self._over = True
                self._ended(end.value)
                return
            if isinstance(step, Need):
                self.needs = step
                return
            if not (step is None or isinstance(step, int | float)):
                step.begin(self._come)
                return
            if step is None or step > 0:
                self._after(step or 0.0, self._pass)
                return
            go = lambda: self._course.send(True)  # noqa: E731 - no time has passed

    def _come(self, success: bool) -> None:
        self._after(0.0, lambda: self.resume(success=success))

    def _pass(self) -> None:
        self._advance(lambda: self._course.send(True))
