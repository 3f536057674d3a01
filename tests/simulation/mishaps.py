"""Random models and faults of the groups in `tests.simulation.definitions`, as files hold them."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from attrs import define, field

from callboard.events import (
    ActionEnded,
    ActionStarted,
    CallAnswered,
    CallMade,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    Message,
    RunEnded,
)
from callboard.simulation.faults import DRAWN_KINDS

ACTIONS = (
    "*",
    "*-boot",
    "*-download",
    "deployimages",
    "expect-shell-connection",
    "export-device-env",
    "finalize",
    "lava-overlay",
    "login-action",
    "power-off",
)


def times(most_s: float) -> st.SearchStrategy[Any]:
    """Times up to about so many seconds."""
    one = st.floats(0, most_s).map(lambda time_s: round(time_s, 3))
    pairs = st.lists(one, min_size=2, max_size=2)
    return st.one_of(
        one,
        pairs.map(sorted).map(lambda pair: {"uniform": pair}),
        pairs.map(lambda pair: {"normal": pair}),
        one.map(lambda mean: {"exponential": mean}),
    )


def targets(roles: Sequence[str]) -> st.SearchStrategy[Any]:
    """Nodes of some roles; the same node may be meant twice."""
    role = st.sampled_from(roles)
    first = role.map(lambda name: {"role": name, "node": 1})
    one = st.one_of(role, first, role.map(lambda name: {"any": name}))
    return st.one_of(one, st.lists(one, min_size=1, max_size=3))


@st.composite
def ends(draw: st.DrawFn, roles: Sequence[str]) -> Any:
    """All links of some nodes, or those between two ends."""
    role = st.sampled_from(roles)
    one = st.one_of(role, role.map(lambda name: {"any": name}))
    between = st.lists(one, min_size=2, max_size=2).map(lambda two: {"between": two})
    return draw(st.one_of(targets(roles), between))


def conditions() -> st.SearchStrategy[Any]:
    """What links may be like."""
    lossy = st.fixed_dictionaries({"loss": st.sampled_from((0, 0.5, "10%", 1))})
    slow = st.fixed_dictionaries({"rate": st.sampled_from(("1kbit", "1Mbit", "1000Gbit"))})
    late = st.fixed_dictionaries(
        {"delay": st.sampled_from((0.5, "20ms")), "jitter": st.just("5ms")}
    )
    return st.one_of(lossy, slow, late, st.just({"cut": True}))


def moments() -> st.SearchStrategy[Any]:
    """When faults begin."""
    places = st.one_of(
        st.fixed_dictionaries({"action": st.sampled_from(ACTIONS)}),
        st.fixed_dictionaries({"step": st.sampled_from(("*", "probe-*", "./unseen.sh"))}),
        st.fixed_dictionaries({"call": st.sampled_from(("*", "lava-wait*", "lava-sync*"))}),
    )
    numbered = st.tuples(places, st.integers(1, 3)).map(lambda it: it[0] | {"occurrence": it[1]})
    return st.one_of(st.fixed_dictionaries({"time": times(40)}), numbered)


@st.composite
def faults(draw: st.DrawFn, roles: Sequence[str]) -> dict[str, Any]:
    """One rule of a faults file."""
    kind = draw(st.sampled_from((*DRAWN_KINDS, "impair", "heal", "crash", "draw")))
    at, lasts = draw(moments()), draw(st.none() | times(60))
    known = {} if lasts is None else {"for": lasts}
    whom = draw(targets(roles))
    match kind:
        case "crash":
            return {"crash": "coordinator", "at": {"time": draw(times(40))}} | known
        case "draw":
            kinds = draw(st.lists(st.sampled_from(DRAWN_KINDS), min_size=1, unique=True))
            return {"draw": kinds, "rate": draw(st.sampled_from((0.1, 0.5, 1))), "within": 60}
        case "refuse":
            return {"refuse": whom, "times": draw(st.integers(1, 3))}
        case "kill":
            return {"kill": whom, "at": at}
        case "reboot":
            return {"reboot": whom, "at": at, "takes": draw(times(60))}
        case "hang":
            return {"hang": whom, "at": at} | known
        case "slow":
            return {"slow": whom, "factor": draw(st.sampled_from((0.001, 2, 1_000_000)))} | known
        case "delay":
            return {"delay": whom, "by": draw(times(20)), "at": at} | known
        case "partition":
            return {"partition": whom, "at": at} | known
        case "cut":
            return {"cut": draw(ends(roles)), "at": at} | known
        case "impair":
            return {"impair": draw(ends(roles)), "with": draw(conditions()), "at": at} | known
        case "heal":
            return {"heal": draw(ends(roles)), "at": at}
        case _:
            return {kind: whom, "probability": draw(st.floats(0, 1)), "at": at} | known


@st.composite
def passing(draw: st.DrawFn, roles: Sequence[str]) -> dict[str, Any]:
    """A fault of messages or of the coordinator that those who resend and wait get over."""
    kind = draw(st.sampled_from(("lose", "duplicate", "reorder", "delay", "partition", "crash")))
    whom = draw(targets(roles))
    match kind:
        case "crash":
            at = {"time": draw(times(20))}
            return {"crash": "coordinator", "at": at, "for": draw(times(10))}
        case "partition":
            return {"partition": whom, "at": {"time": draw(times(20))}, "for": draw(times(30))}
        case "delay":
            return {"delay": whom, "by": draw(times(5)), "probability": draw(st.floats(0, 1))}
        case _:
            return {kind: whom, "probability": draw(st.floats(0, 0.8))}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    """A model in which things may take long and fail."""
    fails = st.sampled_from((0, 0.5, 1))
    rule = st.fixed_dictionaries({"takes": times(60), "fails": fails})
    rules = draw(st.lists(st.tuples(st.sampled_from(ACTIONS), rule), max_size=2))
    actions = [{"action": name} | each for name, each in rules]
    return {"actions": actions, "latency": draw(times(1))}


@define
class Protocol:
    """Notes in what a rehearsal is unsound, whatever goes wrong in it.

    Attributes:
        wrong: What is wrong.
        answers: How each job's calls were answered.
        ends: How the jobs ended.
    """

    wrong: list[str] = field(factory=list[str])
    answers: list[tuple[int, str]] = field(factory=list[tuple[int, str]])
    ends: dict[int, JobEnded] = field(factory=dict[int, JobEnded])
    _jobs: dict[int, None] = field(factory=dict[int, None])
    _calls: dict[int, CallMade] = field(factory=dict[int, CallMade])
    _finalizing: dict[int, bool] = field(factory=dict[int, bool])
    _over: bool = False
    _time_s: float = 0.0

    def __call__(self, event: Event) -> None:
        if event.time_s < self._time_s or self._over:
            self.wrong.append(f"it comes too late: {event}")
        self._time_s = event.time_s
        match event.body:
            case JobCreated(job=job):
                self._jobs[job] = None
            case JobEnded(job=job) as ended:
                self._job_ended(job, ended)
            case ActionStarted(job=job, name="finalize"):
                self._finalizing[job] = True
            case ActionEnded(job=job, name=name, error=error):
                self._doubt(error)
                if name == "finalize":
                    self._finalizing[job] = False
            case CallMade() as call:
                self._calls[event.seq] = call
            case CallAnswered(job=job, result=result):
                self.answers.append((job, result))
                if self._calls.pop(event.cause or 0, None) is None:
                    self.wrong.append(f"nobody has asked: {event}")
            case Message(level="exception", text=text):
                self.wrong.append(text)
            case RunEnded():
                self._over = True
            case _:
                pass

    def close(self, exit_code: int) -> None:
        """The rehearsal is over."""
        healthy = all(each.health == "complete" for each in self.ends.values())
        failed = any(result == "fail" for _, result in self.answers)
        if exit_code not in ((0, 1, 4) if healthy else (3, 4)) or (failed and exit_code == 0):
            self.wrong.append(f"exit code {exit_code}: {self.ends}, {self.answers}")
        left = [job for job in self._jobs if job not in self.ends]
        unfinished = [job for job, finalizing in self._finalizing.items() if finalizing]
        if left or unfinished or not self._over:
            self.wrong.append(f"without an end: {left}, finalising: {unfinished}")

    def _job_ended(self, job: int, ended: JobEnded) -> None:
        self._doubt(ended.error)
        unanswered = [call for call in self._calls.values() if call.job == job]
        if unanswered or job in self.ends or job not in self._finalizing:
            self.wrong.append(f"{ended}, but unanswered: {unanswered}")
        self.ends[job] = ended

    def _doubt(self, error: Failure | None) -> None:
        if error is not None and error.type == "Bug":
            self.wrong.append(str(error))
