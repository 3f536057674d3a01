"""A group whose leaders die at any moment ends as if nobody had."""

from collections import Counter
from functools import cache

import hypothesis.strategies as st
import pytest
from attrs import frozen
from hypothesis import given, settings
from tests.cluster.troupe import SCENARIOS, play

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


def check_log(events: list[Event]) -> None:
    """It is one log, as any run has it."""
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
    assert answered == Counter(calls.keys())


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
