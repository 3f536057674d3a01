"""An action of a pipeline: its calls, its own work, its children, under its time-out."""

import traceback
from collections.abc import Iterator, Sequence
from functools import partial

import anyio
from attrs import define, evolve, field

from callboard.actors.calls import Calls
from callboard.actors.context import JobContext
from callboard.actors.errors import ActionError, Bug, Canceled, JobError
from callboard.actors.lxc.delivery import is_delivered
from callboard.actors.lxc.messages import RunDeviceCommands
from callboard.actors.lxc.work import ask
from callboard.actors.messages import ActionDone, ActionMessage, Done, GiveUp, JobData, Run
from callboard.actors.vland.work import deploy
from callboard.actors.work import IDLE, OWN, RECORDED, WORK
from callboard.definition.calls import LXC, VLAND, calls_after, calls_before
from callboard.definition.model import Call, PipelineAction
from callboard.events import ActionEnded, ActionStarted, Failure, Message, Result
from callboard.runtime import Actor, ActorRef, ActorStopped, Outcome, Reply


@define
class _Course:
    """How far a run of an action has come.

    Attributes:
        reply: The slot for its end.
        data: What each attempt begins with.
        deadline_s: When its time is up, in seconds of the clock.
        skipped: Why it is skipped, None when it isn't.
        attempt: The number of the attempt, from 1.
        left: The children that are still to run in it.
        child: The last that has been started.
        failed: How the last attempt that failed did so.
    """

    reply: Reply[Done]
    data: JobData
    deadline_s: float
    skipped: str | None = None
    attempt: int = 0
    left: Iterator[PipelineAction] = field(factory=lambda: iter(()))
    child: ActorRef[ActionMessage] | None = None
    failed: Done | None = None


class Action(Actor[ActionMessage]):
    """Runs one action; `Run` is answered with `Done` when it and its children have ended.

    While a child runs it is idle, so that a node has no task for each level of its pipeline.

    A leaf that callboard has no work for is the driver's; what the driver can't do is skipped.

    Args:
        plan: The action.
        context: Its job.
    """

    def __init__(self, plan: PipelineAction, context: JobContext) -> None:
        self.plan = plan
        self.job = context
        self._began_s = 0.0
        self._cut_short = False
        self._course: _Course | None = None

    async def receive(self, message: ActionMessage) -> Done | None:
        """Run the action; `Run` is answered when it and its children have ended."""
        if isinstance(message, Run):
            deadline_s = self.start(message)
            course = _Course(self.context.defer(message), message.data, deadline_s)
            self._course = course
            going = self._enter(course)
        elif isinstance(message, ActionDone) and self._course is not None and message.done:
            course = self._course
            going = self._child_done(course, message.done)
        else:
            return None
        try:
            await going
        except Exception as error:  # whatever goes wrong ends the action, not its actor
            if not self._is_ended(error):
                self._answer(course, self._failed(course.data, error))
        return None

    def _is_ended(self, error: Exception) -> bool:
        """Whether a child could not begin because this action is being ended; see `stopped`."""
        return isinstance(error, ActorStopped) and error.address == self.context.address

    async def stopped(self) -> None:
        """An action that is cut short is recorded all the same."""
        if self._course is not None:
            self._course = None
            self.end("fail", failure=self.failure(Canceled("the job was canceled")))

    def start(self, run: Run) -> float:
        """Record the start; returns when the action's time is up, in seconds of the clock."""
        self._began_s = anyio.current_time()
        self.emit(
            ActionStarted(
                self.job.job.id,
                self.plan.level,
                self.plan.name,
                self.plan.namespace,
                self.plan.duration_s,
            )
        )
        own_s = self._began_s + self.plan.duration_s
        self._cut_short = run.deadline_s < own_s
        return min(run.deadline_s, own_s)

    def end(
        self, result: Result, *, failure: Failure | None = None, reason: str | None = None
    ) -> None:
        """Record the end."""
        plan = self.plan
        recorded = result != "pass" or plan.name in RECORDED
        if failure is not None and plan.children and failure.action != self.label:
            recorded = False  # the child that failed has its own case
        self.emit(
            ActionEnded(
                self.job.job.id,
                plan.level,
                plan.name,
                plan.namespace,
                duration_s=round(anyio.current_time() - self._began_s, 6),
                result=result,
                recorded=recorded,
                reason=reason,
                error=failure,
            )
        )

    @property
    def label(self) -> str:
        """Level and name, as failures name the action."""
        return f"{self.plan.level} {self.plan.name}"

    def overdue(self) -> ActionError:
        """What to raise when the time is up: the action's own, or what was left above it."""
        if self._cut_short:
            limit = (
                f"the time of the action above it, or of the job ({self.job.job.timeouts.job_s} s)"
            )
            return JobError(f"{self.plan.name} was still running when {limit} was up")
        return JobError(f"{self.plan.name} did not end within {self.plan.duration_s} s")

    def emit(self, body: ActionStarted | ActionEnded | Message) -> None:
        """Record an event of this action."""
        self.job.journal.emit(self.context.address, body)

    def failure(self, error: Exception) -> Failure:
        """`error` as a failure of this action; an unforeseen one is a bug, with its traceback."""
        if isinstance(error, ActionError):
            return error.failure(self.label)
        if isinstance(error, OSError):
            return Failure("InfrastructureError", str(error), self.label)
        text = "".join(traceback.format_exception(error))
        self.emit(Message(self.job.job.id, "exception", text, self.plan.namespace))
        return Bug(f"{type(error).__name__}: {error}").failure(self.label)

    async def call(self, calls: Sequence[Call], data: JobData, deadline_s: float) -> JobData:
        """Make calls of this action to the group; returns `data` with what was received.

        Raises:
            ActionError: A call failed, or the action's time is up.
        """
        if not calls:
            return data
        with anyio.CancelScope(deadline=deadline_s) as scope:
            multinode = Calls(self.context.address, self.plan, self.job)
            for call in calls:
                if call.protocol == VLAND:
                    await deploy(self.job, self.plan, call)
                else:
                    data = await multinode.make(call, data)
            return data
        assert scope.cancelled_caught, "else it has returned"
        if self.job.protocol is not None:
            await self.job.protocol.tell(GiveUp())
        raise self.overdue()

    async def _call_container(self, deadline_s: float) -> None:
        """Make the calls of the LXC protocol; raises ActionError and OSError."""
        requests = [each.request for each in self.plan.calls if each.protocol == LXC]
        if not requests:
            return
        with anyio.CancelScope(deadline=deadline_s) as scope:
            for request in requests:
                await ask(self.job, RunDeviceCommands(request))
        if scope.cancelled_caught:
            raise self.overdue()

    async def _enter(self, course: _Course) -> None:
        """The calls that come first, then the work; a leaf that the driver can't do has none."""
        plan = self.plan
        delivers = self.job.download is not None and is_delivered(self.job.job, plan)
        if not (plan.children or plan.name in OWN or delivers):
            course.skipped = self.job.node.unable(plan.name)
        course.data = await self.call(calls_before(plan), course.data, course.deadline_s)
        await self._call_container(course.deadline_s)
        if course.skipped is not None:
            await self._conclude(course, Done(course.data))
        else:
            await self._go_on(course, await self._attempt(course))

    async def _go_on(self, course: _Course, done: Done | None) -> None:
        """Try until it is settled; `done` is how an attempt has ended, None while a child runs."""
        while done is not None:
            settled = await self._settled(course, done)
            if settled is not None:
                await self._conclude(course, settled)
                return
            done = await self._attempt(course)

    async def _settled(self, course: _Course, done: Done) -> Done | None:
        """What an attempt settles; None, after the interval, when another one is to be made.

        A retry action tries until it succeeds, or as often as `repeat` says.
        """
        repeat = self.plan.repeat
        attempts = repeat or self.plan.max_retries
        attempt = course.attempt
        if done.failure is None:
            if repeat is None:
                return done
        else:
            course.failed = done
            if repeat is None and (not done.retried or attempt == attempts):
                return done
            left = f"attempt {attempt} of {attempts} failed: {done.failure.message}"
            self.emit(Message(self.job.job.id, "warning", left, self.plan.namespace))
            if attempt < attempts:
                interval_s = self.plan.block.failure_retry_interval_s if self.plan.block else 1
                if anyio.current_time() + interval_s >= course.deadline_s:
                    return _without_time(done, f"{attempt} of {attempts}")
                await anyio.sleep(interval_s)
        return None if attempt < attempts else course.failed or done

    async def _attempt(self, course: _Course) -> Done | None:
        """Do the work, and begin with the children; returns how the attempt has ended, if so."""
        course.attempt += 1
        course.left = iter(self.plan.children)
        try:
            data = await self._work(course.data, course.deadline_s)
        except Exception as error:  # whatever goes wrong ends the action, not its actor
            return self._failed(course.data, error)
        return self._next(course, data)

    def _next(self, course: _Course, data: JobData) -> Done | None:
        """Have the next child run, which tells when it has ended; nothing waits for it here.

        Those on the way that have nothing to do need no actor.
        """
        for plan in course.left:
            if not self._idles(plan):
                break
            self._pass_by(plan)
        else:
            return Done(data)
        course.child = self.context.spawn(lambda: self.job.action(plan, self.job), _name(plan))
        run = Run(data, course.deadline_s)
        self.context.pipe(course.child, run, lambda outcome: self._ended(data, outcome))
        return None

    def _idles(self, plan: PipelineAction) -> bool:
        nothing = plan.name in IDLE and not (plan.children or plan.calls)
        return nothing and self.job.system(plan.namespace).idles(plan)

    def _pass_by(self, plan: PipelineAction) -> None:
        """Record a child that has nothing to do."""
        job, level, name, namespace = self.job.job.id, plan.level, plan.name, plan.namespace
        emit = partial(self.job.journal.emit, f"{self.context.address}/{_name(plan)}")
        emit(ActionStarted(job, level, name, namespace, plan.duration_s))
        recorded = name in RECORDED
        emit(ActionEnded(job, level, name, namespace, 0.0, "pass", recorded=recorded))

    def _ended(self, data: JobData, outcome: Outcome[Done]) -> ActionDone:
        if outcome.error is not None:
            return ActionDone(self._failed(data, outcome.error))
        return ActionDone(outcome.value)

    async def _child_done(self, course: _Course, done: Done) -> None:
        assert course.child is not None
        await course.child.stop()
        await self._go_on(course, done if done.failure else self._next(course, done.data))

    async def _conclude(self, course: _Course, done: Done) -> None:
        """The calls that a success is followed by; then the action has ended, and its actor."""
        after = calls_after(self.plan)
        if done.failure is None and after:
            data = await self.call(after, done.data, course.deadline_s)
            done = evolve(done, data=data)
        self._answer(course, done)

    def _answer(self, course: _Course, done: Done) -> None:
        self._course = None
        if done.failure is not None:
            self.end("fail", failure=done.failure)
        elif course.skipped is not None:
            self.end("skip", reason=course.skipped)
        else:
            self.end("pass")
        course.reply.send(done)
        self.context.stop()

    def _failed(self, data: JobData, error: Exception) -> Done:
        retried = isinstance(error, ActionError) and error.retried
        return Done(data, self.failure(error), retried=retried or isinstance(error, OSError))

    async def _work(self, data: JobData, deadline_s: float) -> JobData:
        work = WORK.get(self.plan.name)
        performance = self.job.system(self.plan.namespace).perform(self.plan)
        if work is None and performance is None:
            return data
        with anyio.CancelScope(deadline=deadline_s) as scope:
            if performance is not None:
                await performance
            if work is not None:
                data = await work(self.job, self.plan, data)
        if scope.cancelled_caught:
            raise self.overdue()
        return data


def _name(plan: PipelineAction) -> str:
    """The last part of the address of an action."""
    return f"action-{plan.level}"


def _without_time(failed: Done, attempt: str) -> Done:
    """A failure after which there was no time to try again (LAVA: retry actions)."""
    assert failed.failure is not None
    text = f"{failed.failure.message} (attempt {attempt}; no time was left for another)"
    return evolve(failed, failure=evolve(failed.failure, message=text))
