"""Kills at each call."""

from pathlib import Path

from tests.simulation.races import group

from callboard.definition import load
from callboard.simulation.casualty import blows, kill_each
from callboard.simulation.crew import Crew
from callboard.simulation.faults import AtCall, AtTime
from callboard.simulation.trial import Stage

AGAIN = {
    "server": ["lava-send ready", "lava-sync done"],
    "client": ["for turn in 1 2; do lava-wait ready; done", "lava-sync done"],
}


def stage(folder: Path, text: str) -> Stage:
    (folder / "group.yaml").write_text(text)
    return Stage(load(folder / "group.yaml"))


def test_calls_that_are_written_alike_are_told_apart_by_their_number(tmp_path: Path) -> None:
    _, found = blows(stage(tmp_path, group(AGAIN)), 1)
    assert [(each.role, each.call, each.occurrence) for each in found] == [
        ("server", "lava-send ready", 1),
        ("server", "lava-sync done", 1),
        ("client", "lava-wait ready", 1),
        ("client", "lava-wait ready", 2),
        ("client", "lava-sync done", 1),
    ]
    assert all(isinstance(each.moment, AtCall) for each in found)


def test_a_node_is_dead_before_its_call(tmp_path: Path) -> None:
    scene = stage(tmp_path, group(AGAIN))
    _, found = blows(scene, 1)
    with Crew(scene, 2) as crew:
        casualties = kill_each(crew, scene, 1, found)
    assert [each.blow for each in casualties] == list(found)
    [unsent, *others] = [each.finding.signature for each in casualties]
    assert any(fact.what == "lava-wait ready" and fact.hopeless for fact, _ in unsent.facts)
    assert all(signature.exit_code == 4 for signature in others)
    for each in casualties:
        assert each.failing_s is not None
        assert 0 <= each.failing_s <= each.verdict_s < 30


def test_one_of_the_nodes_that_go_the_same_way_stands_for_all(tmp_path: Path) -> None:
    steps = {
        "server": ["lava-send ready"],
        "client": ["if [ -f /x ]; then lava-wait ready; else lava-send other; fi"],
    }
    _, found = blows(stage(tmp_path, group(steps, {"client": 20})), 1)
    clients = [each for each in found if each.role == "client"]
    assert {each.call for each in clients} == {"lava-wait ready", "lava-send other"}
    assert sum(each.alike for each in clients) == 20


def test_a_call_of_an_action_is_met_by_its_time(tmp_path: Path) -> None:
    text = group({"server": ["serve"], "client": ["use"]})
    call = (
        "protocols: {lava-multinode: [{action: lava-overlay, request: lava-sync, messageID: up}]}"
    )
    first, rest = text.split("- deploy:\n", 1)
    _, found = blows(stage(tmp_path, f"{first}- deploy:\n    {call}\n{rest}"), 1)
    assert [(each.call, type(each.moment)) for each in found] == [("lava-sync up", AtTime)] * 2


def test_a_start_is_called_as_one_writes_it(tmp_path: Path) -> None:
    text = Path("scenarios/delayed-start.yaml").read_text()
    call = "{action: multinode-test, request: lava-start, roles: [client]}"
    text = text.replace("          - lava-send lava_start\n", "").replace(
        "- test:\n    role: [server]\n",
        f"- test:\n    role: [server]\n    protocols: {{lava-multinode: [{call}]}}\n",
    )
    _, found = blows(stage(tmp_path, text), 1)
    assert [each.call for each in found if "start" in each.call] == [
        "lava-start client",
        "lava-start by server",
    ]
