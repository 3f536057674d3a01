"""Times that are drawn."""

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.simulation.distribution import (
    NONE,
    Distribution,
    Exponential,
    Fixed,
    Normal,
    Triangular,
    Uniform,
)

SECONDS = st.floats(0, 1e9)
ASCENDING = st.lists(SECONDS, min_size=3, max_size=3).map(sorted)
DISTRIBUTIONS: st.SearchStrategy[Distribution] = (
    SECONDS.map(Fixed)
    | ASCENDING.map(lambda numbers: Uniform(numbers[0], numbers[2]))
    | st.builds(Normal, SECONDS, SECONDS)
    | SECONDS.map(Exponential)
    | ASCENDING.map(lambda numbers: Triangular(*numbers))
)


@given(DISTRIBUTIONS, st.integers(0, 2**63))
def test_a_draw_is_never_negative_nor_below_the_least(each: Distribution, seed: int) -> None:
    random = Random(seed)
    # A sum of two numbers may be rounded down by the last bit.
    least_s = each.least_s * (1 - 1e-12)
    assert all(each.draw(random) >= least_s >= 0 for _ in range(20))


@given(DISTRIBUTIONS, st.integers(0, 2**63))
def test_the_same_seed_draws_the_same(each: Distribution, seed: int) -> None:
    first, second = Random(seed), Random(seed)
    assert [each.draw(first) for _ in range(5)] == [each.draw(second) for _ in range(5)]


@given(DISTRIBUTIONS, st.floats(0, 1000), st.integers(0, 2**63))
def test_a_scaled_time_is_as_many_times_as_long(
    each: Distribution, factor: float, seed: int
) -> None:
    scaled = each.scaled(factor).draw(Random(seed))
    assert scaled == pytest.approx(each.draw(Random(seed)) * factor, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("each", "mean_s"),
    [
        (Fixed(3), 3),
        (Uniform(10, 20), 15),
        (Normal(30, 2), 30),
        (Exponential(5), 5),
        (Triangular(1, 2, 9), 4),
        (NONE, 0),
    ],
)
def test_draws_come_to_the_mean(each: Distribution, mean_s: float) -> None:
    random = Random(1)
    assert fmean(each.draw(random) for _ in range(20_000)) == pytest.approx(mean_s, rel=0.02)


def test_what_has_no_spread_is_fixed() -> None:
    random = Random(1)
    for each in (Uniform(2, 2), Normal(2, 0), Triangular(2, 2, 2)):
        assert (each.draw(random), each.least_s) == (2, 2)
    assert Exponential(0).draw(random) == 0
