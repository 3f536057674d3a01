"""Many who have to be done within the same time, looked after by one timer."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """Those who have joined and not left yet, the earliest first.

    To join, to leave, and to look who is first costs the same for any number of them.

    Args:
        loop: The loop whose clock counts.
        limit_s: How long one may stay, in seconds.
        late: Told of each who has stayed so long; has them leave.
    """

    def __init__(self, loop: AbstractEventLoop, limit_s: float, late: Callable[[T], None]) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._late = late
        self._since_s: dict[T, float] = {}
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._since_s)

    def __contains__(self, one: object) -> bool:
        return one in self._since_s

    def __iter__(self) -> Iterator[T]:
        return iter(self._since_s)

    @property
    def first(self) -> T | None:
        """Who has been there for the longest; None if nobody is."""
        return next(iter(self._since_s), None)

    def join(self, one: T) -> None:
        """Stand in line from now on."""
        now_s = self._loop.time()
        self._since_s[one] = now_s
        if self._timer is None:
            self._timer = self._loop.call_at(now_s + self._limit_s, self._look)

    def leave(self, one: T) -> None:
        """Stand in line no longer; nothing happens if they don't."""
        self._since_s.pop(one, None)

    def close(self) -> None:
        """Have no timer any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        due_s = self._loop.time() - self._limit_s
        late = []
        for one, since_s in self._since_s.items():
            if since_s > due_s:
                self._timer = self._loop.call_at(since_s + self._limit_s, self._look)
                break
            late.append(one)
        for one in late:
            if one in self._since_s:
                self._late(one)
                self.leave(one)
