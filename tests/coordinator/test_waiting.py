"""Deadlines of many with one timer, and what the log says of those who are refused."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.coordinator.admission import Admission
from callboard.coordinator.deadlines import Line
from callboard.coordinator.facts import Fact
from callboard.coordinator.hall import Unsent
from callboard.coordinator.refusals import Refusals
from callboard.coordinator.terms import Terms
from callboard.runtime import run_virtual

R = TypeVar("R")

LIMIT_S = 10.0


def virtual(main: Callable[[], Awaitable[R]]) -> R:
    """What comes of it, without any real time."""

    async def run() -> R:
        return await main()

    return run_virtual(run)


times = st.integers(0, 30).map(float)


@given(st.lists(st.tuples(times, st.none() | times), max_size=20))
def test_whoever_stays_too_long_is_told_once_and_nobody_else(
    stays: list[tuple[float, float | None]],
) -> None:
    told: dict[int, float] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def late(one: int) -> None:
            assert one not in told
            assert one in line
            told[one] = loop.time()

        line = Line[int](loop, LIMIT_S, late)

        def come(one: int, stays_s: float | None) -> None:
            line.join(one)
            if stays_s is not None:
                loop.call_later(stays_s, line.leave, one)

        began_s = loop.time()
        for one, (comes_s, stays_s) in enumerate(stays):
            loop.call_at(began_s + comes_s, come, one, stays_s)
        await asyncio.sleep(100)
        assert told.keys() >= {
            one for one, (_, stays_s) in enumerate(stays) if stays_s is None or stays_s > LIMIT_S
        }
        for one, when_s in told.items():
            comes_s, stays_s = stays[one]
            assert when_s == pytest.approx(began_s + comes_s + LIMIT_S)
            assert stays_s is None or stays_s >= LIMIT_S
        assert len(line) == 0
        assert line.first is None

    virtual(main)


def test_a_line_that_is_closed_tells_nobody() -> None:
    async def main() -> list[int]:
        late: list[int] = []
        line = Line[int](asyncio.get_running_loop(), LIMIT_S, late.append)
        line.join(1)
        line.close()
        await asyncio.sleep(2 * LIMIT_S)
        return late

    assert virtual(main) == []


def test_refusals_of_an_origin_are_said_once_a_reason_and_then_summed_up() -> None:
    said: list[Fact] = []

    async def main() -> None:
        refusals = Refusals(asyncio.get_running_loop(), said.append, 10.0)
        for number in range(5):
            refusals.note("10.0.0.1", f"10.0.0.1:{number}", f"reason {number}")
        refusals.note("10.0.0.2", "10.0.0.2:7", "another")
        await asyncio.sleep(11)
        refusals.note("10.0.0.1", "10.0.0.1:9", "later")
        await asyncio.sleep(30)
        refusals.note("10.0.0.1", "10.0.0.1:10", "much later")
        assert refusals.total == 8

    virtual(main)
    assert [fact.text for fact in said] == [
        "10.0.0.1:0: reason 0",
        *(f"10.0.0.1:{number}: reason {number}" for number in range(1, 4)),
        "10.0.0.2:7: another",
        "10.0.0.1: 1 more; the last one: reason 4",
        "10.0.0.1: 1 more; the last one: later",
        "10.0.0.1:10: much later",
    ]
    assert sum(int(str(fact.fields["count"])) for fact in said) == 8


def test_thousands_of_origins_fill_no_log() -> None:
    said: list[Fact] = []

    async def main() -> None:
        refusals = Refusals(asyncio.get_running_loop(), said.append, 10.0)
        for number in range(5_000):
            origin = f"10.0.{number // 256}.{number % 256}"
            refusals.note(origin, f"{origin}:1", "reason")
        refusals.close()

    virtual(main)
    assert len(said) < 1_030
    assert said[-1].text.startswith("others: ")
    assert sum(int(str(fact.fields["count"])) for fact in said) == 5_000


def test_a_machine_with_ipv6_is_limited_with_all_of_its_network() -> None:
    admission: Admission[int] = Admission(
        Terms(networks=(ip_network("2001:db8::/32"),), from_one_address=2)
    )
    for number in range(2):
        origin = admission.origin(f"2001:db8:0:1::{number:x}")
        assert origin.allowed
        assert not admission.full(origin)
        admission.enter(number, origin)
    assert admission.full(admission.origin("2001:db8:0:1:ffff::"))
    assert not admission.full(admission.origin("2001:db8:0:2::"))
    assert not admission.origin("2001:db9::1").allowed
    admission.leave(0, admission.origin("2001:db8:0:1::"))
    assert not admission.full(admission.origin("2001:db8:0:1::5"))


def test_an_address_of_ipv4_is_the_same_in_ipv6_and_a_scope_says_nothing() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("fe80::/10"))
    admission: Admission[int] = Admission(Terms(networks=networks))
    assert admission.origin("::ffff:10.1.2.3").allowed
    assert admission.origin("::ffff:10.1.2.3").name == "10.1.2.3"
    assert not admission.origin("::ffff:11.1.2.3").allowed
    assert admission.origin("fe80::1%eth0").allowed


@given(st.lists(st.integers(0, 5)))
def test_an_answer_counts_while_anybody_has_not_taken_it(toggled: list[int]) -> None:
    answers = [bytes(size + 1) for size in range(6)]
    unsent, waiting = Unsent(), list[int]()
    for which in toggled:
        if waiting.count(which) > 1:
            waiting.remove(which)
            unsent.remove(answers[which])
        else:
            waiting.append(which)
            unsent.add(answers[which])
        assert unsent.size_bytes == sum(len(answers[each]) for each in set(waiting))
