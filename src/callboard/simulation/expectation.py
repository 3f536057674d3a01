"""Compares how a rehearsal went with what a scenario expects of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from callboard.definition.model import Place
from callboard.events import CallAnswered, CallMade, Event, Health, JobCreated
from callboard.report import Case, Job, Run
from callboard.report.hopeless import HopelessWait
from callboard.simulation.scenario import (
    Expectations,
    ExpectedCall,
    ExpectedDuration,
    ExpectedError,
    ExpectedHealth,
    ExpectedResult,
)
from callboard.simulation.simulator import Outcome


@frozen
class Mismatch:
    """Something that came out otherwise than expected.

    Attributes:
        place: Where the expectation stands.
        expected: What should have been.
        found: What was instead.
    """

    place: Place
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, but {self.found}"


@frozen
class _Moment:
    """When something happened: the number of its event, and the virtual time in seconds."""

    seq: int
    time_s: float


@define
class Calls:
    """An observer that notes when calls first returned, or, if they only send, were made.

    Attributes:
        order: The calls.
    """

    order: Sequence[ExpectedCall]
    _roles: dict[int, str] = field(factory=dict[int, str])
    _asked: dict[int, str] = field(factory=dict[int, str])
    _first: dict[int, _Moment] = field(factory=dict[int, _Moment])
    _refused: dict[int, str] = field(factory=dict[int, str])

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        match event.body:
            case JobCreated(job=job, role=role):
                self._roles[job] = role or ""
            case CallMade(job=job, limit_s=limit_s) as call:
                if limit_s is None:
                    self._note(job, call.written, event)
                else:
                    self._asked[event.seq] = call.written
            case CallAnswered(job=job, result=result, reason=reason):
                asked = self._asked.pop(event.cause or 0, None)
                if asked is None:
                    return
                self._note(job, asked, event, reason if result != "pass" else None)
            case _:
                pass

    def first(self, number: int) -> _Moment | None:
        """The moment of a call of the order, None if there was none."""
        return self._first.get(number)

    def refusal(self, number: int) -> str | None:
        """Why a call of the order failed, None if no such call did."""
        return self._refused.get(number)

    def _note(self, job: int, call: str, event: Event, refused: str | None = None) -> None:
        role = self._roles.get(job, "")
        for number, expected in enumerate(self.order):
            if expected.role != role or not expected.call.matches(call):
                continue
            if refused is not None:
                self._refused.setdefault(number, refused)
            else:
                self._first.setdefault(number, _Moment(event.seq, event.time_s))


def compare(expect: Expectations, outcome: Outcome, run: Run, calls: Calls) -> tuple[Mismatch, ...]:
    """What of a rehearsal is not as expected, in the order of the file.

    Args:
        expect: What is expected.
        outcome: How the rehearsal ended.
        run: Its jobs and their results.
        calls: The calls that the order is about; it has observed the rehearsal.
    """
    found = (
        *_ending(expect, outcome),
        *(each for health in expect.health for each in _health(health, run.jobs)),
        *(each for error in expect.errors for each in _error(error, run.jobs)),
        *(each for result in expect.results for each in _result(result, run.jobs)),
        *_hopeless(expect, run.hopeless),
        *_order(expect.order, calls),
        *_duration(expect.duration, outcome.duration_s),
    )
    return tuple(sorted(found, key=lambda each: each.place))


def _ending(expect: Expectations, outcome: Outcome) -> Iterator[Mismatch]:
    if expect.status not in (None, outcome.status):
        expected = f"the status {expect.status}"
        yield Mismatch(expect.places["status"], expected, f"it is {outcome.status}")
    if expect.exit_code not in (None, outcome.exit_code):
        expected = f"the exit code {expect.exit_code}"
        yield Mismatch(expect.places["exit-code"], expected, f"it is {outcome.exit_code}")


def _health(expected: ExpectedHealth, jobs: Iterable[Job]) -> Iterator[Mismatch]:
    counts = Counter(job.health for job in _of(expected.role, jobs))
    if isinstance(expected.health, Mapping):
        wanted: Mapping[Health, int] = expected.health
        if counts == Counter({health: count for health, count in wanted.items() if count}):
            return
        what = f"{_counted(wanted)} among the jobs of `{expected.role}`"
    elif set(counts) <= {expected.health}:
        return
    else:
        what = f"{_whose(expected.role)} {expected.health}"
    yield Mismatch(expected.place, what, f"there are {_counted(counts)}")


def _counted(counts: Mapping[Health, int]) -> str:
    return " and ".join(f"{count} {health}" for health, count in sorted(counts.items()) if count)


def _error(expected: ExpectedError, jobs: Iterable[Job]) -> Iterator[Mismatch]:
    wrong = [
        job
        for job in _of(expected.role, jobs)
        if expected.error != (None if job.error is None else job.error.type)
    ]
    if wrong:
        what = "no error" if expected.error is None else f"the error {expected.error}"
        told = [
            "has none" if job.error is None else f"has {job.error.type}: {job.error.message}"
            for job in wrong
        ]
        yield Mismatch(expected.place, f"{what} of {_whose(expected.role)}", _first_of(wrong, told))


def _result(expected: ExpectedResult, jobs: Iterable[Job]) -> Iterator[Mismatch]:
    wrong: list[Job] = []
    told: list[str] = []
    for job in _of(expected.role, jobs):
        cases = [
            case for case in job.cases if (case.suite, case.case) == (expected.suite, expected.case)
        ]
        other = next((case for case in cases if case.result != expected.result), None)
        if other is not None or not cases:
            wrong.append(job)
            told.append("has no such result" if other is None else _said(other))
    if wrong:
        name = f"{expected.suite}/{expected.case}"
        what = f"{expected.result} as {name} of {_whose(expected.role)}"
        yield Mismatch(expected.place, what, _first_of(wrong, told))


def _said(case: Case) -> str:
    reason = case.reason or (case.error.message if case.error else None)
    return f"has {case.result}" + (f": {reason}" if reason else "")


def _hopeless(expect: Expectations, waits: Sequence[HopelessWait]) -> Iterator[Mismatch]:
    if expect.hopeless is None:
        return
    found = {wait.role or "": wait for wait in reversed(waits)}
    wanted = {each.role for each in expect.hopeless}
    for each in expect.hopeless:
        if each.role not in found:
            yield Mismatch(each.place, f"a hopeless wait of `{each.role}`", "it has none")
    for role, wait in found.items():
        if role not in wanted:
            where = f" ({wait.where.file}:{wait.where.line})" if wait.where else ""
            told = f"job {wait.job} waited in vain in {wait.call}{where}"
            no_wait = f"no hopeless wait of `{role}`" if role else "no hopeless wait"
            place = expect.places["hopeless"]
            yield Mismatch(place, no_wait, told)


def _order(order: Sequence[ExpectedCall], calls: Calls) -> Iterator[Mismatch]:
    before: tuple[ExpectedCall, _Moment] | None = None
    for number, expected in enumerate(order):
        moment = calls.first(number)
        if moment is None:
            refusal = calls.refusal(number)
            told = f"it failed: {refusal}" if refusal else "no node ever came past it"
            yield Mismatch(expected.place, f"`{_named(expected)}`", told)
            continue
        if before is not None and moment.seq < before[1].seq:
            what = f"`{_named(expected)}` after `{_named(before[0])}`"
            told = f"it came first, at {moment.time_s:g} s and {before[1].time_s:g} s"
            yield Mismatch(expected.place, what, told)
        before = expected, moment


def _named(call: ExpectedCall) -> str:
    return f"{call.role}: {call.call}" if call.role else str(call.call)


def _duration(expected: ExpectedDuration | None, duration_s: float) -> Iterator[Mismatch]:
    if expected is None:
        return
    least_s, most_s = expected.at_least_s, expected.at_most_s
    if duration_s < least_s:
        yield Mismatch(expected.place, f"at least {least_s:g} s", f"it lasted {duration_s:g} s")
    if most_s is not None and duration_s > most_s:
        yield Mismatch(expected.place, f"at most {most_s:g} s", f"it lasted {duration_s:g} s")


def _of(role: str | None, jobs: Iterable[Job]) -> list[Job]:
    return [job for job in jobs if role is None or job.role == role]


def _whose(role: str | None) -> str:
    return f"every job of `{role}`" if role else "every job"


def _first_of(jobs: Sequence[Job], told: Sequence[str]) -> str:
    """What the first of some jobs has, and how many more have not what is expected."""
    more = f" (and {len(jobs) - 1} more)" if len(jobs) > 1 else ""
    return f"job {jobs[0].id} {told[0]}{more}"
