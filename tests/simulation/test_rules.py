"""The rules of LAVA's documentation hold in rehearsals as they do in runs."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from tests.conformance.rule import Rule, complaints
from tests.conformance.rules import RULES
from tests.system.harness import Ran

from callboard.definition import load
from callboard.events import LOG_NAME
from callboard.report.document import document
from callboard.report.record import Recorder
from callboard.simulation.simulator import Trace, prepare

OF_RUNS = {
    "action-time-out-first": "a wait for what nobody sends is given up at once",
    "call-time-out": "a wait for what nobody sends is given up at once",
    "call-time-out-not-retried": "a wait for what nobody sends is given up at once",
    "container-finalize": "a model is nothing that could be kept",
    "container-persist": "a model is nothing that could be kept",
    "container-requests": "a rehearsal has no devices whose commands it could run",
    "essential-call-time-out": "a wait for what nobody sends is given up at once",
    "essential-infrastructure-error": "the test kills the shell that runs it",
    "placeholder-first-sender": "only the run knows which node it is",
    "start-after-all": "only the run knows which node it is",
    "start-time-out": "the server's wait is given up before the limit of the start",
}
"""Rules that a rehearsal can't show, and why."""

assert OF_RUNS.keys() <= {rule.name for rule in RULES}

REHEARSED = [rule for rule in RULES if not rule.errors and rule.name not in OF_RUNS]


def rehearsed(rule: Rule, directory: Path) -> Ran:
    recorder = Recorder()
    with (directory / LOG_NAME).open("wb") as file:
        prepare(load(rule.path)).run(0, [Trace(file), recorder.add])
    told: Any = document(recorder.run(), directory)
    return Ran(told["exit_code"], told, directory, "")


@pytest.mark.parametrize("rule", REHEARSED, ids=lambda rule: rule.name)
def test_a_rehearsal_keeps_the_rule(rule: Rule, tmp_path: Path) -> None:
    kept = evolve(rule, printed={}, warnings=(), under_s=None)
    assert complaints(kept, rehearsed(rule, tmp_path)) == []


def test_what_a_device_runs_for_a_request_is_not_run_in_a_rehearsal(tmp_path: Path) -> None:
    rule = next(each for each in RULES if each.name == "container-requests")
    assert rehearsed(rule, tmp_path).exit_code == 0
