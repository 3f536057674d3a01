"""Models, faults and scenarios beside the group that they are for."""

from pathlib import Path

import pytest
from tests.simulation.examples import GOOD_FAULTS, GOOD_MODEL
from tests.simulation.groups import GROUP, SINGLE, cast_in
from tests.simulation.slips import Slip, matched

from callboard.definition import Diagnostic, Place
from callboard.simulation import (
    Cast,
    Faults,
    Model,
    read_faults_text,
    read_model_text,
    read_scenario_text,
    validate,
)
from callboard.simulation.distribution import Fixed
from callboard.simulation.faults import AtTime, Kill, Target
from callboard.simulation.model import ActionRule
from callboard.simulation.pattern import Pattern

MODEL = [
    Slip("actions: [{action: x, role: ¶clint, takes: 1}]", "CB210", "`clint`", "`client`?"),
    Slip(
        "actions: [{action: ¶auto-login-actoin, takes: 1}]", "CB211", "nobody comes to the action"
    ),
    Slip("actions: [{action: ¶auto-login-actoin, takes: 1}]", "CB211", "", "`auto-login-action`?"),
    Slip("steps: [{step: ¶iperf -s -D, takes: 1}]", "CB211", "the step `iperf -s -D`", "`iperf3"),
    Slip(
        "steps: [{step: ¶iperf3 -s *, role: client, takes: 1}]",
        "CB211",
        "no node of `client` comes to the step `iperf3 -s *`",
        "the role `server` has it",
    ),
    Slip("steps: [{step: ¶lava-sync done, takes: 1}]", "CB211", "the step `lava-sync done`"),
    Slip("steps: [{step: '*', test: ¶0_srve, takes: 1}]", "CB211", "no test `0_srve`", "`0_serve`"),
    Slip(
        "steps: [{step: '*', test: ¶0_serve, role: client, takes: 1}]",
        "CB211",
        "`client` has no test `0_serve`",
        "the role `server` has it",
    ),
    Slip("conditions: [{condition: ¶test -x, way: 1}]", "CB211", "the condition `test -x`"),
    Slip(
        "conditions: [{condition: '[ -f *', ways: ¶[1, 2, 3]}]",
        "CB212",
        "the condition `[ -f /etc/flag ]` has 2 ways, but 3 weights are given",
    ),
    Slip("conditions: [{condition: '[ -f *', way: ¶3}]", "CB212", "but way 3 is taken"),
    Slip("loops: [{loop: ¶while, turns: 1}]", "CB211", "nobody comes to the loop `while`"),
]

FAULTS = [
    Slip("[{kill: ¶clint, at: {time: 1}}]", "CB210", "`clint`", "did you mean `client`?"),
    Slip("[{kill: ¶{any: x}, at: {time: 1}}]", "CB210", "", ""),
    Slip("[{kill: [client, ¶x], at: {time: 1}}]", "CB210", "", "`server` and `client`"),
    Slip("[{kill: ¶{node: 1}, at: {time: 1}}]", "CB210", "names no role"),
    Slip("[{kill: ¶{role: client, node: 4}, at: {time: 1}}]", "CB213", "has 3 nodes"),
    Slip("[{kill: ¶{role: server, node: 2}, at: {time: 1}}]", "CB213", "has 1 node"),
    Slip("[{kill: client, at: {time: ¶300}}]", "CB214", "comes too late", "after 300 seconds"),
    Slip("[{kill: client, at: {action: ¶boot-x}}]", "CB214", "comes to the action `boot-x`"),
    Slip("[{kill: client, at: {step: ¶iperf3 -s *}}]", "CB214", "", "`server` has it"),
    Slip("[{kill: client, at: {call: ¶lava-wait raedy}}]", "CB214", "", "`lava-wait ready`?"),
    Slip("[¶{lose: client, probability: 0}]", "CB214", "has the probability 0"),
    Slip("[¶{partition: client, for: 0}]", "CB214", "lasts no time at all"),
    Slip("[{draw: [kill], rate: ¶0, within: 1}]", "CB214", "has the rate 0"),
    Slip("[{draw: [kill], rate: 1, within: 1, role: ¶x}]", "CB210", "`x`"),
]

SCENARIO = [
    Slip("scale: {clint: ¶5}", "CB210", "`scale` names the role `clint`", "`client`?"),
    Slip("expect: {health: {clint: ¶complete}}", "CB210", "`health` names the role `clint`"),
    Slip("expect: {health: {client: ¶{complete: 2}}}", "CB216", "counts 2 jobs of `client`"),
    Slip("expect: {errors: {clint: ¶Bug}}", "CB210", "`errors` names the role"),
    Slip("expect: {results: {clint: {0_a/b: ¶pass}}}", "CB210", "`results` names the role"),
    Slip("expect: {results: {client: {0_usr/b: ¶pass}}}", "CB216", "`0_usr`", "`0_use`?"),
    Slip("expect: {results: {client: {0_serve/b: ¶pass}}}", "CB216", "", "`server` has it"),
    Slip("expect: {results: {0_serve/b: ¶pass}}", "CB216", "`client` has no suite `0_serve`"),
    Slip("expect: {hopeless: [¶clint]}", "CB210", "`hopeless` names the role"),
    Slip("expect: {order: [¶'clint: lava-sync done']}", "CB210", "`order` names the role"),
    Slip("expect: {order: [¶'client: lava-sync don']}", "CB216", "ever calls", "`lava-sync done`?"),
    Slip("expect: {order: [¶'client: lava-send ready']}", "CB216", "", "`server` has it"),
    Slip("model: {actions: [{action: ¶x, takes: 1}]}", "CB211", "the action `x`"),
    Slip("faults: [{kill: ¶x, at: {time: 1}}]", "CB210", "`x`"),
]


def of_model(text: str, cast: Cast) -> tuple[Diagnostic, ...]:
    model, diagnostics = read_model_text(text, "m.yaml")
    assert model is not None, diagnostics
    return validate(model, cast)


def of_faults(text: str, cast: Cast) -> tuple[Diagnostic, ...]:
    faults, diagnostics = read_faults_text(text, "f.yaml")
    assert faults is not None, diagnostics
    return validate(faults, cast)


def test_rules_that_fit_the_group_are_not_found_wrong() -> None:
    cast = cast_in(GROUP)
    assert of_model(GOOD_MODEL, cast) == ()
    good = GOOD_FAULTS.replace("- {refuse: {node: 1}}\n", "")
    assert of_faults(good, cast) == ()


@pytest.mark.parametrize("slip", MODEL, ids=str)
def test_a_rule_that_fits_nothing_is_found_where_it_is(slip: Slip) -> None:
    found = of_model(slip.text, cast_in(GROUP))
    matched(slip, found, "m.yaml")
    assert found[0].severity == "error"


@pytest.mark.parametrize("slip", FAULTS, ids=str)
def test_a_fault_that_fits_nothing_is_found_where_it_is(slip: Slip) -> None:
    slip = Slip(f"faults: {slip.marked}", slip.codes, slip.message, slip.hint)
    found = of_faults(slip.text, cast_in(GROUP))
    matched(slip, found, "f.yaml")
    assert found[0].severity == ("warning" if slip.codes == "CB214" else "error")


@pytest.mark.parametrize("slip", SCENARIO, ids=str)
def test_an_expectation_that_fits_nothing_is_found_where_it_is(slip: Slip, tmp_path: Path) -> None:
    file = str(tmp_path / "x.scenario.yaml")
    (tmp_path / "group.yaml").write_text(GROUP)
    slip = Slip(
        f"definition: group.yaml\ncheck: completes\n{slip.marked}\n",
        slip.codes,
        slip.message,
        slip.hint,
    )
    scenario, diagnostics = read_scenario_text(slip.text, file)
    assert scenario is not None, diagnostics
    matched(slip, validate(scenario, cast_in(GROUP, **scenario.counts)), file)


def test_the_size_that_is_rehearsed_counts() -> None:
    text = "faults: [{kill: {role: client, node: 40}, at: {time: 1}}]"
    assert of_faults(text, cast_in(GROUP, client=40)) == ()
    assert [each.code for each in of_faults(text, cast_in(GROUP, client=39))] == ["CB213"]


def test_a_delayed_role_ends_later() -> None:
    role = "client: {device_type: qemu, count: 3, request: lava-start, expect_role: server}"
    text = GROUP.replace("client: {device_type: qemu, count: 3}", role)
    late = "faults: [{kill: client, at: {time: 300}}]"
    assert of_faults(late, cast_in(text)) == ()
    assert len(of_faults(late.replace("300", "390"), cast_in(text))) == 1


def test_a_job_without_roles_has_one_node_and_no_messages() -> None:
    cast = cast_in(SINGLE)
    assert of_faults("faults: [{kill: {node: 1}, at: {time: 1}}]", cast) == ()
    (found,) = of_faults("faults: [{kill: client, at: {time: 1}}]", cast)
    assert (found.code, found.hint) == ("CB210", "write `{node: 1}`")
    (found,) = of_faults("faults: [{kill: {node: 2}, at: {time: 1}}]", cast)
    assert (found.code, found.message) == (
        "CB213",
        "the fault `kill` names node 2, but the job has 1 node",
    )
    (found,) = of_faults("faults: [{lose: {node: 1}, probability: 1}]", cast)
    assert (found.code, "sends no messages" in found.message) == ("CB214", True)
    (found,) = of_faults("faults: [{crash: coordinator, at: {time: 1}}]", cast)
    assert found.code == "CB214"


def test_a_secret_of_the_definition_is_not_shown() -> None:
    (found,) = of_model("steps: [{step: login hunter22 no, takes: 1}]", cast_in(SINGLE))
    assert "hunter22" not in str(found)


def test_rules_that_stand_in_no_file_can_be_compared_too() -> None:
    place = Place("<test>", 1, 1)
    model = Model(actions=(ActionRule(Pattern("x"), place, takes=Fixed(1)),))
    assert [each.code for each in validate(model, cast_in(GROUP))] == ["CB211"]
    kill = Kill(targets=(Target("x", place),), at=AtTime(Fixed(1), place), place=place)
    assert [each.code for each in validate(Faults((kill,)), cast_in(GROUP))] == ["CB210"]


def test_calls_behind_the_end_of_a_script_are_never_made() -> None:
    text = GROUP.replace("- lava-wait ready\n", "- exit 0\n          - lava-wait ready\n")
    (found,) = of_faults("faults: [{kill: client, at: {call: lava-wait ready}}]", cast_in(text))
    assert found.code == "CB214"
