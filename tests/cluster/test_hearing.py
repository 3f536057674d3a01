"""Which workers are heard of, from what stands in their entries."""

import datetime as dt
from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given

from callboard.cluster import subjects
from callboard.cluster.bucket import Written
from callboard.cluster.hearing import LEADERS, attendance, heard
from callboard.cluster.records import Registration, Seat, encode

LEASE_S = 9.0
NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def entry(name: str, ago_s: int | None) -> Written:
    registration = Registration(name, "i", "m", subjects.PROTOCOL, "1", "host")
    at = None if ago_s is None else NOW - dt.timedelta(seconds=ago_s)
    return Written(encode(registration), at)


def said(worker: str, ages_s: Mapping[str, int | None], incarnation: str = "i") -> str | None:
    """What is said of a job on a worker where entries were written so long ago."""
    workers = heard({name: entry(name, ago_s) for name, ago_s in ages_s.items()})
    seat = Seat(worker, incarnation, "local-1", "local")
    return attendance([seat], workers, LEASE_S)[f"worker {worker}"]


def test_a_worker_that_misses_heartbeats_is_said_to() -> None:
    assert said("w", {"w": 0, "leader": 0}) is None
    assert said("w", {"w": 5, "leader": 0}) is None
    assert said("w", {"w": 7, "leader": 0}) == "worker w, last heard of 7 s ago"


def test_a_worker_without_an_entry_is_not_heard_of_any_more() -> None:
    assert said("w", {"leader": 0}) == "worker w, which is not heard of any more"


def test_a_job_waits_for_the_process_that_has_it() -> None:
    assert said("w", {"w": 0}, "before") == "worker w, which was started again"


@given(
    st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 20), min_size=1),
    st.integers(-10_000, 10_000),
)
def test_the_clock_of_who_looks_does_not_matter(ages_s: dict[str, int | None], off_s: int) -> None:
    off = {name: None if age_s is None else age_s + off_s for name, age_s in ages_s.items()}
    for name in ages_s:
        assert said(name, off) == said(name, ages_s)


def test_an_entry_of_another_version_is_no_worker() -> None:
    workers = heard({"w": Written(b'{"protocol":0}', NOW), "v": entry("v", 1)})
    assert list(workers) == ["v"]


@pytest.mark.parametrize("incarnations", ["ij", "ji"])
def test_a_worker_that_one_of_its_jobs_waits_for_is_waited_for(incarnations: str) -> None:
    there = heard({"w": entry("w", 0)})
    seats = [Seat("w", each, "local-1", "local") for each in incarnations]
    found = attendance(seats, there, LEASE_S)
    assert found["worker w"] == "worker w, which was started again"


def test_somebody_has_to_lead() -> None:
    there = heard({"w": entry("w", 0)})
    assert attendance((), there, LEASE_S) == {LEADERS: None}
    assert attendance((), {}, LEASE_S) == {
        LEADERS: "a worker that leads groups, such as `callboard worker --nats URL`"
    }
