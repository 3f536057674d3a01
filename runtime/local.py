"""The ref of an actor that lives in this process."""

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from callboard.runtime.errors import ActorStopped, MailboxFull
from callboard.runtime.messages import Request
from callboard.runtime.ref import ActorRef, Reply

if TYPE_CHECKING:
    from callboard.runtime.cell import Cell

R = TypeVar("R")


class LocalRef(ActorRef[Any]):
    """The ref of an actor in this process."""

    __slots__ = ("_put", "cell")

    def __init__(self, cell: "Cell") -> None:
        self.cell = cell
        self._put = cell.sender.send_nowait

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self.cell.address

    async def tell(self, message: object) -> None:
        """See `ActorRef.tell`."""
        try:
            self._put(message)
        except anyio.WouldBlock:
            try:
                await self.cell.sender.send(message)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.cell.system.dead_letter(self.address, message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.cell.system.dead_letter(self.address, message)

    def tell_nowait(self, message: object) -> None:
        """See `ActorRef.tell_nowait`."""
        try:
            self._put(message)
        except anyio.WouldBlock:
            raise MailboxFull(self.address) from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.cell.system.dead_letter(self.address, message)

    async def ask(self, request: Request[R], timeout_s: float | None = None) -> R:
        """See `ActorRef.ask`."""
        cell = self.cell
        if cell.ending:
            raise ActorStopped(cell.address)
        if cell.serving:
            raise RuntimeError(f"{cell.address} can't ask itself: it would never answer")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        reply = Reply(request, future)
        timer = cell.expire_after(timeout_s, reply) if timeout_s is not None else None
        try:
            try:
                cell.sender.send_nowait(reply)
            except anyio.WouldBlock:
                await cell.queue(reply, future)
            return await future
        finally:
            if timer is not None:
                timer.cancel()

    async def stop(self) -> None:
        """See `ActorRef.stop`."""
        self._refuse_own_end()
        self.cell.request_stop()
        await self.cell.wait_ended()

    async def cancel(self) -> None:
        """See `ActorRef.cancel`."""
        self._refuse_own_end()
        self.cell.request_cancel()
        await self.cell.wait_ended()

    def _refuse_own_end(self) -> None:
        if self.cell.serving:
            raise RuntimeError(f"{self.address} can't wait for its own end; use context.stop()")
