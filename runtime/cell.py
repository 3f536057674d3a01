"""The record behind an actor: its mailbox, its place in the tree, and how it is served."""

import asyncio
from collections import deque
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import frozen

from callboard.runtime.actor import Actor, Context
from callboard.runtime.errors import ActorFailed, ActorStopped, NameTaken
from callboard.runtime.local import LocalRef
from callboard.runtime.messages import ChildFailed, Outcome, Request, Terminated
from callboard.runtime.ref import ActorRef, PipedReply, Reply, Watcher
from callboard.runtime.supervision import Supervision

if TYPE_CHECKING:
    from callboard.runtime.system import ActorSystem
    from callboard.runtime.worker import Worker

M = TypeVar("M")
R = TypeVar("R")

# Looked up once: subscripting costs as much as making the stream.
_create_stream = anyio.create_memory_object_stream[Any]


@frozen
class _Escalated:
    """A child has failed, and this actor fails with it."""

    error: Exception


class Cell:
    """An actor's record; everything about it but what it does.

    It has no task of its own: a worker serves it when something has come. Urgent messages (the
    kernel's own, timers, outcomes of pipes) stand in a queue beside the mailbox, so that they find
    room whatever the mailbox holds. What few actors need is made when it is needed.
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
        "_many_deferred",
        "_over",
        "_receiver",
        "_ref",
        "_restarting",
        "_restarts",
        "_scope",
        "_supervision",
        "_timer_number",
        "_timers",
        "_urgent",
        "_watched",
        "address",
        "ended",
        "ending",
        "idle",
        "parent",
        "sender",
        "system",
        "task",
        "watchers",
        "winding_down",
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
        if mailbox_size < 1:
            raise ValueError(f"the mailbox of {address} has to hold a message, not {mailbox_size}")
        self.system = system
        self.parent = parent
        self.address = address
        self.sender: MemoryObjectSendStream[Any]
        self._receiver: MemoryObjectReceiveStream[Any]
        self.sender, self._receiver = _create_stream(mailbox_size)
        self._ref: LocalRef | None = LocalRef(self)
        self.idle = False
        self.ending = False
        self.ended = False
        self.winding_down = False
        self.watchers: dict[Watcher, None] = {}
        self._factory = factory
        self._supervision = supervision
        self._endless = endless
        self._actor: Actor[Any] | None = None
        self._children: dict[str, Cell] = {}
        self._watched: dict[ActorRef[Any], None] = {}
        self._urgent: deque[object] | None = None
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._timer_number = 0
        self._deferred: list[Reply[Any]] = []
        self._many_deferred = 0
        self._current: Reply[Any] | None = None
        self._restarts: list[float] = []
        self._restarting = False
        self._feeds = 0
        self._hard = False
        self._failed: Exception | None = None
        self.task: asyncio.Task[Any] | None = None
        self._scope: anyio.CancelScope | None = None
        self._over: list[asyncio.Future[None]] = []

    # What contexts and refs ask for

    @property
    def ref(self) -> LocalRef:
        """The actor's ref."""
        return self._ref or LocalRef(self)

    def spawn(
        self,
        factory: Callable[[], Actor[M]],
        name: str,
        supervision: Supervision,
        mailbox_size: int,
        *,
        endless: bool = False,
    ) -> ActorRef[M]:
        """Make a child and have it started."""
        address = f"{self.address}/{name}"
        if name in self._children:
            raise NameTaken(address)
        if self.ending:
            raise ActorStopped(self.address)
        child = Cell(
            self.system, self, address, factory, supervision, mailbox_size, endless=endless
        )
        self._children[name] = child
        self.system.workers.put(child)
        return child.ref

    def count_feed(self) -> int:
        """The number of the next feed."""
        self._feeds += 1
        return self._feeds

    def watch(self, ref: ActorRef[M]) -> None:
        """Tell this actor when `ref` ends."""
        ref.add_watcher(self)
        self._watched[ref] = None

    def defer(self, message: object) -> Reply[Any]:
        """Take the reply slot of the request that is being handled."""
        reply = self._current
        if reply is None or reply.message is not message:
            raise LookupError(f"{self.address} is not handling {message!r} as a request")
        self._current = None
        self._deferred.append(reply)
        return reply

    def pipe(
        self,
        ref: ActorRef[M],
        request: Request[R],
        wrap: Callable[[Outcome[R]], object],
        timeout_s: float | None,
    ) -> None:
        """Ask `ref`, and post the outcome to this actor."""
        ref.deliver(PipedReply(request, wrap, self, self._actor, ref.address, timeout_s))

    def call_after(self, delay_s: float, message: object) -> int:
        """Post `message` later; returns the timer's number."""
        self._timer_number = number = self._timer_number + 1
        loop = asyncio.get_running_loop()
        self._timers[number] = loop.call_later(max(0.0, delay_s), self._fire, number, message)
        return number

    def cancel_timer(self, number: int) -> None:
        """Don't post the message of a timer, unless it has been posted."""
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()

    def _fire(self, number: int, message: object) -> None:
        del self._timers[number]
        self.post(message)

    def post(self, message: object) -> None:
        """Deliver an urgent message: at once, whatever the mailbox holds."""
        if self.ending:
            if not isinstance(message, PipedReply | Terminated | ChildFailed | _Escalated):
                self.system.dead_letter(self.address, message)
            return
        if self._urgent is None:
            self._urgent = deque()
        self._urgent.append(message)
        if self.idle:
            self.system.workers.put(self)

    def fail(self, error: Exception) -> None:
        """Fail with `error` before the next message."""
        self.post(_Escalated(error))

    def request_stop(self) -> None:
        """End after the current message."""
        if self._endless:
            self.request_cancel()
        elif not self.ending:
            self.ending = self.winding_down = True
            self._end_idle()

    def request_cancel(self) -> None:
        """End now."""
        if self._hard:
            return
        self.ending = self.winding_down = self._hard = True
        for child in reversed(self._children.copy().values()):
            child.request_cancel()
        if self._scope is not None:
            self._scope.cancel()
        else:
            self._end_idle()

    def _end_idle(self) -> None:
        """Have it end if it has nothing to do: at once when nothing in that can wait."""
        if not self.idle:
            return
        actor = self._actor
        if self._children or actor is None or type(actor).stopped is not Actor.stopped:
            self.system.workers.put(self)
            return
        self.idle = False
        self._refuse()
        self._forget_life()
        self._finish()

    async def wait_ended(self) -> None:
        """Return when the actor has ended."""
        if not self.ended:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._over.append(over)
            await over

    @property
    def serving(self) -> bool:
        """Whether it is the task that serves this actor that runs."""
        return self.task is not None and self.task is asyncio.current_task()

    # What its worker does

    @property
    def has_mail(self) -> bool:
        """Whether there is a message for it."""
        return bool(self._urgent) or self._receiver.statistics().current_buffer_used > 0

    async def handle(self, worker: "Worker", burst: int) -> int:
        """Handle at most so many messages of those that have come; returns how many they were.

        It is left when a hook has raised, when the actor is to end, and by cancellation.
        """
        self.task, self._scope = worker.task, worker.scope
        handled = 0
        try:
            actor = self._actor
            if actor is None:
                self._actor = actor = self._factory()
                actor.context = Context(self)
                await actor.started()
            take, receive = self._receiver.receive_nowait, actor.receive
            while handled < burst and not self.winding_down:
                if self._urgent:
                    message = self._urgent.popleft()
                    if not self._urgent:
                        self._urgent = None  # few actors have any at a time
                    await self._handle_urgent(actor, message)
                else:
                    try:
                        item = take()
                    except anyio.WouldBlock:
                        break
                    if isinstance(item, Reply):
                        self._current = item
                        answer = receive(item.message)
                        if type(answer) is CoroutineType:
                            answer = await answer
                        if self._current is not None:
                            self._current = None
                            item.send(answer)
                    else:
                        answer = receive(item)
                        if type(answer) is CoroutineType:
                            await answer
                handled += 1
        except Exception as error:  # whatever a hook raises is the actor's failure
            self._fail(error)
        finally:
            self.task = self._scope = None
        if len(self._deferred) > self._many_deferred:  # forget those that were answered
            self._deferred = [each for each in self._deferred if each.open]
            self._many_deferred = 2 * len(self._deferred)
        return handled

    async def wind_down(self, worker: "Worker") -> None:
        """End a life that has failed, or the last one."""
        self.task = worker.task
        try:
            if self._restarting:
                self._restarting = False
                await self._end_life(hard=True)
                # What can't be cleaned up isn't built upon.
                self.ending = self.ending or self._failed is not None
            if self.ending:
                await self._end()
            self.winding_down = False
        finally:
            self.task = None

    async def _handle_urgent(self, actor: Actor[Any], message: object) -> None:
        match message:
            case PipedReply():
                if message.asker is not actor:
                    return  # a restarted actor doesn't know what the one before it asked
                answer = actor.receive(message.outcome_message())
            case Terminated(ref):
                self._watched.pop(ref, None)
                answer = actor.signalled(message)
            case ChildFailed():
                answer = actor.signalled(message)
            case _Escalated(error):
                raise error
            case _:
                answer = actor.receive(message)
        if type(answer) is CoroutineType:
            await answer

    def _fail(self, error: Exception) -> None:
        """Decide what a failure means, and tell those concerned."""
        self._fail_requests(ActorFailed(self.address, error))
        supervision = self._supervision
        now = anyio.current_time()
        self._restarts = [each for each in self._restarts if each >= now - supervision.within_s]
        self._restarting = (
            supervision.action == "restart"
            and len(self._restarts) < supervision.limit
            and not self.ending
        )
        if self._restarting:
            self._restarts.append(now)
            if self.parent is not None:
                self.parent.post(ChildFailed(self.ref, error, restarted=True))
        else:
            self._failed = error
            self.ending = True
        self.winding_down = True

    async def _end(self) -> None:
        """Refuse what is left, end the children, clean up, and tell those concerned."""
        self._refuse()
        await self._end_life(hard=self._hard or self._failed is not None)
        self._finish()

    async def _end_life(self, *, hard: bool) -> None:
        """End the children, the last spawned first, then let the actor clean up."""
        for child in reversed(self._children.copy().values()):
            if hard:
                child.request_cancel()
            else:
                child.request_stop()
            await child.wait_ended()
        actor = self._forget_life()
        if actor is None:
            return
        try:
            await actor.stopped()
        except Exception as error:  # a failure in cleaning up doesn't hide an earlier one
            self._failed = self._failed or error

    def _forget_life(self) -> Actor[Any] | None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        actor, self._actor = self._actor, None
        return actor

    def _finish(self) -> None:
        """Tell those concerned, and keep nothing that would keep this record alive."""
        self.ended = True
        self.winding_down = False
        if self.parent is not None:
            self.parent.forget(self)
        else:
            self.system.forget(self)
        self._report()
        for watcher in self.watchers:
            watcher.post(Terminated(self.ref))
        self.watchers.clear()
        for watched in self._watched:
            watched.remove_watcher(self)
        self._watched.clear()
        for over in self._over:
            if not over.done():
                over.set_result(None)
        self._over.clear()
        self._ref = self._failed = None

    def _refuse(self) -> None:
        """Fail what isn't answered yet, and refuse what is left and what comes from now on."""
        stopped = ActorStopped(self.address)
        if self._deferred or self._current is not None:
            self._fail_requests(stopped)
        while self._urgent:
            self.post(self._urgent.popleft())  # as one that comes from now on
        while True:
            try:
                item = self._receiver.receive_nowait()
            except (anyio.WouldBlock, anyio.EndOfStream, anyio.ClosedResourceError):
                break
            if isinstance(item, Reply):
                item.fail(stopped)
            else:
                self.system.dead_letter(self.address, item)
        self._receiver.close()
        self.sender.close()

    def _fail_requests(self, error: Exception) -> None:
        """Fail what has come and isn't answered yet."""
        replies, self._deferred = self._deferred, []
        if self._current is not None:
            replies.append(self._current)
            self._current = None
        for reply in replies:
            reply.fail(error)

    def forget(self, child: "Cell") -> None:
        """A child has ended."""
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
