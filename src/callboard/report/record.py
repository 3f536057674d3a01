"""What the events of a run come to: its jobs, their results, and the lines of their logs."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta, timezone

from attrs import define, evolve, field, frozen

from callboard.events import (
    ActionEnded,
    CallAnswered,
    ConsoleOutput,
    Event,
    Failure,
    Health,
    JobCreated,
    JobEnded,
    JobResult,
    JobStarted,
    LinksChanged,
    Result,
    RunEnded,
    RunStarted,
    Status,
    TestCaseEnded,
    TestCaseResult,
    TestCaseStarted,
    TestRunEnded,
    TestRunStarted,
)
from callboard.report.hopeless import HopelessWait, HopelessWaits
from callboard.report.log import Entry, entries

CUT_SHORT = Failure("Canceled", "the run was cut off before this job ended")
"""The error of a job whose run left no end in the log."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - datetime.UTC is the same


@frozen
class Case:
    """A result.

    Attributes:
        suite: The definition's suite, e.g. `0_smoke`, or `lava`.
        case: Name of the test case, action or definition.
        line: Line of the job's output.yaml that has the result.
        level: Level of the action, for cases that are actions.
        reason: Why an action was skipped, or a call of the MultiNode API failed.
        error: Why it failed, as far as known.
        first_line, last_line: Where in output.yaml the case's output begins and ends.
        uuid: The run of a definition, for cases that are definitions.
        repository: Where such a definition is from, None when it is written in line.
        revision: What was asked for, `unspecified` when that was left to the repository.
        commit: The commit that was run, None when it isn't from git.
        path: The definition's file, for cases that are definitions.
        hopeless: The wait in vain that made it fail, if one did.
    """

    suite: str
    case: str
    result: Result
    line: int
    set: str | None = None
    measurement: float | None = None
    units: str | None = None
    reference: str | None = None
    duration_s: float | None = None
    namespace: str | None = None
    level: str | None = None
    reason: str | None = None
    error: Failure | None = None
    first_line: int | None = None
    last_line: int | None = None
    uuid: str | None = None
    path: str | None = None
    repository: str | None = None
    revision: str | None = None
    commit: str | None = None
    hopeless: HopelessWait | None = None


@frozen
class Job:
    """One node's job. `finished_s` is None when the run was cut off before its end."""

    id: int
    sub_id: int
    role: str | None
    device: str
    driver: str
    health: Health
    error: Failure | None
    started_s: float | None
    finished_s: float | None
    cases: tuple[Case, ...]

    def result(self, name: str) -> Result | None:
        """The last result of a test case, e.g. `0_serve/page`; None if it has none."""
        found = (
            case.result for case in reversed(self.cases) if f"{case.suite}/{case.case}" == name
        )
        return next(found, None)


@frozen
class Run:
    """A run. `ended` is False when its log has no end, as after `kill -9`.

    `hopeless` are the waits that nobody satisfied and nobody could have, in order.
    """

    group: str
    name: str
    status: Status
    exit_code: int
    duration_s: float
    ended: bool
    started_at: datetime
    jobs: tuple[Job, ...]
    hopeless: tuple[HopelessWait, ...] = ()


@frozen
class _Unmet:
    """Why a call failed; `hopeless` if nobody could have satisfied it."""

    reason: str
    hopeless: HopelessWait | None


@define
class _OpenJob:
    """A job while its events are read."""

    created: JobCreated
    started_s: float | None = None
    finished_s: float | None = None
    health: Health = "incomplete"
    error: Failure | None = CUT_SHORT
    lines: int = 0
    cases: list[Case] = field(factory=list[Case])
    unmet: dict[str, _Unmet] = field(factory=dict[str, _Unmet])
    in_vain: dict[str, HopelessWait] = field(factory=dict[str, HopelessWait])
    ends_with: HopelessWait | None = None
    next_begins: bool = False
    begins: dict[str, int] = field(factory=dict[str, int])
    ends: dict[str, int] = field(factory=dict[str, int])

    def trace(self, text: str) -> None:
        """Note, by the shell's trace, that a definition goes on after a call, or the next begins.

        The next one's first lines can be there before the end of this one is known.
        """
        if text.startswith("+ TESTRUN_ID="):
            self.next_begins = True
        elif text.startswith("+") and not self.next_begins:
            self.ends_with = None

    def closed(self) -> Job:
        created = self.created
        return Job(
            created.job,
            created.sub_id,
            created.role,
            created.device,
            created.driver,
            self.health,
            self.error,
            self.started_s,
            self.finished_s,
            tuple(self.cases),
        )


class Recorder:
    """Folds events, one after the other; holds results, but no console output.

    Args:
        write: Is given each line of each job's log, with the job's id.
    """

    def __init__(self, write: Callable[[int, Entry], None] = lambda _job, _entry: None) -> None:
        self._write = write
        self._run: RunStarted | None = None
        self._ended: RunEnded | None = None
        self._jobs: dict[int, _OpenJob] = {}
        self._signal_lines: dict[int, int] = {}
        self._hopeless = HopelessWaits()
        self._last_s = 0.0

    def add(self, event: Event) -> None:
        """Take the next event."""
        self._last_s = event.time_s
        match event.body:
            case RunStarted():
                self._run = event.body
            case RunEnded():
                self._ended = event.body
            case JobCreated():
                self._jobs[event.body.job] = _OpenJob(event.body)
            case LinksChanged(ends=ends):
                for number in sorted({job for end in ends for job in end} & self._jobs.keys()):
                    self._add(self._jobs[number], event)
            case _:
                job = self._jobs.get(getattr(event.body, "job", -1))
                if job is not None:
                    self._add(job, event)

    def _add(self, job: _OpenJob, event: Event) -> None:
        body, line = event.body, job.lines + 1
        wait = self._hopeless.add(event, job.created.role)
        cause = self._signal_lines.get(event.cause or 0)
        match body:
            case ConsoleOutput(text=text):
                if "<LAVA_" in text:
                    self._signal_lines[event.seq] = line
                job.trace(text)
            case TestCaseStarted(case=case) if cause is not None:
                job.begins[case] = cause
            case TestRunStarted():
                job.ends_with, job.next_begins = None, False
            case TestCaseEnded(case=case) if cause is not None:
                job.ends[case] = cause
            case JobStarted():
                job.started_s = event.time_s
            case JobEnded(health=health, error=error):
                job.finished_s = event.time_s
                job.health, job.error = health, error
            case CallAnswered(result="fail" | "unknown"):
                case = f"multinode-{body.call.replace('-', '_')}-{body.id}".lower()
                reason = body.reason or "the call failed"
                job.unmet[case] = _Unmet(reason, wait)
                if wait is not None:
                    job.in_vain[reason] = wait
            case _:
                pass
        first = last = None
        unmet: _Unmet | None = None
        if isinstance(body, TestCaseResult):
            unmet = job.unmet.pop(body.case, None)
            job.ends_with = unmet.hopeless if unmet else None
            first, last = job.begins.pop(body.case, None), job.ends.pop(body.case, None)
        for entry in entries(event, first, last):
            job.lines += 1
            self._write(job.created.job, entry)
        for found in _cases(body, job.lines, first, last, unmet):
            job.cases.append(_with_cause(job, found))

    def run(self) -> Run:
        """The run as far as its events go."""
        run = self._run or RunStarted(0, "", "", multinode=False, jobs=0, started_at=None)
        ended = self._ended or RunEnded("incomplete", 3, self._last_s)
        return Run(
            run.group,
            run.name,
            ended.status,
            ended.exit_code,
            ended.duration_s,
            self._ended is not None,
            started_at(run),
            tuple(job.closed() for job in self._jobs.values()),
            tuple(self._hopeless),
        )


def fold(events: Iterable[Event]) -> Run:
    """The run that these events tell of; a log that was cut off is told as far as it goes."""
    recorder = Recorder()
    for event in events:
        recorder.add(event)
    return recorder.run()


def started_at(run: RunStarted) -> datetime:
    """When a run began; in virtual time, where nothing has a date, the epoch."""
    return datetime.fromisoformat(run.started_at) if run.started_at else _EPOCH


def moment(began: datetime, time_s: float) -> datetime:
    """The date of what happened `time_s` seconds after `began`."""
    return began + timedelta(seconds=time_s)


def _with_cause(job: _OpenJob, case: Case) -> Case:
    """A failure for want of others, be it of a whole definition, an action or the job, says so."""
    if case.result != "fail" or case.hopeless is not None:
        return case
    if case.uuid is not None:  # a definition ends at the call that fails, unless it goes on
        return evolve(case, hopeless=job.ends_with)
    return evolve(case, hopeless=job.in_vain.get(case.error.message)) if case.error else case


def _cases(
    body: object, line: int, first: int | None, last: int | None, unmet: _Unmet | None
) -> Iterator[Case]:
    match body:
        case TestCaseResult():
            yield Case(
                body.suite,
                body.case,
                body.result,
                line,
                set=body.set,
                measurement=body.measurement,
                units=body.units,
                reference=body.reference,
                duration_s=body.duration_s,
                reason=unmet.reason if unmet else None,
                first_line=first,
                last_line=last,
                hopeless=unmet.hopeless if unmet else None,
            )
        case TestRunEnded():
            yield Case(
                "lava",
                body.suite,
                body.result,
                line,
                duration_s=body.duration_s,
                namespace=body.namespace,
                uuid=body.uuid,
                path=body.path,
                repository=body.repository,
                revision=(body.revision or "unspecified") if body.repository else None,
                commit=body.commit,
            )
        case ActionEnded(recorded=True):
            yield Case(
                "lava",
                body.name,
                body.result,
                line,
                duration_s=body.duration_s,
                namespace=body.namespace,
                level=body.level,
                reason=body.reason,
                error=body.error,
            )
        case JobResult():
            yield Case("lava", body.case, body.result, line, error=body.error)
        case JobEnded():
            result: Result = "pass" if body.health == "complete" else "fail"
            yield Case("lava", "job", result, line, duration_s=body.duration_s, error=body.error)
        case _:
            pass
