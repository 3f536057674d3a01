"""The record behind an actor: its mailbox, its place in the tree, and the task that serves it."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from attrs import frozen

from callboard.runtime.actor import Actor, Context
from callboard.runtime.errors import (
    ActorFailed,
    ActorStopped,
    AskTimeout,
    MailboxFull,
    NameTaken,
)
from callboard.runtime.local import LocalRef
from callboard.runtime.messages import ChildFailed, Outcome, Request, Terminated
from callboard.runtime.ref import ActorRef, Reply
from callboard.runtime.supervision import Supervision

if TYPE_CHECKING:
    from callboard.runtime.system import ActorSystem

M = TypeVar("M")
R = TypeVar("R")

_BURST = 256
"""Messages handled in a row before other tasks get a turn."""


@frozen
class _Wake:
    """Makes an idle actor look at its urgent messages."""


@frozen
class _Escalated:
    """A child has failed, and this actor fails with it."""

    error: Exception


_WAKE = _Wake()


class Cell:
    """An actor's record; everything about it but what it does.

    Its task serves the mailbox. Urgent messages (the kernel's own, timers, outcomes of pipes)
    stand in a queue beside the mailbox, so that they find room whatever the mailbox holds.
    """

    __slots__ = (
        "_actor",
        "_children",
        "_current",
        "_deferred",
        "_endless",
        "_factory",
        "_failed",
        "_feeds",
        "_hard",
        "_idle",
        "_over",
        "_receiver",
        "_restarts",
        "_scope",
        "_supervision",
        "_task",
        "_timers",
        "_urgent",
        "_watched",
        "_watchers",
        "address",
        "ended",
        "ending",
        "parent",
        "ref",
        "sender",
        "system",
    )

    def __init__(
        self,
        system: "ActorSystem",
        parent: "Cell | None",
        address: str,
        factory: Callable[[], Actor[Any]],
        supervision: Supervision,
        mailbox_size: int,
        *,
        endless: bool,
    ) -> None:
        self.system = system
        self.parent = parent
        self.address = address
        self.sender, self._receiver = anyio.create_memory_object_stream[Any](mailbox_size)
        self.ref = LocalRef(self)
        self.ending = False
        self.ended = False
        self._factory = factory
        self._supervision = supervision
        self._endless = endless
        self._actor: Actor[Any] | None = None
        self._children: dict[str, Cell] = {}
        self._watchers: dict[Cell, None] = {}
        self._watched: dict[Cell, None] = {}
        self._urgent: deque[object] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._deferred: set[Reply[Any]] = set()
        self._current: Reply[Any] | None = None
        self._restarts: deque[float] = deque()
        self._feeds = 0
        self._hard = False
        self._idle = False
        self._failed: Exception | None = None
        self._task: asyncio.Task[Any] | None = None
        self._over: anyio.Event | None = None
        # Shielded: only the kernel ends actors, children first, whatever happens around it.
        self._scope = anyio.CancelScope(shield=True)

    # What contexts and refs ask for

    def spawn(
        self,
        factory: Callable[[], Actor[M]],
        name: str,
        supervision: Supervision,
        mailbox_size: int,
        *,
        endless: bool = False,
    ) -> ActorRef[M]:
        """Make a child and start its task."""
        address = f"{self.address}/{name}"
        if name in self._children:
            raise NameTaken(address)
        if self.ending:
            raise ActorStopped(self.address)
        child = Cell(
            self.system, self, address, factory, supervision, mailbox_size, endless=endless
        )
        self._children[name] = child
        self.system.start(child)
        return child.ref

    def count_feed(self) -> int:
        """The number of the next feed."""
        self._feeds += 1
        return self._feeds

    def watch(self, ref: ActorRef[M]) -> None:
        """Tell this actor when `ref` ends."""
        if not isinstance(ref, LocalRef):
            raise TypeError(f"{ref!r} can't be watched from here")
        if ref.cell.ended:
            self.post(Terminated(ref))
        else:
            ref.cell._watchers[self] = None  # noqa: SLF001 - both are records of the kernel
            self._watched[ref.cell] = None

    def defer(self, message: object) -> Reply[Any]:
        """Take the reply slot of the request that is being handled."""
        reply = self._current
        if reply is None or reply.message is not message:
            raise LookupError(f"{self.address} is not handling {message!r} as a request")
        self._current = None
        if len(self._deferred) > 2 * _BURST:
            self._deferred = {each for each in self._deferred if each.open}
        self._deferred.add(reply)
        return reply

    def pipe(
        self,
        ref: ActorRef[M],
        request: Request[R],
        wrap: Callable[[Outcome[R]], object],
        timeout_s: float | None,
    ) -> None:
        """Ask `ref`, and post the outcome to this actor."""
        if not isinstance(ref, LocalRef):
            raise TypeError(f"{ref!r} can't be piped from here")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        reply = Reply(request, future)
        timer = ref.cell.expire_after(timeout_s, reply) if timeout_s is not None else None
        asker = self._actor

        def settled(future: "asyncio.Future[R]") -> None:
            if timer is not None:
                timer.cancel()
            error = future.exception()
            if self._actor is not asker:  # a restarted actor doesn't know what the old one asked
                return
            if error is None:
                self.post(wrap(Outcome(future.result())))
            else:
                assert isinstance(error, Exception)
                self.post(wrap(Outcome(error=error)))

        future.add_done_callback(settled)
        if ref.cell.ending:
            reply.fail(ActorStopped(ref.address))
            return
        try:
            ref.cell.sender.send_nowait(reply)
        except anyio.WouldBlock:
            reply.fail(MailboxFull(ref.address))

    def call_after(self, delay_s: float, message: object) -> asyncio.TimerHandle:
        """Post `message` later."""
        loop = asyncio.get_running_loop()

        def fire() -> None:
            self._timers.discard(handle)
            self.post(message)

        handle = loop.call_later(max(0.0, delay_s), fire)
        if len(self._timers) > 2 * _BURST:
            self._timers = {each for each in self._timers if not each.cancelled()}
        self._timers.add(handle)
        return handle

    def expire_after(self, timeout_s: float, reply: Reply[R]) -> asyncio.TimerHandle:
        """Fail `reply` when it is still open after `timeout_s`."""
        loop = asyncio.get_running_loop()
        return loop.call_later(timeout_s, reply.fail, AskTimeout(self.address, timeout_s))

    async def queue(self, reply: Reply[R], future: "asyncio.Future[R]") -> None:
        """Put a request into the full mailbox; returns when it is in, or has been settled."""
        with anyio.CancelScope() as scope:
            future.add_done_callback(lambda _future: scope.cancel())
            try:
                await self.sender.send(reply)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                reply.fail(ActorStopped(self.address))

    def post(self, message: object) -> None:
        """Deliver an urgent message: at once, whatever the mailbox holds."""
        if self.ending:
            if not isinstance(message, Terminated | ChildFailed | _Escalated):
                self.system.dead_letter(self.address, message)
            return
        self._urgent.append(message)
        self._wake()

    def request_stop(self) -> None:
        """End after the current message."""
        if self._endless:
            self.request_cancel()
        elif not self.ending:
            self.ending = True
            self._wake()

    def request_cancel(self) -> None:
        """End now."""
        self.ending = self._hard = True
        self._scope.cancel()
        for child in self._children.values():
            child.request_cancel()

    async def wait_ended(self) -> None:
        """Return when the actor has ended."""
        if not self.ended:
            if self._over is None:
                self._over = anyio.Event()
            await self._over.wait()

    @property
    def serving(self) -> bool:
        """Whether it is this actor's own task that runs."""
        return self._task is not None and self._task is asyncio.current_task()

    def _wake(self) -> None:
        # A busy actor looks at its urgent messages before the next one, without being woken.
        if self._idle:
            self._idle = False
            with contextlib.suppress(anyio.WouldBlock):
                self.sender.send_nowait(_WAKE)

    # Its task

    async def run(self) -> None:
        """Serve the mailbox until the end, then end in order."""
        self._task = asyncio.current_task()
        try:
            with self._scope:
                await self._live()
        finally:
            with anyio.CancelScope(shield=True):
                await self._end()

    async def _live(self) -> None:
        """One life after the other: until the actor is stopped, or failed for good."""
        while not self.ending:
            try:
                self._actor = self._factory()
                self._actor.context = Context(self)
                await self._actor.started()
                await self._serve(self._actor)
            except Exception as error:  # whatever a hook raises is the actor's failure
                if not self._survives(error):
                    return
                with anyio.CancelScope(shield=True):
                    await self._end_life(hard=True)
                if self._failed is not None:  # what can't be cleaned up isn't built upon
                    return

    async def _serve(self, actor: Actor[Any]) -> None:
        receiver, urgent = self._receiver, self._urgent
        while not self.ending:
            while urgent and not self.ending:
                await self._handle_urgent(actor, urgent.popleft())
            if self.ending:
                return
            self._idle = True
            item = await receiver.receive()
            self._idle = False
            for _ in range(_BURST):
                if type(item) is Reply:
                    await self._answer(actor, item)
                elif item is not _WAKE:
                    await actor.receive(item)
                if urgent or self.ending:
                    break
                try:
                    item = receiver.receive_nowait()
                except anyio.WouldBlock:
                    break
            else:
                if item is not _WAKE:
                    urgent.appendleft(item)
                await checkpoint()

    async def _answer(self, actor: Actor[Any], reply: Reply[Any]) -> None:
        self._current = reply
        answer = await actor.receive(reply.message)
        if self._current is not None:
            self._current = None
            reply.send(answer)

    async def _handle_urgent(self, actor: Actor[Any], message: object) -> None:
        match message:
            case Reply():
                await self._answer(actor, message)
            case Terminated() | ChildFailed():
                await actor.signalled(message)
            case _Escalated(error):
                raise error
            case _:
                await actor.receive(message)

    def _survives(self, error: Exception) -> bool:
        """Decide what a failure means, and tell those concerned; whether to live once more."""
        failed = ActorFailed(self.address, error)
        if self._current is not None:
            self._deferred.add(self._current)
            self._current = None
        for reply in self._deferred:
            reply.fail(failed)
        self._deferred.clear()
        supervision = self._supervision
        now = anyio.current_time()
        while self._restarts and self._restarts[0] < now - supervision.within_s:
            self._restarts.popleft()
        restart = (
            supervision.action == "restart"
            and len(self._restarts) < supervision.limit
            and not self.ending
        )
        if restart:
            self._restarts.append(now)
            if self.parent is not None:
                self.parent.post(ChildFailed(self.ref, error, restarted=True))
        else:
            self._failed = error
        return restart

    async def _end(self) -> None:
        """Refuse what is left, end the children, clean up, and tell those concerned."""
        self.ending = True
        stopped = ActorStopped(self.address)
        if self._current is not None:
            self._current.fail(stopped)
        for reply in self._deferred:
            reply.fail(stopped)
        self._refuse_mailbox(stopped)
        await self._end_life(hard=self._hard or self._failed is not None)
        self.ended = True
        if self.parent is not None:
            self.parent._forget(self)  # noqa: SLF001 - both are records of the kernel
        self._report()
        for watcher in self._watchers:
            watcher.post(Terminated(self.ref))
        self._watchers.clear()
        for watched in self._watched:
            watched._watchers.pop(self, None)  # noqa: SLF001 - both are records of the kernel
        if self._over is not None:
            self._over.set()

    async def _end_life(self, *, hard: bool) -> None:
        """End the children, the last spawned first, then let the actor clean up."""
        for child in reversed(self._children.copy().values()):
            if hard:
                child.request_cancel()
            else:
                child.request_stop()
            await child.wait_ended()
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        actor, self._actor = self._actor, None
        if actor is None:
            return
        try:
            await actor.stopped()
        except Exception as error:  # a failure in cleaning up doesn't hide an earlier one
            self._failed = self._failed or error

    def _refuse_mailbox(self, stopped: ActorStopped) -> None:
        left = [each for each in self._urgent if not isinstance(each, Terminated | ChildFailed)]
        self._urgent.clear()
        while True:
            try:
                left.append(self._receiver.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        self._receiver.close()
        self.sender.close()
        for item in left:
            if isinstance(item, Reply):
                item.fail(stopped)
            elif not isinstance(item, _Wake | _Escalated):
                self.system.dead_letter(self.address, item)

    def _forget(self, child: "Cell") -> None:
        self._children.pop(child.address.rpartition("/")[2], None)

    def _report(self) -> None:
        error = self._failed
        if error is None:
            return
        if self.parent is None:
            self.system.fail(error)
        elif self._supervision.action == "escalate":
            self.parent.post(_Escalated(error))
        else:
            self.parent.post(ChildFailed(self.ref, error, restarted=False))
