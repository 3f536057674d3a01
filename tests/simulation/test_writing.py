"""Faults that a program has made, as a file."""

import re

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from callboard.simulation.distribution import (
    Exponential,
    Fixed,
    Normal,
    Triangular,
    Uniform,
)
from callboard.simulation.faults import Faults
from callboard.simulation.lot import settled
from callboard.simulation.reading import read_faults_text
from callboard.simulation.writing import faults_text

EVERY_KIND = """\
faults:
- {kill: client, at: {time: {uniform: [1, 2]}}}
- {kill: [{role: client, node: 2}, {any: server}], at: {call: "lava-wait *", occurrence: 3}}
- {hang: server, at: {action: login-action}}
- {hang: server, at: {step: "make *"}, for: {normal: [3, 1]}}
- {reboot: client, at: {time: 5}, takes: {triangular: [1, 2, 3]}}
- {slow: client, factor: 2.5, for: {exponential: 4}}
- {lose: client, probability: 0.25}
- {duplicate: client, probability: 0.5, at: {time: 1}, for: 2}
- {reorder: client, probability: 1}
- {delay: client, by: 0.5, probability: 0.1}
- {partition: {node: 1}, at: {time: 2}, for: 3}
- {crash: coordinator, at: {time: 2}, for: 3}
- {refuse: client, times: 2}
- {refuse: server}
- {draw: [kill, lose], rate: 0.5, within: 9, role: client}
- {draw: [hang], rate: 0.5, within: 9}
"""


def read(text: str) -> Faults:
    found, diagnostics = read_faults_text(text)
    assert found is not None, diagnostics
    return found


def bare(text: object) -> str:
    """A fault without the places where it stands."""
    return re.sub(r"(place|places)=(Place\([^)]*\)|\{[^}]*\}),?", "", repr(text))


def test_every_kind_of_fault_is_read_again_as_it_was_written() -> None:
    found = read(EVERY_KIND)
    again = read(faults_text(found.rules))
    assert [bare(rule) for rule in again.rules] == [bare(rule) for rule in found.rules]


times = st.floats(0, 1000)
pairs = st.tuples(times, times).map(sorted)


@given(
    st.one_of(
        st.builds(Fixed, times),
        pairs.map(lambda pair: Uniform(*pair)),
        st.builds(Normal, times, times),
        st.builds(Exponential, times),
        st.tuples(times, times, times).map(sorted).map(lambda three: Triangular(*three)),
    )
)
def test_every_time_is_read_again_to_the_last_bit(time: object) -> None:
    [rule] = read("faults: [{hang: client, at: {time: 1}, for: 1}]").rules
    written = faults_text([evolve(rule, lasts=time)])  # type: ignore[arg-type]
    [again] = read(written).rules
    assert getattr(again, "lasts", None) == time


def test_what_a_seed_has_drawn_is_the_same_as_what_it_draws() -> None:
    found = read(
        "faults: [{kill: {any: client}, at: {time: 1}}, {draw: [hang], rate: 1, within: 9}]"
    )
    first = settled(found, {"server": 1, "client": 3}, 7)
    again = settled(read(faults_text(first)), {"server": 1, "client": 3}, 8)
    assert [bare(rule) for rule in again] == [bare(rule) for rule in first]
    assert len(first) == 5
