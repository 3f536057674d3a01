"""The journal of a host: its events on their way to the leader."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from attrs import evolve

from callboard.cluster.messages import Emitted
from callboard.events import Body, Event, Message, encode
from callboard.runtime import ActorRef, MailboxFull, Reply, Request

M = TypeVar("M")
R = TypeVar("R")

_MOST_UNDER_WAY = 8
"""Parts on their way at a time; what comes meanwhile makes fewer and larger ones."""

PATIENCE_S = 0.005
"""Seconds that events wait for others: what has led to them is done with at the nodes first."""

_PAUSE_S = 0.2
"""Pause before a part is put again for which there was no room."""


class Reporter:
    """A sink of a host's journal: tells the leader what happened, in order, and never waits.

    Events that nothing follows from yet wait a moment, so that nodes have their answers before
    anybody puts into words that they have. While the leader can't be reached the events are kept.
    The journal's numbers begin above a base of the host's own, see `numbering`:
    `Journal(..., seq=base_of(jobs))`.

    Args:
        recorder: Who takes them at the leader.
        most_bytes: How large an event may be, and about how large a message with many gets; an
            event that is larger is replaced by one that says so.
    """

    def __init__(self, recorder: ActorRef[Emitted], *, most_bytes: int) -> None:
        self._recorder = recorder
        self._most_bytes = most_bytes
        self._new: list[Event] = []
        self._kept: deque[str] = deque()
        self._next = 1
        self._under_way = 0
        self._timer: asyncio.Handle | None = None
        self._closed = False

    def __call__(self, event: Event) -> None:
        """Take the next event of the journal."""
        if self._closed:
            return
        self._new.append(event)
        if self._timer is None and self._under_way < _MOST_UNDER_WAY:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._go_on)

    def behind(self, ref: ActorRef[M]) -> ActorRef[M]:
        """The same actor at the leader, which knows what happened before a message to it."""
        return _Behind(ref, self.flush)

    def flush(self) -> None:
        """Put what is kept on its way now, unless the link has no room at all."""
        self._write()
        while self._kept and self._put():
            pass

    def close(self) -> None:
        """Tell nothing any more."""
        self._closed = True
        self._new.clear()
        self._kept.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        self._write()
        while self._kept and self._under_way < _MOST_UNDER_WAY and self._put():
            pass

    def _write(self) -> None:
        """Put what is new into words."""
        new, self._new = self._new, []
        for event in new:
            line = encode(event)
            if len(line) > self._most_bytes:
                line = encode(evolve(event, body=_too_large(event, len(line))))
            self._kept.append(line.decode())

    def _put(self) -> bool:
        """Put as much as goes into a message; whether there was room."""
        loop = asyncio.get_running_loop()
        lines = tuple(self._first())
        answer: asyncio.Future[None] = loop.create_future()
        self._recorder.deliver(Reply(Emitted(self._next, lines), answer))
        if answer.done() and isinstance(answer.exception(), MailboxFull):
            if self._timer is None:
                self._timer = loop.call_later(_PAUSE_S, self._go_on)
            return False
        for _ in lines:
            self._kept.popleft()
        self._next += len(lines)
        self._under_way += 1
        answer.add_done_callback(self._settled)
        return True

    def _first(self) -> Iterator[str]:
        size = 0
        for line in self._kept:
            size += len(line)
            if size > max(self._most_bytes, len(line)):
                return
            yield line

    def _settled(self, answer: "asyncio.Future[None]") -> None:
        answer.exception()  # where nobody takes events any more the group is over
        self._under_way -= 1
        if self._timer is None and (self._kept or self._new):
            self._timer = asyncio.get_running_loop().call_soon(self._go_on)


def _too_large(event: Event, size: int) -> Body:
    text = f"an event is too large for the cluster and is left out: `{event.kind}`, {size:,} bytes"
    return Message(getattr(event.body, "job", 0), "warning", text)


class _Behind(ActorRef[M]):
    """A ref that has something done before each message."""

    __slots__ = ("_before", "_ref")

    def __init__(self, ref: ActorRef[M], before: Callable[[], None]) -> None:
        self._ref = ref
        self._before = before

    @property
    def address(self) -> str:
        return self._ref.address

    async def tell(self, message: M) -> None:
        self._before()
        await self._ref.tell(message)

    def tell_nowait(self, message: M) -> None:
        self._before()
        self._ref.tell_nowait(message)

    def ask(self, request: Request[R], timeout_s: float | None = None) -> Awaitable[R]:
        self._before()
        return self._ref.ask(request, timeout_s)

    def deliver(self, reply: Reply[R]) -> None:
        self._before()
        self._ref.deliver(reply)

    async def stop(self) -> None:
        await self._ref.stop()

    async def cancel(self) -> None:
        await self._ref.cancel()

    def fail(self, error: Exception) -> None:
        self._ref.fail(error)
