"""The ref of an actor that lives in this process."""

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from callboard.runtime.errors import ActorStopped, MailboxFull
from callboard.runtime.messages import Request, Terminated
from callboard.runtime.ref import ActorRef, Reply, Watcher

if TYPE_CHECKING:
    from callboard.runtime.cell import Cell

R = TypeVar("R")


class LocalRef(ActorRef[Any]):
    """The ref of an actor in this process."""

    __slots__ = ("_make_future", "_put", "cell")

    def __init__(self, cell: "Cell") -> None:
        self.cell = cell
        # To look these up each time takes a tenth of a microsecond.
        self._put = cell.sender.send_nowait
        self._make_future = cell.system.loop.create_future

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self.cell.address

    async def tell(self, message: object) -> None:
        """See `ActorRef.tell`."""
        cell = self.cell
        try:
            try:
                self._put(message)
            except anyio.WouldBlock:
                await cell.sender.send(message)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            cell.system.dead_letter(cell.address, message)
        if cell.idle:
            cell.system.workers.put(cell)

    def tell_nowait(self, message: object) -> None:
        """See `ActorRef.tell_nowait`."""
        try:
            self._put(message)
        except anyio.WouldBlock:
            raise MailboxFull(self.address) from None
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.cell.system.dead_letter(self.address, message)
        if self.cell.idle:
            self.cell.system.workers.put(self.cell)

    def ask(self, request: Request[R], timeout_s: float | None = None) -> Awaitable[R]:
        """See `ActorRef.ask`."""
        cell = self.cell
        if cell.ending:
            raise ActorStopped(cell.address)
        if cell.task is not None and cell.serving:  # mostly nobody serves it: no look at the loop
            raise RuntimeError(f"{cell.address} can't ask itself: it would never answer")
        future: asyncio.Future[R] = self._make_future()
        reply = Reply(request, future)
        if timeout_s is not None:
            timer = cell.system.loop.call_later(timeout_s, reply.expire, cell.address, timeout_s)
            future.add_done_callback(lambda _future: timer.cancel())
        try:
            self._put(reply)
        except anyio.WouldBlock:
            return self._ask_when_there_is_room(reply, future)
        if cell.idle:
            cell.system.workers.put(cell)
        return future  # and no coroutine around it, which would take a tenth of the time

    async def _ask_when_there_is_room(self, reply: Reply[R], future: "asyncio.Future[R]") -> R:
        try:
            await self._queue(reply, future)
            if self.cell.idle:
                self.cell.system.workers.put(self.cell)
            return await future
        finally:
            future.cancel()  # for its timer, where the asker was cancelled before it was queued

    async def _queue(self, reply: Reply[R], future: "asyncio.Future[R]") -> None:
        """Put a request into the full mailbox; returns when it is in, or has been settled."""
        with anyio.CancelScope() as scope:
            future.add_done_callback(lambda _future: scope.cancel())
            try:
                await self.cell.sender.send(reply)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                reply.fail(ActorStopped(self.address))

    def deliver(self, reply: Reply[R]) -> None:
        """See `ActorRef.deliver`."""
        cell = self.cell
        if cell.ending:
            reply.fail(ActorStopped(cell.address))
            return
        try:
            self._put(reply)
        except anyio.WouldBlock:
            reply.fail(MailboxFull(cell.address))
        if cell.idle:
            cell.system.workers.put(cell)

    def add_watcher(self, watcher: Watcher) -> None:
        """See `ActorRef.add_watcher`."""
        if self.cell.ended:
            watcher.post(Terminated(self))
        else:
            self.cell.watchers[watcher] = None

    def remove_watcher(self, watcher: Watcher) -> None:
        """See `ActorRef.remove_watcher`."""
        self.cell.watchers.pop(watcher, None)

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

    def fail(self, error: Exception) -> None:
        """See `ActorRef.fail`."""
        self.cell.fail(error)

    def _refuse_own_end(self) -> None:
        if self.cell.serving:
            raise RuntimeError(f"{self.address} can't wait for its own end; use context.stop()")
