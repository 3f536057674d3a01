"""How actors reach each other: refs, and the slots that answers come back in."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from callboard.runtime.errors import AskTimeout
from callboard.runtime.messages import Outcome, Request

M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class Watcher(Protocol):
    """Who is told of an actor's end."""

    def post(self, message: object) -> None:
        """Take `message` at once; never waits."""


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
    def ask(self, request: Request[R], timeout_s: float | None = None) -> Awaitable[R]:
        """Send `request`; awaiting what this returns waits for the answer.

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
    def deliver(self, reply: "Reply[R]") -> None:
        """Put the request that `reply` is the slot for; never waits.

        What keeps the request from being put fails the reply: MailboxFull when there is no room,
        ActorStopped when the actor has ended.
        """

    def add_watcher(self, watcher: Watcher) -> None:
        """Post `Terminated` to `watcher` when the actor ends, at once if it has.

        Raises:
            TypeError: The actor's end can't be seen from here.
        """
        raise TypeError(f"{self!r} can't be watched from here, nor by {watcher!r}")

    def remove_watcher(self, watcher: Watcher) -> None:
        """Forget `watcher`, if it was there."""

    @abstractmethod
    async def stop(self) -> None:
        """End the actor after the message that it is handling; returns when it has ended.

        Messages left in its mailbox become dead letters, open requests fail with ActorStopped,
        its children end first, the last spawned first, then its `stopped` hook runs.
        """

    @abstractmethod
    async def cancel(self) -> None:
        """End the actor like `stop`, but cancel the handler that is running, and its children's."""

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """Have the actor fail between two messages, as if a hook of it had raised `error`.

        For faults that are made on purpose.
        """

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
        try:  # mostly it is open, and to look first would take longer
            self._future.set_result(value)
        except asyncio.InvalidStateError:
            return

    def fail(self, error: Exception) -> None:
        """Answer with an exception, which the asker's `ask` raises; never waits."""
        if not self._future.done():
            self._future.set_exception(error)

    def expire(self, address: str, timeout_s: float) -> None:
        """Answer that the actor at `address` hasn't answered within `timeout_s` seconds."""
        self.fail(AskTimeout(address, timeout_s))


class PipedReply(Reply[R]):
    """The slot for an answer that its asker gets as a message; it takes no future meanwhile.

    Args:
        message: The request.
        wrap: Makes a message of the outcome.
        watcher: Where this slot itself is posted when it has an outcome.
        asker: Who asked.
        address: Who was asked.
        timeout_s: How long an answer may take in seconds, None for as long as it takes.
    """

    __slots__ = ("_outcome", "_timer", "_watcher", "_wrap", "asker")

    def __init__(
        self,
        message: Request[R],
        wrap: Callable[[Outcome[R]], object],
        watcher: Watcher,
        asker: object,
        address: str,
        timeout_s: float | None,
    ) -> None:
        self.message = message
        self.asker = asker
        self._wrap = wrap
        self._watcher = watcher
        self._outcome: Outcome[R] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(timeout_s, self.expire, address, timeout_s)

    @property
    def open(self) -> bool:
        """See `Reply.open`."""
        return self._outcome is None

    def send(self, value: R) -> None:
        """See `Reply.send`."""
        self._settle(Outcome(value))

    def fail(self, error: Exception) -> None:
        """See `Reply.fail`."""
        self._settle(Outcome(error=error))

    def outcome_message(self) -> object:
        """What the asker gets."""
        assert self._outcome is not None
        return self._wrap(self._outcome)

    def _settle(self, outcome: Outcome[R]) -> None:
        if self._outcome is not None:
            return
        self._outcome = outcome
        if self._timer is not None:
            self._timer.cancel()
        self._watcher.post(self)
