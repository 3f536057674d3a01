"""What a user of the kernel writes, and what it is given to work with."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from callboard.runtime.messages import ChildFailed, Outcome, Request, Terminated
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.supervision import Supervision

if TYPE_CHECKING:
    from callboard.runtime.cell import Cell

M = TypeVar("M")
N = TypeVar("N")
R = TypeVar("R")

MAILBOX_SIZE = 1024
"""Messages that a mailbox holds unless told otherwise."""


class Actor(Generic[M]):
    """Something with a mailbox that handles one message at a time; `M` is what it understands.

    1. Write a subclass with `receive`, and the other hooks as needed.
    2. Spawn it: `ref = system.spawn(Counter, "counter")`, or `self.context.spawn(...)`.
    3. Send it messages: `await ref.tell(Reset())`, `await ref.ask(Add(1))`.
    4. End it: `await ref.stop()`; an actor that ends takes its children with it.

    Hooks run one after the other, but not in one task: a cancel scope or task group that a hook
    opens is closed when it returns. A hook that raises makes the actor fail; its parent's
    `Supervision` decides what happens then.
    """

    context: "Context[M]"
    """What the actor can do; set before `started`."""

    async def started(self) -> None:
        """Called once before the first message."""

    def receive(self, message: M) -> object:
        """Handle one message; what is returned answers a request (see also `Context.defer`).

        Written as `async def` where it waits for something. It may as well be a plain function,
        which saves a coroutine a message; a coroutine that this returns is awaited.
        """
        raise TypeError(f"{type(self).__name__} has no receive: it got {message!r}")

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        """Told about a watched actor that ended, or a child that failed. Ignores it by default."""

    async def stopped(self) -> None:
        """Called once at the end, whatever ended the actor, after its children have ended.

        It can't be cancelled. Also called when `started` raised, so that half a start is undone.
        """


class Timer:
    """A message on its way to an actor at a certain time."""

    __slots__ = ("_cell", "_number")

    def __init__(self, cell: "Cell", number: int) -> None:
        self._cell = cell
        self._number = number

    def cancel(self) -> None:
        """Forget the message, unless it has been sent."""
        self._cell.cancel_timer(self._number)


class Context(Generic[M]):
    """What an actor can do besides handling messages. Not for use by others than the actor."""

    __slots__ = ("_cell",)

    def __init__(self, cell: "Cell") -> None:
        self._cell = cell

    @property
    def ref(self) -> ActorRef[M]:
        """The actor's own ref, to be handed to others."""
        return self._cell.ref

    @property
    def address(self) -> str:
        """The actor's address."""
        return self._cell.address

    def spawn(
        self,
        factory: Callable[[], Actor[N]],
        name: str,
        *,
        supervision: Supervision | None = None,
        mailbox_size: int = MAILBOX_SIZE,
    ) -> ActorRef[N]:
        """Make a child, which ends with this actor at the latest.

        Args:
            factory: Makes the actor; called again for each restart.
            name: Last part of the child's address.
            supervision: What to do when the child fails, `Supervision.stop()` when None.
            mailbox_size: Messages that its mailbox holds before senders have to wait.

        Raises:
            NameTaken: A living child has that name.
            ValueError: The mailbox would have no room at all.
        """
        return self._cell.spawn(factory, name, supervision or Supervision.stop(), mailbox_size)

    def watch(self, ref: ActorRef[N]) -> None:
        """Have `signalled` called with `Terminated` when `ref` ends; at once if it has."""
        self._cell.watch(ref)

    @property
    def defer(self) -> Callable[[Request[R]], Reply[R]]:
        """Takes the slot for the answer to the request that is being handled, to answer it later.

        It is called with the request, which gives the slot its type, and raises LookupError when
        that is not being handled, was told, or has been deferred already.
        """
        return self._cell.defer

    def pipe(
        self,
        ref: ActorRef[N],
        request: Request[R],
        wrap: Callable[[Outcome[R]], M],
        timeout_s: float | None = None,
    ) -> None:
        """Ask without waiting: the outcome comes to this actor's own mailbox as a message.

        It is delivered even when the mailbox is full, and takes no task meanwhile.

        Args:
            ref: Whom to ask; a full mailbox there is an outcome with MailboxFull.
            request: What to ask.
            wrap: Makes a message of the outcome.
            timeout_s: As in `ActorRef.ask`; its end is an outcome with AskTimeout.
        """
        self._cell.pipe(ref, request, wrap, timeout_s)

    def feed(self, source: AsyncGenerator[M, None]) -> None:
        """Have the items of `source` arrive as messages, each handled before the next is taken.

        The source is closed when the actor ends. An exception in it makes the actor fail.
        """
        ref = self.ref
        child = self._cell.spawn(
            lambda: _Feed(source, ref),
            f"feed-{self._cell.count_feed()}",
            Supervision.escalate(),
            1,
            endless=True,
        )
        child.tell_nowait(None)

    def call_after(self, delay_s: float, message: M) -> Timer:
        """Send `message` to this actor after `delay_s` seconds, even when its mailbox is full."""
        return Timer(self._cell, self._cell.call_after(delay_s, message))

    def stop(self) -> None:
        """End this actor after the message that it is handling."""
        self._cell.request_stop()


class _Feed(Actor[None]):
    """Asks its parent to handle one item after the other."""

    def __init__(self, source: AsyncGenerator[N, None], parent: ActorRef[N]) -> None:
        self._source = source
        self._parent = parent

    async def receive(self, message: None) -> None:  # noqa: ARG002 - the one message is the start
        async with aclosing(self._source) as source:
            async for item in source:
                # Asked, though no answer is expected: it tells when the item has been handled.
                await self._parent.ask(cast("Request[object]", item))
        self.context.stop()
