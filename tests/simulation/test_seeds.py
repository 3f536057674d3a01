"""The seeds of a command."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.simulation import Seeds, SeedsError, parse_seeds

GOOD = [
    ("7", range(7, 8)),
    ("0", range(1)),
    (" 1 .. 3 ", range(1, 4)),
    ("5..5", range(5, 6)),
    ("1..10000000", range(1, 10_000_001)),
    ("1, 5,1", (1, 5)),
]
BAD = [
    ("", "`` is no seed", "write a whole number"),
    ("x", "`x` is no seed", "write a whole number"),
    ("-1", "`-1` is no seed", "write a whole number"),
    ("1.5", "`1.5` is no seed", "write a whole number"),
    ("1..", "`1..` is no seed", "such as `1..100`"),
    ("1..x", "`x` is no seed", "write a whole number"),
    ("1..2..3", "`2..3` is no seed", "write a whole number"),
    ("²", "`²` is no seed", "write a whole number"),
    ("1,", "`` is no seed", "write a whole number"),
    ("9" * 100, f"`{'9' * 39}…` is no seed", "write a whole number"),
    ("9" * 19, "is larger than 9,223,372,036,854,775,807", "write a whole number"),
    ("9..1", "the seeds `9..1` are reversed", "write `1..9`"),
    ("0..10000000", "are 10,000,001 seeds; the limit is 10,000,000", "write `0..9999999`"),
]


@pytest.mark.parametrize(("text", "seeds"), GOOD)
def test_seeds_are_a_number_a_range_or_a_list(text: str, seeds: Seeds) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(("text", "message", "hint"), BAD)
def test_what_is_no_seed_is_refused_with_the_next_step(text: str, message: str, hint: str) -> None:
    with pytest.raises(SeedsError) as raised:
        parse_seeds(text)
    assert message in str(raised.value)
    assert hint in raised.value.hint


@given(st.text(max_size=30) | st.text(alphabet="0123456789.,- ", max_size=30))
def test_no_text_makes_it_fail(text: str) -> None:
    with suppress(SeedsError):
        assert len(parse_seeds(text)) > 0
