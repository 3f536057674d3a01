"""A ref with a plain function behind it instead of an actor."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from callboard.cluster.errors import ClusterError
from callboard.cluster.wire import WireError
from callboard.runtime import ActorFailed, ActorRef, Reply, Request

R = TypeVar("R")


class FunctionRef(ActorRef[Any]):
    """Calls a function with each message, at once; what it returns is the answer.

    An exception of the function is the answer as ActorFailed, but for ClusterError and
    WireError, which are the answer themselves.

    Args:
        address: See `ActorRef.address`.
        handler: The function; it never waits.
        on_failure: Called with each ActorFailed.
    """

    __slots__ = ("_address", "_handler", "_on_failure")

    def __init__(
        self,
        address: str,
        handler: Callable[[Any], object],
        on_failure: Callable[[ActorFailed], None],
    ) -> None:
        self._address = address
        self._handler = handler
        self._on_failure = on_failure

    @property
    def address(self) -> str:
        """See `ActorRef.address`."""
        return self._address

    async def tell(self, message: object) -> None:
        """See `ActorRef.tell`; never waits."""
        self.tell_nowait(message)

    def tell_nowait(self, message: object) -> None:
        """See `ActorRef.tell_nowait`; there is always room."""
        try:
            self._handler(message)
        except (ClusterError, WireError):
            return  # an answer, and nobody asked
        except Exception as error:  # as an actor's failure isn't its sender's
            self._on_failure(ActorFailed(self._address, error))

    def ask(self, request: Request[R], timeout_s: float | None = None) -> Awaitable[R]:  # noqa: ARG002
        """See `ActorRef.ask`; there is an answer at once."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.deliver(Reply(request, future))
        return future

    def deliver(self, reply: Reply[Any]) -> None:
        """See `ActorRef.deliver`."""
        try:
            reply.send(self._handler(reply.message))
        except (ClusterError, WireError) as error:
            reply.fail(error)
        except Exception as error:  # see `tell_nowait`
            failure = ActorFailed(self._address, error)
            self._on_failure(failure)
            reply.fail(failure)

    async def stop(self) -> None:
        """Refused: there is nothing to end."""
        raise RuntimeError(f"{self._address} is a function; withdraw it")

    async def cancel(self) -> None:
        """Refused, see `stop`."""
        await self.stop()

    def fail(self, error: Exception) -> None:
        """Refused, see `stop`."""
        raise RuntimeError(f"{self._address} is a function and can't be failed") from error
