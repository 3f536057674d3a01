"""Who is to blame: against a plain search, and fast in a large group."""

import time

from hypothesis import given
from hypothesis import strategies as st

from callboard.actors.blame import Knot, culprits

KNOTS = st.lists(
    st.builds(
        Knot,
        waiting=st.lists(st.integers(1, 6), unique=True, max_size=3),
        missing=st.lists(st.integers(1, 6), unique=True, max_size=4),
        guilty=st.just(()) | st.just(()) | st.tuples(st.integers(7, 9)),
    ),
    max_size=6,
)


def next_to(knots: list[Knot], number: int) -> set[int]:
    missing = knots[number].missing
    return {n for n, knot in enumerate(knots) if set(knot.waiting) & set(missing)}


def reached(knots: list[Knot], number: int) -> set[int]:
    """The knots that can be reached in one step or more."""
    found: set[int] = set()
    new = next_to(knots, number)
    while new - found:
        found |= new
        new = {each for one in found for each in next_to(knots, one)}
    return found


def begins(knot: Knot) -> set[int]:
    """Who ended, or waits for nobody."""
    return set(knot.guilty) or (set() if knot.missing else set(knot.waiting))


def plain(knots: list[Knot], number: int) -> set[int]:
    """The nearest guilty; else those that are missing in circles out of which nothing leads."""
    layer, seen = {number}, {number}
    while layer:
        if guilty := {each for one in layer for each in begins(knots[one])}:
            return guilty
        layer = {each for one in layer for each in next_to(knots, one)} - seen
        seen |= layer
    last = {n for n in seen if all(n in reached(knots, each) for each in reached(knots, n))}
    return {each for n in last for each in knots[n].missing}


@given(KNOTS)
def test_the_culprits_are_those_that_a_plain_search_finds(knots: list[Knot]) -> None:
    found = culprits(knots)
    assert [set(each) for each in found] == [plain(knots, n) for n in range(len(knots))]


def test_a_group_of_a_thousand_that_waits_in_a_ring_is_judged_in_no_time() -> None:
    count = 1_000
    ring = [Knot([n], [(n + 1) % count]) for n in range(count)]
    began_s = time.process_time()
    assert culprits(ring) == [tuple(range(count))] * count
    assert time.process_time() - began_s < 1
