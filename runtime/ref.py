"""How actors reach each other: refs, and the slots that answers come back in."""

import asyncio
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from callboard.runtime.messages import Request

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class ActorRef(ABC, Generic[M_contra]):
    """A handle of an actor; it does not say where the actor lives.

    Messages of one sender arrive in the order in which they were sent, each at most once.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def address(self) -> str:
        """Where the actor stands in its tree, e.g. `/group/job-101`."""

    @abstractmethod
    async def tell(self, message: M_contra) -> None:
        """Send `message`; waits only while the mailbox is full.

        A message to an actor that has stopped becomes a dead letter. Cancelled while it waits,
        the message has not been sent.
        """

    @abstractmethod
    def tell_nowait(self, message: M_contra) -> None:
        """Send `message` without waiting.

        Raises:
            MailboxFull: The mailbox has no room.
        """

    @abstractmethod
    async def ask(self, request: Request[R], timeout_s: float | None = None) -> R:
        """Send `request` and wait for its answer.

        Args:
            request: What to ask.
            timeout_s: How long to wait for the answer in seconds, None for as long as it takes.

        Raises:
            AskTimeout: No answer came in time.
            ActorStopped: The actor ended, or had ended, without an answer.
            ActorFailed: The actor failed while it handled the request, or before its answer.
            RuntimeError: An actor asks itself.
        """

    @abstractmethod
    async def stop(self) -> None:
        """End the actor after the message that it is handling; returns when it has ended.

        Messages left in its mailbox become dead letters, open requests fail with ActorStopped,
        its children end first, the last spawned first, then its `stopped` hook runs.
        """

    @abstractmethod
    async def cancel(self) -> None:
        """End the actor like `stop`, but cancel the handler that is running, and its children's."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address}>"


class Reply(Generic[R]):
    """The slot for the answer to one request.

    An asker that has stopped waiting doesn't mind: an answer that comes too late is dropped, and
    so is a second one.
    """

    __slots__ = ("_future", "message")

    def __init__(self, message: Request[R], future: "asyncio.Future[R]") -> None:
        self.message = message
        self._future = future

    @property
    def open(self) -> bool:
        """Whether the asker still waits."""
        return not self._future.done()

    def send(self, value: R) -> None:
        """Answer with `value`; never waits."""
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Answer with an exception, which the asker's `ask` raises; never waits."""
        if not self._future.done():
            self._future.set_exception(error)
