"""The action that runs a stage of test definitions and listens to what the device says."""

from collections.abc import Mapping
from typing import assert_never

import anyio
from attrs import define, field

from callboard.actors import signals
from callboard.actors.action import Action
from callboard.actors.context import JobContext
from callboard.actors.errors import (
    ActionError,
    Canceled,
    ConnectionClosedError,
    JobError,
    LAVATimeoutError,
    TestError,
)
from callboard.actors.messages import (
    ActionDone,
    ActionMessage,
    Answer,
    Attach,
    Call,
    CallAnswered,
    Closed,
    ConnectionMessage,
    DeadlinePassed,
    Detach,
    Done,
    Execute,
    GivenUp,
    GiveUp,
    Granted,
    JobData,
    Printed,
    Refused,
    Run,
    SendLines,
    SetAside,
    ShellReady,
)
from callboard.actors.replies import reply_lines
from callboard.actors.signals import ApiCall, Signal
from callboard.actors.steps import Steps
from callboard.definition.calls import calls_after, calls_before
from callboard.definition.model import PipelineAction, TestSource
from callboard.events import (
    Body,
    JobResult,
    LogLevel,
    Message,
    Result,
    TestCaseEnded,
    TestCaseResult,
    TestCaseStarted,
    TestRunEnded,
    TestRunStarted,
    Where,
)
from callboard.runtime import ActorRef, Outcome, Reply, Timer

TEST_SHELLS = frozenset({"multinode-test", "lava-test-shell"})
"""Names of the actions that run test definitions in a shell."""

_INTERRUPT = "\x03"
RUNNER_TOKEN = 0
"""Number of the shell command that is the runner; connections number theirs from 1."""


@define
class _TestRun:
    """The definition that is running on the device."""

    suite: str
    uuid: str
    began_s: float
    source: TestSource | None
    steps: Steps
    test_set: str | None = None
    cases: dict[str, float] = field(factory=dict[str, float])
    reported: set[str] = field(factory=set[str])

    @property
    def expected(self) -> tuple[str, ...]:
        """The cases that must be reported, and no others; empty when nobody says."""
        if self.source is None:
            return ()
        own = self.source.definition.expected if self.source.definition else ()
        return own if self.source.expected is None else self.source.expected


@define
class _Stage:
    """What one run of the action holds while the device runs its definitions."""

    data: JobData
    reply: Reply[Done]
    connection: ActorRef[ConnectionMessage]
    timer: Timer
    deadline_s: float
    waiting: int = 0
    run: _TestRun | None = None
    failures: int = 0
    install_failed: bool = False
    install_errors: list[str] = field(factory=list[str])


class TestShell(Action):
    """`multinode-test` and `lava-test-shell`: starts the runner, turns signals into results.

    Calls of the MultiNode API go to the job's protocol; the answer goes back to the device as
    short lines. While a call waits the device's output is still read, so that a test that runs
    in the background loses nothing.

    Args:
        plan: The action.
        context: Its job.
    """

    __test__ = False

    def __init__(self, plan: PipelineAction, context: JobContext) -> None:
        super().__init__(plan, context)
        self._stage: _Stage | None = None

    async def receive(self, message: ActionMessage) -> Done | None:
        """Handle one message; `Run` is answered when the runner has come to its end."""
        if isinstance(message, Run):
            return await self._begin(message)
        if self._stage is None or isinstance(message, ActionDone):
            return None  # news that crossed the end of the stage; and it has no children
        try:
            match message:
                case Printed(found):
                    for seen in found:
                        await self._signal(self._stage, seen.signal, seen.seq)
                        if self._stage is None:
                            break
                case ShellReady(status):
                    await self._ready(self._stage, status)
                case CallAnswered():
                    await self._answered(self._stage, message)
                case Closed():
                    raise ConnectionClosedError("the device closed its connection")
                case DeadlinePassed():
                    await self._expire(self._stage)
                case _:
                    assert_never(message)
        except Exception as error:  # whatever goes wrong ends the action, not its actor
            await self._finish(error)
        return None

    async def stopped(self) -> None:
        """A stage that is cut short is recorded all the same."""
        await self._finish(Canceled("the job was canceled"))

    async def _begin(self, run: Run) -> Done | None:
        deadline_s = self.start(run)
        data = run.data
        try:
            data = await self.call(calls_before(self.plan), data, deadline_s)
            connection, prepare = self._prepare(data)
        except anyio.get_cancelled_exc_class():
            self.end("fail", failure=self.failure(Canceled("the job was canceled")))
            raise
        except ActionError as error:
            failure = self.failure(error)
            self.end("fail", failure=failure)
            return Done(data, failure, error.retried)
        timer = self.context.call_after(deadline_s - anyio.current_time(), DeadlinePassed())
        self._stage = _Stage(data, self.context.defer(run), connection, timer, deadline_s)
        self.context.pipe(connection, Execute(prepare), lambda end: ShellReady(end.value))
        return None

    def _prepare(self, data: JobData) -> tuple[ActorRef[ConnectionMessage], str]:
        """The connection to use, and the command that readies its shell (LAVA: test shell)."""
        block = self.plan.block
        namespace = (block.connection_namespace if block else None) or self.plan.namespace
        connection = data.connections.get(namespace)
        if connection is None:
            raise JobError(f"namespace '{namespace}' has no open shell; boot before this test")
        overlay = data.overlays.get(self.plan.namespace)
        if overlay is None:
            raise JobError(
                f"namespace '{self.plan.namespace}' has no overlay; deploy before this test"
            )
        return connection, f"export SHELL={overlay.shell}; . '{overlay.root}/environment'"

    async def _ready(self, stage: _Stage, status: int | None) -> None:
        if status is None:
            raise ConnectionClosedError("the device closed its connection")
        if status != 0:
            raise JobError(f"reading the environment on the node failed with status {status}")
        root = stage.data.overlays[self.plan.namespace].root
        runner = f"'{root}/bin/lava-test-runner' '{root}/{self.plan.stage}'"
        report = f'echo "<LAVA_SHELL_STATUS {RUNNER_TOKEN} $?>"'
        # Not before: an earlier runner that was interrupted may have had its last word only now.
        await stage.connection.tell(Attach(self.context.ref))
        await self._set_aside(stage, aside=True)
        await stage.connection.tell(SendLines((f"{runner}; {report}",)))

    async def _expire(self, stage: _Stage) -> None:
        await stage.connection.tell(SendLines((_INTERRUPT,)))
        error = self.overdue()
        block = self.plan.block
        if isinstance(error, LAVATimeoutError) and block is not None and block.timeout_skip:
            self._log("warning", f"{error}; the time-out says skip, so the job goes on")
            await self._finish(None)
            return
        raise error

    def overdue(self) -> ActionError:
        """The tests of a group can't be skipped over (LAVA: time-outs by action)."""
        kind = TestError if self.plan.name == "multinode-test" else LAVATimeoutError
        return kind(str(super().overdue()))

    async def _finish(self, error: Exception | None) -> None:
        stage, self._stage = self._stage, None
        if stage is None:
            return
        stage.timer.cancel()
        if stage.run is not None:
            self._end_run(stage, stage.run, "fail")
        if error is None and stage.install_failed:
            error = self._install_error(stage)
        await stage.connection.tell(Detach())
        await self._set_aside(stage, aside=False)
        if stage.waiting and self.job.protocol is not None:
            await self.job.protocol.tell(GiveUp())
        data = stage.data.with_failures(stage.failures)
        if error is None:
            try:
                data = await self.call(calls_after(self.plan), data, stage.deadline_s)
            except ActionError as unmet:
                error = unmet
        failure = self.failure(error) if error is not None else None
        self.end("fail" if failure else "pass", failure=failure)
        retried = isinstance(error, ActionError) and error.retried
        stage.reply.send(Done(data, failure, retried))

    async def _set_aside(self, stage: _Stage, *, aside: bool) -> None:
        """While a test runs, what other namespaces' connections say is feedback."""
        for connection in stage.data.connections.values():
            if connection is not stage.connection:
                await connection.tell(SetAside(aside))

    @staticmethod
    def _install_error(stage: _Stage) -> TestError:
        unknown = "install.sh of a test definition failed"
        return TestError("; ".join(stage.install_errors) or unknown)

    # What the device says

    async def _signal(self, stage: _Stage, signal: Signal, seq: int | None) -> None:
        match signal:
            case signals.RunStarted():
                self._start_run(stage, signal, seq)
            case signals.RunEnded():
                if stage.run is not None and stage.run.suite == signal.suite:
                    self._end_run(stage, stage.run, "pass", seq)
            case signals.CaseStarted(case):
                run = self._running(stage, signal)
                run.cases[case] = anyio.current_time()
                self._say(TestCaseStarted(self.job.job.id, run.suite, case), seq)
            case signals.CaseEnded(case):
                run = self._running(stage, signal)
                self._say(TestCaseEnded(self.job.job.id, run.suite, case), seq)
            case signals.CaseResult():
                self._case(
                    stage,
                    signal.case,
                    signal.result,
                    seq,
                    measurement=signal.measurement,
                    units=signal.units,
                )
            case signals.CaseReference():
                self._case(stage, signal.case, signal.result, seq, reference=signal.reference)
            case signals.SetStarted(name):
                self._running(stage, signal).test_set = name
            case signals.SetStopped():
                self._running(stage, signal).test_set = None
            case signals.Raised(text):
                raise TestError(text)
            case signals.Noted(text):
                self._log("event", text)
            case signals.FeedbackAsked(namespace):
                if namespace not in stage.data.connections:
                    self._log("warning", f"no connection in namespace '{namespace}'")
            case signals.Malformed(text, fatal):
                if fatal:
                    raise TestError(text)
                self._log("error", text)
            case signals.InstallError(suite, text):
                stage.install_errors.append(f"the installation for {suite} failed: {text}")
            case signals.InstallFailed():
                stage.failures += 1
                if not stage.install_failed:
                    failure = self._install_error(stage).failure(self.label)
                    case = f"stage_{self.plan.stage}"
                    self._say(JobResult(self.job.job.id, case, "fail", failure), seq)
                stage.install_failed = True
            case signals.RunnerExited():
                await self._finish(None)
            case ApiCall():
                await self._call(stage, signal, seq)
            case signals.CallGivenUp():
                if self.job.protocol is not None:
                    await self.job.protocol.tell(GiveUp(signal.call, signal.id, signal.role))
            case signals.CommandEnded(token, status):
                if token == RUNNER_TOKEN:
                    raise TestError(f"the test runner was ended with status {status}")
            case _:
                assert_never(signal)

    def _running(self, stage: _Stage, signal: Signal) -> _TestRun:
        if stage.run is None:
            name = type(signal).__name__
            raise TestError(f"the device sent {name} while no test definition was running")
        return stage.run

    def _start_run(self, stage: _Stage, signal: signals.RunStarted, seq: int | None) -> None:
        if stage.run is not None:
            self._end_run(stage, stage.run, "fail")
        source = self._sources().get(signal.suite)
        definition = source.definition if source else None
        steps = (*definition.install.steps, *definition.run) if definition else ()
        stage.run = _TestRun(signal.suite, signal.uuid, anyio.current_time(), source, Steps(steps))
        self._say(TestRunStarted(self.job.job.id, signal.suite, signal.uuid), seq)

    def _end_run(
        self, stage: _Stage, run: _TestRun, result: Result, seq: int | None = None
    ) -> None:
        for case in run.expected:
            if case not in run.reported:
                self._log("error", f"the expected test case {case} was not reported")
                self._case(stage, case, "fail", seq)
        stage.run = None
        stage.failures += result == "fail"
        self._say(
            TestRunEnded(
                self.job.job.id,
                run.suite,
                run.uuid,
                self.plan.namespace,
                result,
                duration_s=self._since(run.began_s),
                repository=run.source.repository if run.source else None,
                path=run.source.path if run.source else None,
                revision=_revision(run.source),
                commit=run.source.fetched.commit if run.source and run.source.fetched else None,
            ),
            seq,
        )

    def _sources(self) -> Mapping[str, TestSource]:
        sources = (
            source
            for block in self.job.job.blocks
            if block.namespace == self.plan.namespace
            for source in block.definitions
        )
        return {f"{index}_{source.name}": source for index, source in enumerate(sources)}

    def _case(
        self,
        stage: _Stage,
        case: str,
        result: Result,
        seq: int | None,
        *,
        measurement: float | None = None,
        units: str | None = None,
        reference: str | None = None,
    ) -> None:
        if stage.run is None:
            raise TestError(f"the device reported case {case} while no definition was running")
        if stage.run.expected and case not in stage.run.expected:
            self._log("error", f"the test case {case} is not among those expected")
            result = "fail"
        stage.run.reported.add(case)
        duration_s = self._since(stage.run.cases.pop(case, anyio.current_time()))
        stage.failures += result == "fail"
        self._say(
            TestCaseResult(
                self.job.job.id,
                stage.run.suite,
                case,
                result,
                duration_s=duration_s,
                set=stage.run.test_set,
                measurement=measurement,
                units=units,
                reference=reference,
            ),
            seq,
        )

    # MultiNode calls

    async def _call(self, stage: _Stage, signal: ApiCall, seq: int | None) -> None:
        """Pass a call on; what doesn't wait is answered before the next signal is handled."""
        made_s = anyio.current_time()
        limit_s: float = self.job.job.wait_limit_s
        if signal.call == "send":  # a coordinator elsewhere may take long over it
            limit_s = min(limit_s, stage.deadline_s - made_s)
        call = Call(
            signal.call,
            signal.id,
            limit_s=limit_s,
            role=signal.role,
            data=signal.data or {},
            where=self._where(stage, signal),
            cause=seq,
            in_shell=True,
        )
        protocol = self.job.protocol
        if protocol is None:
            raise TestError(f"lava-{signal.call} needs a MultiNode job")
        suite = stage.run.suite if stage.run else None
        if signal.call == "send":
            answer = await protocol.ask(call)
            await self._answered(stage, CallAnswered(call, suite, answer, self._since(made_s)))
            return

        def answered(outcome: Outcome[Answer]) -> CallAnswered:
            answer = outcome.value or Refused(str(outcome.error))
            if isinstance(answer, Refused) and answer.overlooked:
                answer = Granted()
            return CallAnswered(call, suite, answer, self._since(made_s))

        stage.waiting += 1
        self.context.pipe(protocol, call, answered)

    def _where(self, stage: _Stage, signal: ApiCall) -> Where | None:
        """The step that calls, as far as it can be told; else the whole definition."""
        run = stage.run
        if run is None or run.source is None:
            return None
        place = run.source.place
        return run.steps.find(signal.call, signal.id, signal.role) or Where(
            place.file, place.line, place.column, run.source.name
        )

    async def _answered(self, stage: _Stage, message: CallAnswered) -> None:
        call, answer = message.call, message.answer
        stage.waiting -= call.call != "send"
        if call.call != "send" and not isinstance(answer, GivenUp):
            await stage.connection.tell(SendLines(tuple(reply_lines(call, answer))))
        if message.suite is None:
            raise TestError(f"lava-{call.call} {call.id} was called before a definition began")
        passed = isinstance(answer, Granted)
        stage.failures += not passed
        run = stage.run
        self._say(
            TestCaseResult(
                self.job.job.id,
                message.suite,
                f"multinode-{call.call.replace('-', '_')}-{call.id}".lower(),
                "pass" if passed else "fail",
                duration_s=message.waited_s,
                set=run.test_set if run is not None and run.suite == message.suite else None,
            ),
            call.cause,
        )

    def _log(self, level: LogLevel, text: str) -> None:
        self._say(Message(self.job.job.id, level, text, self.plan.namespace))

    def _say(self, body: Body, cause: int | None = None) -> None:
        self.job.journal.emit(self.context.address, body, cause)

    @staticmethod
    def _since(began_s: float) -> float:
        return round(anyio.current_time() - began_s, 6)


def _revision(source: TestSource | None) -> str | None:
    """What a source asks for, None when it leaves the choice to the repository."""
    if source is None:
        return None
    revision = source.options.get("revision") or source.options.get("branch")
    return None if revision is None else str(revision)
