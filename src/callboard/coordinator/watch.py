"""Tells of what comes on connections that mostly live for one request.

The loop's own readers cost more than all else about such a connection, so it has one reader for
all of them. And it stays with them for a moment when nothing is left to be done: who has connected
says at once what it wants, and who has its answer often comes again.
"""

import os
import select
from asyncio import AbstractEventLoop
from collections.abc import Callable

_AT_ONCE = 64
_MOMENT_S = 0.001
_AWAKE_S = 0.0001
"""How long it doesn't sleep meanwhile, for to be woken takes longer than to be asked again."""

_TURN_S = 0.005
"""How long others on the loop have to wait for their turn at most, in seconds."""

_RESETS = 0
"""To ask for nothing is to be told of errors and hang-ups; those are always reported."""


class Watch:
    """Looks after descriptors.

    Args:
        loop: The loop on which it tells of them.
        hurry: Whether something else on the loop is to be done without delay.
    """

    def __init__(self, loop: AbstractEventLoop, hurry: Callable[[], bool]) -> None:
        self._loop = loop
        self._hurry = hurry
        self._acts: dict[int, Callable[[], object]] = {}
        self._fresh: set[int] = set()
        self._poll = select.epoll()
        loop.add_reader(self._poll.fileno(), self._look)

    def data(self, descriptor: int, act: Callable[[], object]) -> None:
        """Call `act` whenever something can be read, or a connection accepted."""
        self._add(descriptor, select.EPOLLIN, act)

    def reset(self, descriptor: int, act: Callable[[], object]) -> None:
        """Call `act` if the peer resets the connection, as long as it isn't forgotten.

        A client shuts its side down once it has asked, so that the end of what it sends does not
        say that it has gone; a reset does.
        """
        self._add(descriptor, _RESETS, act)

    def _add(self, descriptor: int, events: int, act: Callable[[], object]) -> None:
        self._acts[descriptor] = act
        self._fresh.add(descriptor)
        self._poll.register(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Look after it no longer, if it is; that has to be said before it is closed."""
        if self._acts.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def close(self) -> None:
        """Look after nothing any more."""
        self._loop.remove_reader(self._poll.fileno())
        self._poll.close()

    def _look(self) -> None:
        until_s = self._loop.time() + _TURN_S
        ready = self._poll.poll(0, _AT_ONCE)
        while ready:
            self._fresh.clear()
            for descriptor, _ in ready:
                # One that has come since, under the number of another, has had no event yet.
                if descriptor not in self._fresh and (act := self._acts.get(descriptor)):
                    act()
            if self._poll.closed or self._hurry() or self._loop.time() >= until_s:
                return
            ready = self._linger()

    def _linger(self) -> list[tuple[int, int]]:
        """What comes within a moment."""
        until_s = self._loop.time() + _AWAKE_S
        while self._loop.time() < until_s:
            if ready := self._poll.poll(0, _AT_ONCE):
                return ready
            os.sched_yield()
        return self._poll.poll(_MOMENT_S, _AT_ONCE)
