"""The end of a link for those who send."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from attrs import define

from callboard.runtime.errors import ActorStopped, MailboxFull
from callboard.runtime.messages import DeadLetter, Outcome, Request
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.transport import Confirmed, Envelope, Message, Received, Resender, Settled

M = TypeVar("M")
R = TypeVar("R")


@define(eq=False)
class _Sent:
    """A message that isn't settled; `reply` is None for one that was told."""

    body: Any
    reply: Reply[Any] | None

    @property
    def wanted(self) -> bool:
        """Whether anybody still wants it handled."""
        return self.reply is None or self.reply.open


class Sender(ActorRef[M]):
    """The end of those who send."""

    __slots__ = (
        "_address",
        "_closed",
        "_last",
        "_new",
        "_on_dead_letter",
        "_room",
        "_send",
        "_sent",
        "_unheard",
        "_window",
    )

    def __init__(
        self,
        address: str,
        send: Callable[[Envelope], None],
        resend_s: float,
        window: int,
        on_dead_letter: Callable[[DeadLetter], None],
    ) -> None:
        self._address = address
        self._send = send
        self._window = window
        self._on_dead_letter = on_dead_letter
        self._closed = False
        self._last = 0
        self._sent: dict[int, _Sent] = {}
        self._new: dict[int, None] = {}  # in order, and never heard of
        self._unheard = Resender(resend_s, self._transmit)
        self._room: anyio.Event | None = None

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self._address

    async def tell(self, message: M) -> None:
        """See `ActorRef.tell`; waits while too many messages are on their way."""
        while len(self._new) >= self._window:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()
        self._put(message, None)

    def tell_nowait(self, message: M) -> None:
        """See `ActorRef.tell_nowait`."""
        if len(self._new) >= self._window:
            raise MailboxFull(self._address)
        self._put(message, None)

    async def ask(self, request: Request[R], timeout_s: float | None = None) -> R:
        """See `ActorRef.ask`; doesn't wait for room, for an asker has one request at a time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        reply = Reply(request, future)
        timer = None
        if timeout_s is not None:
            timer = loop.call_later(timeout_s, reply.expire, self._address, timeout_s)
        number = self._put(request, reply)
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()
            self._forget(number)

    def deliver(self, reply: Reply[R]) -> None:
        """See `ActorRef.deliver`."""
        if len(self._new) >= self._window:
            reply.fail(MailboxFull(self._address))
        else:
            self._put(reply.message, reply)

    async def stop(self) -> None:
        """Refused, like `cancel`: an actor that is far away is ended by its own parent."""
        raise RuntimeError(f"{self._address} can't be ended over a link; its parent does that")

    async def cancel(self) -> None:
        """Refused, see `stop`."""
        await self.stop()

    def fail(self, error: Exception) -> None:
        """Refused, see `stop`."""
        raise RuntimeError(f"{self._address} can't be failed over a link") from error

    def close(self) -> None:
        """Send nothing any more."""
        self._closed = True
        self._unheard.clear()
        left, self._sent = self._sent, {}
        self._new.clear()
        self._make_room()
        for each in left.values():
            self._give(each, Outcome(error=ActorStopped(self._address)))

    def arrive(self, envelope: Envelope) -> None:
        """Take what the other end has sent."""
        if self._closed:
            return
        match envelope:
            case Received(number):
                self._heard(number)
            case Settled(number, outcome):
                sent = self._sent.get(number)
                self._forget(number)
                if sent is not None:
                    self._give(sent, outcome)
                self._send(Confirmed(number))
            case _:
                raise TypeError(f"{envelope!r} came to the wrong end")

    def _put(self, body: object, reply: Reply[Any] | None) -> int:
        self._last += 1
        number, sent = self._last, _Sent(body, reply)
        if self._closed:
            self._give(sent, Outcome(error=ActorStopped(self._address)))
            return number
        self._sent[number] = sent
        self._new[number] = None
        self._unheard.expect(number)
        self._transmit(number)
        return number

    def _transmit(self, number: int) -> None:
        sent = self._sent[number]
        if sent.wanted:
            floor = next(iter(self._new), self._last + 1)
            self._send(Message(number, floor, sent.body))
        else:
            self._forget(number)

    def _give(self, sent: _Sent, outcome: Outcome[Any]) -> None:
        if sent.reply is None:
            if isinstance(outcome.error, ActorStopped):
                self._on_dead_letter(DeadLetter(self._address, sent.body))
        elif outcome.error is None:
            sent.reply.send(outcome.value)
        else:
            sent.reply.fail(outcome.error)

    def _forget(self, number: int) -> None:
        if self._sent.pop(number, None) is not None:
            self._heard(number)

    def _heard(self, number: int) -> None:
        self._unheard.heard(number)
        self._new.pop(number, None)
        self._make_room()

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None
