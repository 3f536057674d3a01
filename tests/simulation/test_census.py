"""Facts that are alike on all nodes that they happen to."""

import pytest

from callboard.events import (
    Body,
    CallAnswered,
    CallMade,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    TestCaseResult,
    TestRunEnded,
    WaitHopeless,
    Where,
)
from callboard.simulation.census import Census, Fact, told
from callboard.simulation.signature import signature


def counted(*bodies: Body, causes: dict[int, int] | None = None) -> Census:
    """A census of these events, one a second."""
    census = Census()
    for seq, body in enumerate(bodies, start=1):
        census(Event(seq, float(seq), "/", body, (causes or {}).get(seq)))
    return census


def created(job: int, role: str = "client") -> JobCreated:
    return JobCreated(job, job - 1, role, f"simulated-{job}", "simulated", "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("not done by 3 (server)", "not done by 7 (server)"),
        ("2 (a), 3 (a), 4 (b) ended", "2 (a), 9 (b) and 7 more ended"),
        ("job 2 of the essential role server failed", "job 31 of the essential role server failed"),
        ("it took 3.25 s", "it took 12.5 s"),
    ],
)
def test_errors_of_different_jobs_are_one_fact(one: str, other: str) -> None:
    census = counted(
        created(1),
        created(2),
        JobEnded(1, "incomplete", Failure("JobError", one), 1.0),
        JobEnded(2, "incomplete", Failure("JobError", other), 2.0),
    )
    [role] = census.roles()
    assert list(role.facts.values()) == [2]
    assert (role.nodes, role.health, role.finished_s) == (2, {"incomplete": 2}, 4.0)


def test_limits_are_told_apart() -> None:
    census = counted(
        created(1),
        created(2),
        JobEnded(1, "incomplete", Failure("JobError", "did not end within 30 s"), 1.0),
        JobEnded(2, "incomplete", Failure("JobError", "did not end within 60 s"), 2.0),
    )
    assert len(census.roles()[0].facts) == 2


def test_a_failed_call_is_told_once_and_not_again_as_a_case() -> None:
    where = Where("group.yaml", 7, 3, "lava-wait ready")
    census = counted(
        created(1),
        CallMade(1, "wait", "ready", limit_s=30.0, where=where),
        WaitHopeless(1, "wait", "ready", None, True, (), ()),
        CallAnswered(1, "wait", "ready", "fail", 1.0, reason="in vain"),
        TestCaseResult(1, "0_use", "multinode-wait-ready", "fail", 1.0),
        TestRunEnded(1, "0_use", "1_1", "common", "fail", 1.0),
        JobEnded(1, "complete", None, 7.0),
        causes={3: 2, 4: 2},
    )
    call = Fact("client", "call", "lava-wait ready", "in vain", "group.yaml", 7, True)
    case = Fact("client", "case", "lava/0_use")
    assert census.roles()[0].facts == {call: 1, case: 1}
    assert told(census.roles()[0].facts.items()) == [(call, 1)]
    assert (census.failed_s, census.finished_s, census.ended) == (4.0, 7.0, 1)


def test_of_a_signature_only_the_essence_is_the_same_in_a_smaller_group() -> None:
    def found(clients: int, failed: int) -> Census:
        jobs = range(1, clients + 1)
        ends = [
            JobEnded(job, "incomplete", Failure("JobError", "boom"), 1.0)
            if job <= failed
            else JobEnded(job, "complete", None, 1.0)
            for job in jobs
        ]
        return counted(*map(created, jobs), *ends)

    many, few, one = (
        signature("incomplete", 3, found(*counts).roles()) for counts in ((9, 2), (5, 4), (1, 1))
    )
    assert many == few
    assert one != few
    assert one.essence == few.essence
    assert signature("complete", 0, found(3, 0).roles()).essence != one.essence
