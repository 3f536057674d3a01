"""Faults that the seed draws."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.definition import Place
from callboard.simulation.distribution import Fixed
from callboard.simulation.faults import (
    DRAWN_KINDS,
    AtTime,
    Crash,
    Draw,
    DrawnKind,
    Fault,
    Refuse,
    Target,
)

HERE = Place("faults.yaml", 2, 3)
DRAWS = st.builds(
    Draw,
    kinds=st.lists(st.sampled_from(DRAWN_KINDS), min_size=1).map(tuple),
    rate=st.floats(0, 1),
    within_s=st.floats(0, 1e6),
    role=st.none() | st.sampled_from(["server", "client"]),
    place=st.just(HERE),
)


def moment(fault: Fault) -> Fixed | None:
    """When a fault begins, None for one that has no time."""
    if isinstance(fault, Refuse):
        return None
    assert isinstance(fault.at, AtTime)
    assert isinstance(fault.at.time, Fixed)
    return fault.at.time


@given(DRAWS, st.integers(0, 2**63))
def test_what_is_drawn_befalls_the_node_within_the_time(draw: Draw, seed: int) -> None:
    fault = draw.draw(Random(seed), "client", 3)
    if fault is None:
        return
    assert draw.role in (None, "client")
    assert not isinstance(fault, Crash)
    assert type(fault).__name__.lower() in draw.kinds
    assert fault.targets == (Target("client", HERE, 3),)
    time = moment(fault)
    assert time is None or 0 <= time.value_s <= draw.within_s


@given(DRAWS, st.integers(0, 2**63))
def test_what_befalls_one_node_does_not_move_what_befalls_the_next(draw: Draw, seed: int) -> None:
    random, other = Random(seed), Random(seed)
    draw.draw(random, "client", 1)
    draw.draw(other, "stranger", 1)
    assert random.random() == other.random()


def test_nodes_suffer_at_the_rate() -> None:
    draw = Draw(kinds=("kill", "hang"), rate=0.25, within_s=60, place=HERE)
    random = Random(1)
    drawn = [draw.draw(random, "client", node) for node in range(4000)]
    assert sum(fault is not None for fault in drawn) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("kind", DRAWN_KINDS)
def test_every_kind_can_be_drawn(kind: DrawnKind) -> None:
    fault = Draw(kinds=(kind,), rate=1, within_s=1, place=HERE).draw(Random(1), "a", 1)
    assert type(fault).__name__.lower() == kind
