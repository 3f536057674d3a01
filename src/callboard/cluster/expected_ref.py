"""A ref of an actor that is still to come."""

import asyncio
from typing import Any, TypeVar

from callboard.runtime import ActorRef, Reply, Request

R = TypeVar("R")


class ExpectedRef(ActorRef[Any]):
    """Keeps what comes for an actor until it is there.

    Workers speak to a group's new leader as soon as they have heard of it, and the group's actors
    are not there before the workers have answered.

    Args:
        address: What the actor will be called.
    """

    __slots__ = ("_actor", "_address", "_kept")

    def __init__(self, address: str) -> None:
        self._address = address
        self._actor: ActorRef[Any] | None = None
        self._kept: list[Reply[Any]] = []

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self._address

    def meet(self, actor: ActorRef[Any]) -> None:
        """The actor is there: it gets what has come for it, and all that comes from now on."""
        self._actor = actor
        kept, self._kept = self._kept, []
        for reply in kept:
            actor.deliver(reply)

    async def tell(self, message: object) -> None:
        """See `ActorRef.tell`; never waits."""
        self.tell_nowait(message)

    def tell_nowait(self, message: Any) -> None:
        """See `ActorRef.tell_nowait`; what the actor has no room for is lost."""
        self.ask(message).add_done_callback(lambda done: done.cancelled() or done.exception())

    def ask(self, request: Request[R], timeout_s: float | None = None) -> "asyncio.Future[R]":
        """See `ActorRef.ask`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        reply = Reply(request, future)
        if timeout_s is not None:
            timer = loop.call_later(timeout_s, reply.expire, self._address, timeout_s)
            future.add_done_callback(lambda _done: timer.cancel())
        self.deliver(reply)
        return future

    def deliver(self, reply: Reply[Any]) -> None:
        """See `ActorRef.deliver`; there is room as long as nobody is there."""
        if self._actor is None:
            self._kept.append(reply)
        else:
            self._actor.deliver(reply)

    async def stop(self) -> None:
        """Refused: the actor is ended by its parent."""
        raise RuntimeError(f"{self._address} can't be ended by who expects it")

    async def cancel(self) -> None:
        """Refused, see `stop`."""
        await self.stop()

    def fail(self, error: Exception) -> None:
        """Refused, see `stop`."""
        raise RuntimeError(f"{self._address} can't be failed by who expects it") from error
