"""Conditions of links: how they are written, and what they come to together."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from tests.definition.test_schema import composed

from callboard.definition import Diagnostic, Place, read_text
from callboard.definition.composer import compose
from callboard.definition.findings import Findings
from callboard.definition.links import CUT, UNDISTURBED, Conditions, Link
from callboard.definition.links_reading import read_links, unknown_ends
from callboard.definition.model import Definition
from callboard.definition.reader import Section
from callboard.definition.schema import schema
from callboard.definition.source import Source
from callboard.definition.tree import MapNode

VALIDATOR = Draft7Validator(schema("devices"))

DURATIONS = st.integers(0, 60_000_000)
"""In microseconds, so that every unit writes them exactly."""

RATES = st.integers(1_000, 10**12)
LOSSES = st.integers(0, 1_000_000)
"""In millionths."""

GROUP = """\
job_name: group
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 2}
actions:
- boot: {role: [server, client], method: qemu, prompts: ['#']}
"""


def read(text: str) -> tuple[tuple[Link, ...], tuple[Diagnostic, ...]]:
    source = Source("devices.yaml", text)
    findings = Findings(source)
    root = compose(source, findings)
    assert isinstance(root, MapNode)
    section = Section(root, findings, "`network`")
    links = read_links(section)
    section.close(strict=True)
    return links, findings.diagnostics()


def conditions(text: str) -> Conditions:
    links, problems = read(f"links: [{{role: client, {text}}}]")
    assert problems == ()
    return links[0].conditions


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Conditions]:
    """Conditions, and one of the ways to write them."""
    if draw(st.booleans()) and draw(st.booleans()):
        return "cut: true", CUT
    delay_us = draw(DURATIONS)
    jitter_us = draw(st.integers(0, delay_us))
    loss = draw(LOSSES)
    rate = draw(st.none() | RATES)
    parts = [
        f"delay: {draw(duration(delay_us))}",
        f"jitter: {draw(duration(jitter_us))}",
        f"loss: {draw(st.sampled_from([f'{loss / 1e6:.6f}', f'{loss / 1e4:.4f}%']))}",
        *([] if rate is None else [f"rate: {draw(bits(rate))}"]),
    ]
    parts = draw(st.permutations(parts))
    return ", ".join(parts), Conditions(delay_us / 1e6, jitter_us / 1e6, loss / 1e6, rate)


def duration(value_us: int) -> st.SearchStrategy[str]:
    forms = [f"{value_us}us", f"{value_us / 1e3:.3f}ms", f"{value_us / 1e6:.6f} s"]
    return st.sampled_from([*forms, f"{value_us / 1e6:.6f}"])


def bits(value: int) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            f"{value}bit",
            f"{value / 1e3:.3f}kbit",
            f"{value / 1e6:.6f}Mbit",
            f"{value / 1e6:.6f}mbit/s",
        ]
    )


@given(written())
def test_conditions_are_read_as_they_were_meant(case: tuple[str, Conditions]) -> None:
    text, meant = case
    found = conditions(text)
    assert (found.rate_bps, found.cut) == (meant.rate_bps, meant.cut)
    for got, wanted in (
        (found.delay_s, meant.delay_s),
        (found.jitter_s, meant.jitter_s),
        (found.loss, meant.loss),
    ):
        assert math.isclose(got, wanted, abs_tol=1e-12)


@given(st.lists(written(), max_size=5))
def test_every_rule_of_a_list_is_read(cases: list[tuple[str, Conditions]]) -> None:
    rules = [f"{{between: [a, r{number}], {text}}}" for number, (text, _) in enumerate(cases)]
    links, problems = read(f"links: [{', '.join(rules)}]")
    assert problems == ()
    assert [link.ends for link in links] == [("a", f"r{number}") for number in range(len(cases))]
    assert [link.place.line for link in links] == [1] * len(cases)


def some_conditions() -> st.SearchStrategy[Conditions]:
    return st.builds(
        Conditions,
        st.floats(0, 1),
        st.floats(0, 1),
        st.floats(0, 1),
        st.none() | RATES,
        st.booleans(),
    )


@given(some_conditions(), some_conditions())
def test_what_goes_through_two_links_is_never_better_off_than_through_one(
    one: Conditions, other: Conditions
) -> None:
    both = one.and_also(other)
    assert both == other.and_also(one)
    for each in (one, other):
        assert both.delay_s >= each.delay_s
        assert each.loss - 1e-9 <= both.loss <= 1 + 1e-9
        assert (both.rate_bps or math.inf) <= (each.rate_bps or math.inf)
        assert both.cut >= each.cut


@given(some_conditions())
def test_a_link_without_conditions_changes_nothing(one: Conditions) -> None:
    assert one.and_also(UNDISTURBED) == one


def test_rates_and_losses_come_together_as_one_reckons() -> None:
    one, other = Conditions(0.02, 0.01, 0.5, 10_000), Conditions(0.03, 0.0, 0.5, 4_000)
    assert one.and_also(other) == Conditions(0.05, 0.01, 0.75, 4_000)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (UNDISTURBED, "undisturbed"),
        (CUT, "cut"),
        (Conditions(0.02, 0.005), "delay 20 ms ± 5 ms"),
        (Conditions(1.5, loss=0.01), "delay 1.5 s, loss 1 %"),
        (Conditions(rate_bps=10_000_000), "rate 10 Mbit/s"),
        (Conditions(rate_bps=1_500), "rate 1.5 kbit/s"),
    ],
)
def test_conditions_are_told_as_one_says_them(found: Conditions, text: str) -> None:
    assert str(found) == text


SLIPS = [
    ("{role: client, delay: soon}", "CB260 soon", "a duration such as `20ms`"),
    ("{role: client, delay: 20m}", "CB260 20m", "hint: units are us, ms and s"),
    ("{role: client, delay: -1}", "CB260 -1", "from 0 to 60 seconds"),
    ("{role: client, delay: 2000}", "CB260 2000", "from 0 to 60 seconds"),
    ("{role: client, delay: .inf}", "CB260 .inf", "must be a duration"),
    ("{role: client, delay: true}", "CB260 true", "must be a duration"),
    ("{role: client, delay: [1]}", "CB260 [1]", "must be a duration"),
    ("{role: client, loss: 101%}", "CB260 101%", "from 0 to 100 %"),
    ("{role: client, loss: 5}", "CB260 5}", "from 0 to 100 %, or from 0 to 1"),
    ("{role: client, rate: 10}", "CB260 10}", "write the unit: `10bit`"),
    ("{role: client, rate: 0Mbit}", "CB260 0Mbit", "from 1kbit to 1000Gbit"),
    ("{role: client, rate: 10MB}", "CB260 10MB", "units are bit, kbit, Mbit and Gbit"),
    ("{role: client, rate: 1²Mbit}", "CB260 1²", "a rate such as `10Mbit`"),
    ("{delay: 1ms}", "CB261 {delay", "neither `role` nor `between`"),
    ("{betwen: [a, b], delay: 1ms}", "CB261 {betwen", "rename `betwen` to `between`"),
    ("{role: a, between: [a, b], delay: 1ms}", "CB261 {role", "both `role` and `between`"),
    ("{between: [a], delay: 1ms}", "CB261 [a]", "must be two roles"),
    ("{between: a, delay: 1ms}", "CB261 a, delay", "must be two roles"),
    ("{role: client}", "CB262 {role", "says nothing of the links"),
    ("{role: client, dely: 1ms}", "CB262 {role", "rename `dely` to `delay`"),
    ("{role: client, delay: 1ms, speed: 1}", "CB025 speed", "no use for `speed`"),
    ("{role: client, delay: 1ms, jitter: 2ms}", "CB262 jitter", "longer than `delay`"),
    ("{role: client, jitter: 2ms}", "CB262 jitter", "longer than `delay`"),
    ("{role: client, cut: true, loss: 1%}", "CB262 loss", "has `loss` and `cut: true`"),
    ("{role: a, cut: true}, {role: a, loss: 1%}", "CB262 {role: a, loss", "described twice"),
    (
        "{between: [a, b], cut: true}, {between: [b, a], loss: 1%}",
        "CB262 {between: [b",
        "as that in line 1",
    ),
    ("{role: client, cut: maybe}", "CB021 maybe", "must be `true` or `false`"),
    ("here", "CB021 here", "must be a map"),
]


@pytest.mark.parametrize(("text", "where", "said"), SLIPS, ids=[each[0] for each in SLIPS])
def test_a_slip_is_told_where_it_is(text: str, where: str, said: str) -> None:
    _, problems = read(f"links: [{text}]")
    code, at = where.split(" ", 1)
    found = [each for each in problems if each.code == code]
    assert found, problems
    assert found[0].place is not None
    assert f"links: [{text}]"[found[0].place.column - 1 :].startswith(at)
    assert said in str(found[0])
    assert len(problems) == 1, problems


def group() -> Definition:
    definition, problems = read_text(GROUP, "group.yaml")
    assert definition is not None, problems
    return definition


def test_a_rule_for_a_role_that_is_not_there_is_found() -> None:
    links, _ = read("links:\n- {between: [client, sever], cut: true}\n- {role: client, loss: 1}\n")
    [problem] = unknown_ends(links, group())
    assert problem.code == "CB263"
    assert problem.place == Place("devices.yaml", 2, 3)
    assert problem.hint == "did you mean `server`?"


EXCUSED = (
    "longer than `delay`",
    "described twice",
    "as that in line",
    "from 0 to 100 %",
    "1kbit to",
)
"""What a schema can't refuse: it compares neither two values nor a text with a number."""


@pytest.mark.parametrize(("text", "where", "said"), SLIPS, ids=[each[0] for each in SLIPS])
def test_the_schema_of_devices_files_refuses_a_slip_unless_it_can_not_know(
    text: str, where: str, said: str
) -> None:
    excused = any(reason in said for reason in EXCUSED) and "loss: 5" not in text
    assert (refused(text) == []) == excused, where


@given(st.lists(written(), max_size=3))
def test_the_schema_of_devices_files_lets_what_is_right_pass(
    cases: list[tuple[str, Conditions]],
) -> None:
    rules = [f"{{between: [a, r{number}], {text}}}" for number, (text, _) in enumerate(cases)]
    assert refused(", ".join(rules)) == []


def refused(rules: str) -> list[str]:
    """What the schema has against a devices file with these rules for links."""
    text = f"network: {{kind: group, links: [{rules}]}}\ndevices: {{a: {{type: x}}}}\n"
    return [each.message for each in VALIDATOR.iter_errors(composed(text))]
