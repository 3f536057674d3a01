"""The ref of an actor at the other end of a link."""

import asyncio
from typing import TYPE_CHECKING, TypeVar

from callboard.runtime.errors import MailboxFull
from callboard.runtime.messages import Request
from callboard.runtime.ref import ActorRef, Reply

if TYPE_CHECKING:
    from callboard.runtime.sender import Sender

M = TypeVar("M")
R = TypeVar("R")


class RemoteRef(ActorRef[M]):
    """The ref of an actor at the other end of a link.

    Args:
        sender: This end of the link; all refs over it share its order and its room.
        address: See `ActorRef.address`.
        to: What the actor is called at the other end, empty where the link has but one.
    """

    __slots__ = ("_address", "_sender", "to")

    def __init__(self, sender: "Sender", address: str, to: str = "") -> None:
        self._sender = sender
        self._address = address
        self.to = to

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self._address

    @property
    def gone(self) -> bool:
        """Whether the actor is known to have ended: what is sent to it ends with ActorStopped."""
        return False

    async def tell(self, message: M) -> None:
        """See `ActorRef.tell`; waits while too many messages are on their way."""
        await self._sender.wait_for_room()
        self._sender.put(self, message, None)

    def tell_nowait(self, message: M) -> None:
        """See `ActorRef.tell_nowait`."""
        if not self._sender.has_room:
            raise MailboxFull(self._address)
        self._sender.put(self, message, None)

    async def ask(self, request: Request[R], timeout_s: float | None = None) -> R:
        """See `ActorRef.ask`; doesn't wait for room, for an asker has one request at a time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        reply = Reply(request, future)
        timer = None
        if timeout_s is not None:
            timer = loop.call_later(timeout_s, reply.expire, self._address, timeout_s)
        sent = self._sender.put(self, request, reply)
        try:
            return await future
        finally:
            if timer is not None:
                timer.cancel()
            self._sender.forget(sent)

    def deliver(self, reply: Reply[R]) -> None:
        """See `ActorRef.deliver`."""
        if self._sender.has_room:
            self._sender.put(self, reply.message, reply)
        else:
            reply.fail(MailboxFull(self._address))

    async def stop(self) -> None:
        """Refused, like `cancel`: an actor that is far away is ended by its own parent."""
        raise RuntimeError(f"{self._address} can't be ended over a link; its parent does that")

    async def cancel(self) -> None:
        """Refused, see `stop`."""
        await self.stop()

    def fail(self, error: Exception) -> None:
        """Refused, see `stop`."""
        raise RuntimeError(f"{self._address} can't be failed over a link") from error
