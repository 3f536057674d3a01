"""What goes over the links of a rehearsal takes the time that one reckons, and fails when cut."""

import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st
from tests.system.harness import Test, definition

from callboard.actors.links import LinkKeeper
from callboard.definition import read_text
from callboard.definition.links import CUT, Conditions, Link
from callboard.definition.model import Place
from callboard.events import Event, LinksChanged, TestCaseResult
from callboard.simulation.distribution import Fixed
from callboard.simulation.faults import AtStep, AtTime, Cut, Fault, Faults, Heal, Impair, Target
from callboard.simulation.judgement import judge
from callboard.simulation.model import ActionRule, Model, StepRule, Transfer
from callboard.simulation.pattern import ANY, Pattern
from callboard.simulation.simulator import prepare

HERE = Place("model.yaml", 1, 1)
CLIENT, SERVER = (Target("client", HERE),), (Target("server", HERE),)
MEGABYTE = 1_000_000
SLOW = Conditions(rate_bps=MEGABYTE)
"""A megabyte takes eight seconds."""

GROUP = {
    "client": [Test("use", ["lava-test-case fetch --shell wget page", "lava-sync done"])],
    "server": [Test("serve", ["lava-sync done"])],
}
NOTHING = ActionRule(ANY, HERE, takes=Fixed(0))


@frozen
class Fetched:
    """How the client's transfer ended: its result, when, and what was told of links."""

    result: str
    time_s: float
    changes: tuple[tuple[float, str, tuple[tuple[int, ...], ...]], ...]


def fetched(
    *links: Link,
    size_bytes: int = MEGABYTE,
    faults: Iterable[Fault] = (),
    takes_s: float = 0,
    seed: int = 3,
) -> Fetched:
    found, problems = read_text(definition(GROUP, action_s=300), "group.yaml")
    assert found is not None, problems
    steps = (
        StepRule(ANY, HERE, takes=Fixed(0)),
        StepRule(
            Pattern("*wget *"),
            HERE,
            takes=Fixed(takes_s),
            transfers=Transfer("server", size_bytes),
        ),
    )
    model = Model((NOTHING,), steps, links=links)
    seen: list[Event] = []
    prepare(found, model=model, faults=Faults(tuple(faults))).run(seed, [seen.append])
    [(case, time_s)] = [
        (each.body, each.time_s)
        for each in seen
        if isinstance(each.body, TestCaseResult) and each.body.case == "fetch"
    ]
    changes = tuple(
        (each.time_s, each.body.change, each.body.ends)
        for each in seen
        if isinstance(each.body, LinksChanged)
    )
    return Fetched(case.result, time_s, changes)


def link(conditions: Conditions, *ends: str) -> Link:
    assert ends
    return Link(ends, conditions, HERE)  # type: ignore[arg-type]


def cut(at_s: float, for_s: float | None = None) -> Cut:
    lasts = None if for_s is None else Fixed(for_s)
    at = AtTime(Fixed(at_s), HERE)
    return Cut(targets=CLIENT, between=SERVER, at=at, lasts=lasts, place=HERE)


CONDITIONS = st.builds(
    Conditions,
    delay_s=st.floats(0, 10),
    loss=st.floats(0, 0.5),
    rate_bps=st.integers(100_000, 10**9),
)


@given(CONDITIONS, CONDITIONS, st.integers(1, 10**5), st.floats(0, 20))
def test_a_transfer_takes_its_size_by_what_the_link_carries_and_a_delay(
    cable: Conditions, path: Conditions, size_bytes: int, takes_s: float
) -> None:
    found = fetched(
        link(cable, "client"),
        link(path, "client", "server"),
        size_bytes=size_bytes,
        takes_s=takes_s,
    )
    rate_bps = min(cable.rate_bps or 0, path.rate_bps or 0)
    carried_bps = rate_bps * (1 - cable.loss) * (1 - path.loss)
    delay_s = cable.delay_s + path.delay_s
    expected_s = takes_s + size_bytes * 8 / carried_bps + delay_s
    assert found.result == "pass"
    assert math.isclose(found.time_s, expected_s, abs_tol=1e-5)


def test_without_conditions_it_takes_no_time() -> None:
    assert fetched() == Fetched("pass", 0, ())


def test_links_of_others_don_t_matter() -> None:
    found = fetched(link(CUT, "server", "server"), link(SLOW, "client", "client"))
    assert (found.result, found.time_s) == ("pass", 0)


def test_a_jitter_moves_the_arrival_by_no_more_than_it_says() -> None:
    late = link(Conditions(delay_s=3, jitter_s=1), "client")
    times_s = {fetched(late, seed=seed).time_s for seed in range(20)}
    assert len(times_s) > 10
    assert all(2 <= time_s <= 4 for time_s in times_s)


def test_over_a_link_that_is_cut_it_fails_at_once() -> None:
    found = fetched(link(CUT, "client", "server"), takes_s=2)
    assert (found.result, found.time_s) == ("fail", 2)
    assert found.changes == ((0, "set", ((1,), (2,))),)


def test_it_fails_in_the_moment_of_the_cut() -> None:
    found = fetched(link(SLOW, "client"), faults=[cut(5)])
    assert (found.result, found.time_s) == ("fail", 5)
    assert found.changes[1:] == ((5, "cut", ((1,), (2,))),)


def test_a_cut_fails_also_what_is_sent_and_has_not_arrived() -> None:
    late = link(Conditions(delay_s=3), "client")
    assert fetched(late, faults=[cut(2)]).result == "fail"
    assert fetched(late, faults=[cut(3.5)]).result == "pass"


def test_what_begins_when_the_cut_is_over_arrives() -> None:
    found = fetched(link(SLOW, "client"), faults=[cut(1, for_s=2)], takes_s=3.5)
    assert (found.result, found.time_s) == ("pass", 11.5)
    assert [(time_s, change) for time_s, change, _ in found.changes] == [
        (0, "set"),
        (1, "cut"),
        (3, "over"),
    ]


def test_healing_ends_cuts_and_impairments_before_their_time() -> None:
    heal = Heal(targets=SERVER, between=CLIENT, at=AtTime(Fixed(2), HERE), place=HERE)
    worse = Impair(targets=CLIENT, conditions=Conditions(rate_bps=1_000), place=HERE)
    found = fetched(link(SLOW, "client"), faults=[worse, cut(1, for_s=50), heal], takes_s=2)
    assert (found.result, found.time_s) == ("pass", 10)


def test_a_rate_that_changes_under_way_counts_from_then_on() -> None:
    """Half of it is through in four seconds, the rest goes at a quarter of the rate."""
    worse = Impair(
        targets=CLIENT,
        conditions=Conditions(rate_bps=MEGABYTE // 4),
        at=AtTime(Fixed(4), HERE),
        place=HERE,
    )
    found = fetched(link(SLOW, "client"), faults=[worse])
    assert (found.result, found.time_s) == ("pass", 4 + 16)


def test_with_nothing_but_losses_it_goes_on_when_they_are_over() -> None:
    lost = Impair(
        targets=CLIENT,
        conditions=Conditions(loss=1),
        at=AtTime(Fixed(4), HERE),
        lasts=Fixed(6),
        place=HERE,
    )
    found = fetched(link(SLOW, "client"), faults=[lost])
    assert (found.result, found.time_s) == ("pass", 14)


def test_a_cut_just_before_the_step_is_there_when_it_begins() -> None:
    at = AtStep(Pattern("*wget *"), HERE)
    assert fetched(faults=[Cut(targets=CLIENT, at=at, place=HERE)]).result == "fail"


@pytest.mark.parametrize("loss", [0, 0.5])
def test_a_transfer_to_several_nodes_ends_with_the_last_and_fails_with_the_first(
    loss: float,
) -> None:
    group = {
        "client": [Test("use", ["lava-test-case fetch --shell wget page"])],
        "server": [Test("serve", ["true"])],
    }
    found, problems = read_text(definition(group, counts={"server": 3}), "group.yaml")
    assert found is not None, problems
    second = (Target("server", HERE, 2),)
    slow = Impair(
        targets=second, conditions=Conditions(loss=loss, rate_bps=MEGABYTE // 2), place=HERE
    )
    steps = (
        StepRule(ANY, HERE, takes=Fixed(0)),
        StepRule(Pattern("*wget *"), HERE, takes=Fixed(0), transfers=Transfer("server", MEGABYTE)),
    )
    model = Model((NOTHING,), steps, links=(link(SLOW, "client"),))

    def case(*faults: Fault) -> tuple[str, float]:
        seen: list[Event] = []
        prepare(found, model=model, faults=Faults(faults)).run(1, [seen.append])
        return next(
            (each.body.result, each.time_s)
            for each in seen
            if isinstance(each.body, TestCaseResult) and each.body.case == "fetch"
        )

    assert case(slow) == ("pass", 16 / (1 - loss))
    gone = Cut(targets=second, at=AtTime(Fixed(3), HERE), place=HERE)
    assert case(slow, gone) == ("fail", 3)


def test_a_group_whose_links_nobody_keeps_any_more_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else calls would wait for ever for a change that nobody makes."""

    async def crash(_keeper: LinkKeeper, _message: LinksChanged) -> None:
        raise RuntimeError("a fault of callboard")

    monkeypatch.setattr(LinkKeeper, "receive", crash)
    with pytest.raises(RuntimeError, match="a fault of callboard"):
        fetched(link(SLOW, "client"), faults=[cut(3)])


def test_links_of_a_scenario_s_devices_file_count_too(tmp_path: Path) -> None:
    (tmp_path / "group.yaml").write_text(definition(GROUP))
    (tmp_path / "devices.yaml").write_text(
        "network: {kind: group, links: [{between: [client, server], cut: true}]}\n"
        "devices: {a: {type: qemu}, b: {type: qemu}}\n"
    )
    (tmp_path / "lab.scenario.yaml").write_text(
        "definition: group.yaml\ndevices: devices.yaml\n"
        "model: {steps: [{step: '*wget*', transfers: {to: server, size: 1}}]}\n"
        "expect: {results: {client: {0_use/fetch: fail}}}\n"
    )
    found = judge(tmp_path / "lab.scenario.yaml")
    assert found.holds, found.text
