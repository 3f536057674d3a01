"""An action of a pipeline: its calls, its own work, its children, under its time-out."""

import traceback
from collections.abc import Sequence

import anyio
from attrs import evolve

from callboard.actors.calls import Calls
from callboard.actors.context import JobContext
from callboard.actors.errors import ActionError, Bug, Canceled, JobError
from callboard.actors.messages import ActionMessage, Done, GiveUp, JobData, Run
from callboard.actors.work import RECORDED, WORK
from callboard.definition.calls import calls_after, calls_before
from callboard.definition.model import Call, PipelineAction
from callboard.events import ActionEnded, ActionStarted, Failure, Message, Result
from callboard.runtime import Actor, ActorRef


class Action(Actor[ActionMessage]):
    """Runs one action; `Run` is answered with `Done` when it and its children have ended.

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

    async def receive(self, message: ActionMessage) -> Done | None:
        """Run the action."""
        return await self._run(message) if isinstance(message, Run) else None

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
        """Make MultiNode calls of this action; returns `data` with what was received.

        Raises:
            ActionError: A call failed, or the action's time is up.
        """
        if not calls:
            return data
        with anyio.CancelScope(deadline=deadline_s) as scope:
            return await Calls(self.context.address, self.plan, self.job).make(calls, data)
        assert scope.cancelled_caught, "else it has returned"
        if self.job.protocol is not None:
            await self.job.protocol.tell(GiveUp())
        raise self.overdue()

    async def _run(self, run: Run) -> Done:
        deadline_s = self.start(run)
        reason = None
        if self.plan.name not in WORK and not self.plan.children:
            reason = self.job.node.unable(self.plan.name)
        try:
            done = await self._perform(run.data, deadline_s, skipped=reason is not None)
        except anyio.get_cancelled_exc_class():
            self.end("fail", failure=self.failure(Canceled("the job was canceled")))
            raise
        if done.failure is not None:
            self.end("fail", failure=done.failure)
        elif reason is not None:
            self.end("skip", reason=reason)
        else:
            self.end("pass")
        return done

    async def _perform(self, data: JobData, deadline_s: float, *, skipped: bool) -> Done:
        """The calls that come first, the work, and the calls that a success is followed by."""
        try:
            data = await self.call(calls_before(self.plan), data, deadline_s)
            done = Done(data) if skipped else await self._attempts(data, deadline_s)
            if done.failure is not None:
                return done
            return evolve(done, data=await self.call(calls_after(self.plan), done.data, deadline_s))
        except Exception as error:  # whatever goes wrong ends the action, not its actor
            return self._failed(data, error)

    async def _attempts(self, data: JobData, deadline_s: float) -> Done:
        """A retry action tries until it succeeds, or as often as `repeat` says."""
        repeat = self.plan.repeat
        attempts = repeat or self.plan.max_retries
        failed: Done | None = None
        done = Done(data)
        for attempt in range(1, attempts + 1):
            done = await self._attempt(data, deadline_s)
            if done.failure is None:
                if repeat is None:
                    return done
                continue
            failed = done
            if repeat is None and (not done.retried or attempt == attempts):
                break
            left = f"attempt {attempt} of {attempts} failed: {done.failure.message}"
            self.emit(Message(self.job.job.id, "warning", left, self.plan.namespace))
            if attempt < attempts:
                interval_s = self.plan.block.failure_retry_interval_s if self.plan.block else 1
                if anyio.current_time() + interval_s >= deadline_s:
                    return _without_time(failed, f"{attempt} of {attempts}")
                await anyio.sleep(interval_s)
        return failed or done

    async def _attempt(self, data: JobData, deadline_s: float) -> Done:
        try:
            data = await self._work(data, deadline_s)
        except Exception as error:  # whatever goes wrong ends the action, not its actor
            return self._failed(data, error)
        for child in self.plan.children:
            done = await self._child(child, Run(data, deadline_s))
            if done.failure is not None:
                return done
            data = done.data
        return Done(data)

    def _failed(self, data: JobData, error: Exception) -> Done:
        retried = isinstance(error, ActionError) and error.retried
        return Done(data, self.failure(error), retried=retried or isinstance(error, OSError))

    async def _work(self, data: JobData, deadline_s: float) -> JobData:
        work = WORK.get(self.plan.name)
        if work is None:
            return data
        with anyio.CancelScope(deadline=deadline_s) as scope:
            data = await work(self.job, self.plan, data)
        if scope.cancelled_caught:
            raise self.overdue()
        return data

    async def _child(self, plan: PipelineAction, run: Run) -> Done:
        name = f"action-{plan.level}"
        child: ActorRef[ActionMessage] = self.context.spawn(lambda: action(plan, self.job), name)
        try:
            return await child.ask(run)
        finally:
            with anyio.CancelScope(shield=True):
                await child.cancel()


def _without_time(failed: Done, attempt: str) -> Done:
    """A failure after which there was no time to try again (LAVA: retry actions)."""
    assert failed.failure is not None
    text = f"{failed.failure.message} (attempt {attempt}; no time was left for another)"
    return evolve(failed, failure=evolve(failed.failure, message=text))


def action(plan: PipelineAction, context: JobContext) -> Actor[ActionMessage]:
    """The actor that runs `plan`: test shells listen to the device, the others work alone."""
    from callboard.actors.testshell import TEST_SHELLS, TestShell  # it builds on Action

    return (TestShell if plan.name in TEST_SHELLS else Action)(plan, context)
