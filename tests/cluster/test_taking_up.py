"""A group whose leaders die at any moment ends as if nobody had."""

import itertools
from collections import Counter
from collections.abc import Set
from functools import cache

import hypothesis.strategies as st
import pytest
from attrs import define, frozen
from hypothesis import example, given, settings
from tests.cluster.troupe import SCENARIOS, Troupe, play, play_cut

from callboard.events import (
    CallAnswered,
    CallMade,
    Event,
    JobCreated,
    JobEnded,
    RunEnded,
    RunStarted,
    TestCaseResult,
    TestRunEnded,
    WaitHopeless,
)
from callboard.simulation.production import Production
from callboard.simulation.simulator import Rehearsal

NAMES = [
    "barrier",
    "demo",
    "essential",
    "iperf",
    "misspelt",
    "never-started",
    "ssh-guests",
    "start-data",
]


@frozen
class Verdict:
    """What a user learns of a group, without when it happened.

    How far a job had come that was cancelled is a matter of moments.

    Attributes:
        ended: Status and exit code.
        jobs: Health and error of each job.
        results: Of test cases and definitions.
        answers: How calls came out.
        hopeless: Waits that were given up.
    """

    ended: tuple[str, int]
    jobs: frozenset[tuple[int, str, str | None]]
    results: frozenset[tuple[object, ...]]
    answers: frozenset[tuple[tuple[object, ...], int]]
    hopeless: frozenset[tuple[object, ...]]


@cache
def rehearsal(name: str) -> Rehearsal:
    stage = Production.load(SCENARIOS / f"{name}.scenario.yaml").stage
    return stage.rehearsal()


def verdict(events: list[Event]) -> Verdict:
    bodies = [each.body for each in events]
    [ended] = [each for each in bodies if isinstance(each, RunEnded)]
    ends = [each for each in bodies if isinstance(each, JobEnded)]
    cancelled = {each.job for each in ends if each.health == "canceled"}
    results: set[tuple[object, ...]] = set()
    answers: Counter[tuple[object, ...]] = Counter()
    for body in bodies:
        match body:
            case TestCaseResult(job) | TestRunEnded(job) | CallAnswered(job) if job in cancelled:
                pass
            case TestCaseResult(job, suite, case, result) | TestRunEnded(
                job, suite, case, _, result
            ):
                results.add((job, suite, case, result))
            case CallAnswered(job, call, name, result):
                answers[job, call, name, result] += 1
            case _:
                pass
    return Verdict(
        (ended.status, ended.exit_code),
        frozenset(
            (each.job, each.health, each.error.type if each.error else None) for each in ends
        ),
        frozenset(results),
        frozenset(answers.items()),
        frozenset(
            (each.job, each.call, each.id) for each in bodies if isinstance(each, WaitHopeless)
        ),
    )


def check_log(events: list[Event], lost: Set[int] = frozenset()) -> None:
    """It is one log, as any run has it; who is lost may have heard no answer any more."""
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert [each.time_s for each in events] == sorted(each.time_s for each in events)
    assert isinstance(events[0].body, RunStarted)
    assert isinstance(events[-1].body, RunEnded)
    once = Counter(
        (type(each.body), each.body.job)
        for each in events
        if isinstance(each.body, JobCreated | JobEnded)
    )
    assert set(once.values()) == {1}
    calls = {each.seq: each.body for each in events if isinstance(each.body, CallMade)}
    assert all(each.cause is None or each.cause < each.seq for each in events)
    answered: Counter[int] = Counter()
    for each in events:
        if isinstance(each.body, CallAnswered | WaitHopeless):
            assert each.cause is not None
            call = calls[each.cause]
            assert (call.job, call.call, call.id) == (each.body.job, each.body.call, each.body.id)
        if isinstance(each.body, CallAnswered):
            assert each.cause is not None
            answered[each.cause] += 1
    assert answered == Counter(
        seq for seq, call in calls.items() if call.job not in lost or seq in answered
    )
    reported = Counter(
        (each.cause, each.body.certain) for each in events if isinstance(each.body, WaitHopeless)
    )
    assert set(reported.values()) <= {1}


@cache
def undisturbed(name: str, seed: int) -> tuple[Verdict, float]:
    events = play(rehearsal(name), seed)
    check_log(events)
    return verdict(events), events[-1].time_s


@pytest.mark.parametrize("name", NAMES)
def test_a_group_over_two_hosts_ends_as_in_one_process(name: str) -> None:
    events: list[Event] = []
    rehearsal(name).run(1, [events.append])
    assert undisturbed(name, 1)[0] == verdict(events)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=settings().max_examples // 6)
@given(
    seed=st.integers(1, 5), deaths=st.lists(st.floats(0, 1.1), min_size=1, max_size=4).map(sorted)
)
def test_a_group_whose_leaders_die_ends_as_if_nobody_had(
    name: str, seed: int, deaths: list[float]
) -> None:
    expected, duration_s = undisturbed(name, seed)
    events = play(rehearsal(name), seed, [share * duration_s for share in deaths])
    check_log(events)
    assert verdict(events) == expected


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=settings().max_examples // 12)
@example(seed=1, moments=[1.0])
@given(seed=st.integers(1, 5), moments=st.lists(st.floats(0, 1), min_size=1, max_size=3))
def test_a_group_that_is_handed_over_ends_as_if_nobody_had(
    name: str, seed: int, moments: list[float]
) -> None:
    expected, duration_s = undisturbed(name, seed)
    leaves = sorted(share * duration_s for share in moments)
    events = Troupe(rehearsal(name), seed, leaves=True).run(leaves).events
    check_log(events)
    assert verdict(events) == expected


@define
class Nth:
    """Whether a line is the nth of those that begin like this."""

    number: int
    begin: bytes

    def __call__(self, line: bytes) -> bool:
        self.number -= line.startswith(self.begin)
        return self.number == 0 and line.startswith(self.begin)


@pytest.mark.parametrize("begin", [b'{"entry":"requested"', b'{"entry":"done"'])
@pytest.mark.parametrize("name", ["misspelt", "essential"])
def test_what_a_request_has_led_to_and_the_log_lacks_is_made_up_for(
    name: str, begin: bytes
) -> None:
    expected, _ = undisturbed(name, 1)
    for number in itertools.count(1):
        cut = Nth(number, begin)
        events = play_cut(rehearsal(name), 1, cut)
        check_log(events)
        assert verdict(events) == expected, number
        if cut.number > 0:
            assert number > 2, "there were some"
            return
