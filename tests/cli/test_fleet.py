"""How the devices of a cluster are listed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.cli.fleet import ranges


def named(text: str) -> list[str]:
    """The names that a text of ranges stands for."""
    names = []
    for each in text.split(", "):
        first, dots, last = each.partition("..")
        number = first[len(first.rstrip("0123456789")) :]
        stem = first.removesuffix(number)
        count = int(last) - int(number) + 1 if dots else 1
        names.append(first)
        names += [f"{stem}{int(number) + n:0{len(number)}}" for n in range(1, count)]
    return names


STEMS = st.sampled_from(["a", "a-", "b2x"])
NUMBERS = st.one_of(st.just(""), st.integers(0, 12).map(str), st.sampled_from(["01", "02", "09"]))


@given(st.lists(st.builds(str.__add__, STEMS, NUMBERS), min_size=1))
def test_ranges_name_all_devices_in_their_order(names: list[str]) -> None:
    assert named(ranges(names)) == names


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["local-1", "local-2", "local-3", "lxc-1"], "local-1..3, lxc-1"),
        (["local-1", "local-3", "local-4"], "local-1, local-3..4"),
        (["rack-09", "rack-10", "rack-11"], "rack-09..11"),
        (["bench", "desk"], "bench, desk"),
    ],
)
def test_names_that_are_numbered_one_after_the_other_are_a_range(
    names: list[str], text: str
) -> None:
    assert ranges(names) == text
