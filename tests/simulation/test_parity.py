"""A simulated device behaves like a real one: the same definitions, run and rehearsed."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.simulation.parity import stories
from tests.system.harness import Callboard, Test, definition

from callboard.definition import load
from callboard.events import Event, read_log
from callboard.simulation.simulator import prepare

SCENARIOS = Path("scenarios")
OPTIONS = ("--first-id", "1", "--deadlock-grace", "1")
DECIDED = (
    "circle",
    "dead-server",
    "demo",
    "missing-sender",
    "send-wait",
    "single",
    "sync",
    "two-roles",
    "wait-all",
    "wait-all-role",
)
"""Scenarios in which it is known before the run which way each node goes."""

CASES = (
    "lava-test-case one --shell true",
    "lava-test-case two --shell 'true && true'",
    "lava-test-case three --shell false",
    "lava-test-case four --shell 'echo hi; false'",
    "lava-test-case five --result skip --units ms",
    "lava-test-case six --result nope || true",
    "lava-test-set start some",
    "lava-test-case in-set --result pass",
    "lava-test-set stop",
    "lava-test-reference ref --result pass --reference http://files.example/log",
    "true; lava-test-case seven --shell true; lava-test-case eight --result fail",
    "for i in 1 2 3; do lava-test-case loop-$i --result pass; done",
    "X=abc; lava-test-case var-$X --result pass",
    "f() { lava-test-case in-f --result pass; }; f; f",
    "(lava-test-case sub --result pass)",
    "lava-test-case sent --shell lava-send hi",
    "true && lava-test-case and --result pass || lava-test-case or --result fail",
    "if true; then lava-test-case yes --result pass; else lava-test-case no --result fail; fi",
)
ENDINGS: Mapping[str, Sequence[str]] = {
    "exits": ["lava-test-case one --result pass", "exit 0", "lava-test-case two --result pass"],
    "fails": ["lava-test-case one --result pass", "false", "lava-test-case two --result pass"],
    "dies": ["die() { exit 1; }", "lava-test-case one --result pass; die", "lava-send two"],
    "saved": ["(exit 1) || lava-test-case saved --result pass", "lava-test-case end --result pass"],
    "killed": ["lava-send hi; kill $$", "lava-test-case never --result pass"],
}
NEVER = "lava-wait-all never b"
ON = "lava-test-case on --result pass"
FAILING: Mapping[str, Sequence[str]] = {
    "ends": [NEVER, ON],
    "ignored": [f"{NEVER} || true", ON],
    "exit": [f"{NEVER} || exit 1", ON],
    "told": [f"{NEVER} || {{ lava-test-case waited --result fail; exit 1; }}", ON],
    "case": [f"lava-test-case w --shell {NEVER}", ON],
    "shell": [f"sh -c '{NEVER}; lava-send q'", ON],
    "if": [f"if {NEVER}; then lava-send yes; else lava-send no; fi", ON],
    "chain": [f"lava-send a && {NEVER} && lava-send b || lava-send c", ON],
    "function": [f"f() {{ {NEVER}; lava-send inside; }}; f", ON],
    "negated": [f"! {NEVER}", ON],
    "refused": ["lava-send 'a b' || true", "lava-send a my-key=1 || lava-send bad", "lava-send"],
    "role": ["lava-wait-all a nosuch || lava-send norole", "lava-send"],
    "subshell": [f"({NEVER}; lava-send in-sub) || lava-send sub", ON],
    "looked": [f"lava-test-case p --shell '{NEVER} || true'", ON],
    "raised": [f"{NEVER} || lava-test-raise it never came", ON],
}


def rehearsed(path: Path) -> list[Event]:
    events: list[Event] = []
    prepare(load(path)).run(0, [events.append])
    return events


def ran(callboard: Callboard, path: Path) -> list[Event]:
    directory = callboard.run(path, *OPTIONS, cwd=Path.cwd()).directory
    return list(read_log(directory / "events.jsonl"))


def compare(callboard: Callboard, path: Path) -> None:
    real, simulated = stories(ran(callboard, path)), stories(rehearsed(path))
    assert list(simulated) == list(real) or sorted(simulated) == sorted(real)
    for name, story in real.items():
        assert simulated[name] == story, name


@pytest.mark.parametrize("name", DECIDED)
def test_a_scenario_is_rehearsed_as_it_runs(callboard: Callboard, name: str) -> None:
    compare(callboard, SCENARIOS / f"{name}.yaml")


def test_results_are_reported_as_by_a_real_test(callboard: Callboard) -> None:
    compare(callboard, callboard.write(definition({"a": [Test("t", CASES)]})))


def test_a_definition_ends_as_a_real_one(callboard: Callboard) -> None:
    tests = [Test(name, steps) for name, steps in ENDINGS.items()]
    compare(callboard, callboard.write(definition({"a": tests})))


@pytest.mark.parametrize("install", ["true", "false; true", "false", "exit 3"])
def test_an_installation_ends_as_a_real_one(callboard: Callboard, install: str) -> None:
    tests = [Test("first", [ON], install=[install]), Test("second", [ON])]
    compare(callboard, callboard.write(definition({"a": tests})))


def test_a_node_goes_on_behind_a_call_that_fails_as_a_real_one(callboard: Callboard) -> None:
    tests = [Test(name, steps) for name, steps in FAILING.items()]
    text = definition({"a": tests, "b": [Test("idle", ["true"])]}, limit_s=3)
    compare(callboard, callboard.write(text))


def test_background_processes_are_heard_as_real_ones(callboard: Callboard) -> None:
    start = "lava-background-process-start p --cmd 'sleep 0.2; lava-send started'"
    roles = {
        "a": [
            Test("t", ["(sleep 0.2; lava-send up) & lava-wait seen", "wait", ON]),
            Test("u", [start, "lava-wait noticed", "lava-background-process-stop p", ON]),
        ],
        "b": [Test("t", ["lava-wait up; lava-send seen; lava-wait started; lava-send noticed"])],
    }
    compare(callboard, callboard.write(definition(roles, limit_s=20)))


def test_a_raise_ends_the_job_as_a_real_one(callboard: Callboard) -> None:
    tests = [Test("t", [ON, "lava-test-raise the disk is gone", ON]), Test("u", [ON])]
    compare(callboard, callboard.write(definition({"a": tests})))
