"""A node dies at each of its calls in turn: who needs it learns it at once, and who is to blame."""

from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from attrs import define, field
from hypothesis import event, given, note, settings
from tests.simulation.definitions import loaded, texts

from callboard.definition import load
from callboard.definition.model import Definition, Place
from callboard.events import ActionEnded, CallAnswered, CallMade, Event, JobEnded, WaitHopeless
from callboard.flow.check import check
from callboard.simulation.faults import AtCall, Faults, Kill, Target
from callboard.simulation.pattern import ANY
from callboard.simulation.simulator import Outcome, prepare

HERE = Place("faults.yaml", 1, 1)
AT_ONCE_S = 1.0
"""What it takes at most to see that a wait is hopeless once nothing happens any more."""


@define
class Watch:
    """What becomes of the calls of a rehearsal."""

    made: dict[int, int] = field(factory=dict[int, int])
    last_sign_s: float = 0.0
    late: list[str] = field(factory=list[str])
    slow: list[str] = field(factory=list[str])
    blamed: dict[int, tuple[int, ...]] = field(factory=dict[int, tuple[int, ...]])
    failed: dict[int, CallAnswered] = field(factory=dict[int, CallAnswered])

    def __call__(self, each: Event) -> None:
        match each.body:
            case CallMade(call="start"):
                self.last_sign_s = each.time_s
            case CallMade() as made:
                self.made[made.job] = self.made.get(made.job, 0) + 1
                self.last_sign_s = each.time_s
            case JobEnded() | ActionEnded(result="fail"):
                self.last_sign_s = each.time_s
            case WaitHopeless() as found:
                self.blamed[each.cause or 0] = found.culprits
            case CallAnswered(result="fail", reason=reason) as answer:
                self.failed[each.cause or 0] = answer
                if "within" in (reason or ""):
                    self.late.append(str(answer))
                if each.time_s > self.last_sign_s + AT_ONCE_S:
                    self.slow.append(str(answer))
            case _:
                pass


def killed(definition: Definition, role: str, occurrence: int, seed: int) -> tuple[Outcome, Watch]:
    """A rehearsal in which the first node of a role dies just before one of its calls."""
    moment = AtCall(ANY, HERE, occurrence)
    kill = Kill(targets=(Target(role, HERE, node=1),), at=moment, place=HERE)
    watch = Watch()
    return prepare(definition, faults=Faults((kill,))).run(seed, [watch]), watch


def calls_made(definition: Definition, seed: int) -> Mapping[int, int]:
    """How many calls each job makes once it has begun, if nothing goes wrong."""
    watch = Watch()
    prepare(definition).run(seed, [watch])
    return watch.made


def first_jobs(definition: Definition) -> Mapping[str, int]:
    """The first job of each role."""
    found, job = {}, 1
    for role in definition.roles:
        if role.count:
            found[role.name] = job
            job += role.count
    return found


def verify(definition: Definition, role: str, job: int, occurrence: int, seed: int) -> None:
    outcome, watch = killed(definition, role, occurrence, seed)
    assert watch.late == [], "a wait is not failed before its limit"
    assert watch.slow == [], "a wait is failed later than it could be"
    for cause in watch.failed:
        assert watch.blamed[cause] == (job,), watch.failed[cause]
    assert outcome.exit_code == (4 if watch.failed else 3)


@pytest.mark.parametrize(
    "name", ["demo", "two-roles", "send-wait", "sync", "wait-all", "wait-all-role"]
)
def test_whoever_dies_at_whichever_call_is_blamed_at_once(name: str) -> None:
    definition = load(f"scenarios/{name}.yaml")
    calls = calls_made(definition, 1)
    for role, job in first_jobs(definition).items():
        for occurrence in range(1, calls[job] + 1):
            verify(definition, role, job, occurrence, seed=occurrence)


@pytest.mark.parametrize("kind", ["straight", "crossed"])
@settings(max_examples=max(1, settings().max_examples // 5))
@given(data=st.data())
def test_in_any_group_that_completes_the_dead_one_is_blamed(kind: str, data: st.DataObject) -> None:
    text = data.draw(texts(kind))
    note(text)
    definition = loaded(text)
    if definition is None or not check(definition).completes:
        event("left out")
        return
    seed = data.draw(st.integers(0, 1_000_000))
    calls = calls_made(definition, seed)
    jobs = {role: job for role, job in first_jobs(definition).items() if calls.get(job)}
    if not jobs:
        event("no calls")
        return
    role = data.draw(st.sampled_from(sorted(jobs)))
    verify(definition, role, jobs[role], data.draw(st.integers(1, calls[jobs[role]])), seed)
