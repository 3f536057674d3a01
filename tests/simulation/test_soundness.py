"""Whatever goes wrong in a group, its rehearsal comes to an orderly end."""

from collections.abc import Mapping, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import event, given, note, settings
from tests.simulation.definitions import KINDS, Limits, loaded, texts
from tests.simulation.mishaps import Protocol, faults, models, passing

from callboard.definition.model import Definition
from callboard.flow.check import check
from callboard.flow.proof import Semantics
from callboard.simulation import read_faults_text, read_model_text
from callboard.simulation.simulator import Outcome, Trace, prepare

SEEDS = st.integers(0, 1_000_000)
SEMANTICS: st.SearchStrategy[Semantics] = st.sampled_from(("documented", "lava"))
LIMITS = st.builds(
    Limits,
    job=st.sampled_from((600, 60, 5)),
    action=st.sampled_from((300, 3)),
    call=st.sampled_from((60, 5, 1)),
    test=st.sampled_from((None, 2)),
    retries=st.sampled_from((1, 3)),
)
LATE = {"kill": "a", "at": {"time": 500}}
"""A fault that comes after everything."""
PATIENT = Limits(job=1_000_000, action=1_000_000, call=1_000_000)


def rehearsed(
    definition: Definition,
    seed: int,
    rules: Sequence[Mapping[str, Any]],
    model: Mapping[str, Any] | None = None,
    semantics: Semantics = "documented",
) -> tuple[Outcome, Protocol, str]:
    known, found = read_faults_text(yaml.safe_dump({"faults": [*rules]}))
    assert known is not None, found
    taken, found = read_model_text(yaml.safe_dump(dict(model or {"latency": 0})))
    assert taken is not None, found
    protocol, trace = Protocol(), Trace()
    rehearsal = prepare(definition, faults=known, model=taken, semantics=semantics)
    outcome = rehearsal.run(seed, [protocol, trace])
    protocol.close(outcome.exit_code)
    return outcome, protocol, trace.sha256


def roles_of(definition: Definition) -> list[str]:
    return [role.name for role in definition.roles]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=max(1, settings().max_examples // 6))
@given(data=st.data())
def test_whatever_goes_wrong_every_job_is_finalised_and_every_call_answered(
    kind: str, data: st.DataObject
) -> None:
    plain = yaml.safe_load(data.draw(texts(kind, data.draw(LIMITS))))
    for role in plain["protocols"]["lava-multinode"]["roles"].values():
        role["essential"] = data.draw(st.sampled_from((False, False, False, True)))
    text = yaml.safe_dump(plain, sort_keys=False, width=1_000)
    note(text)
    definition = loaded(text)
    if definition is None:
        event("invalid")
        return
    rules = data.draw(st.lists(faults(roles_of(definition)), min_size=1, max_size=4))
    model = data.draw(st.none() | models())
    seed, semantics = data.draw(SEEDS), data.draw(SEMANTICS)
    outcome, protocol, sha256 = rehearsed(definition, seed, rules, model, semantics)
    event(f"exit code {outcome.exit_code}")
    assert protocol.wrong == []
    assert rehearsed(definition, seed, rules, model, semantics)[-1] == sha256


@pytest.mark.parametrize("kind", ["straight", "crossed", "branching"])
@settings(max_examples=max(1, settings().max_examples // 6))
@given(data=st.data())
def test_what_happens_to_messages_changes_no_result_where_there_is_time(
    kind: str, data: st.DataObject
) -> None:
    text = data.draw(texts(kind, PATIENT))
    note(text)
    definition, semantics = loaded(text), data.draw(SEMANTICS)
    if definition is None or check(definition, semantics).outcome != "completes":
        event("invalid, or some call may not return")
        return
    rules = data.draw(st.lists(passing(roles_of(definition)), min_size=1, max_size=3))
    seed = data.draw(SEEDS)
    first, *_ = roles_of(definition)
    quiet = {"lose": first, "probability": 0}
    found = [
        (outcome.exit_code, sorted(protocol.answers), protocol.wrong)
        for outcome, protocol, _ in (
            rehearsed(definition, seed, each, None, semantics) for each in ([quiet], rules)
        )
    ]
    assert found[0] == found[1]


def pair(*, retries: int = 1) -> Definition:
    """Two nodes that meet."""
    roles = {name: {"device_type": "qemu", "count": 1} for name in "ab"}
    boot: dict[str, Any] = {"role": ["a", "b"], "method": "qemu", "prompts": ["#"]}
    deploy = {"role": ["a", "b"], "to": "tmpfs", "images": {"r": {"url": "http://x.example/r"}}}
    meet = {
        "from": "inline",
        "name": "meet",
        "path": "meet.yaml",
        "repository": {
            "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "meet"},
            "run": {"steps": ["lava-sync met"]},
        },
    }
    plain = {
        "job_name": "pair",
        "visibility": "public",
        "timeouts": {"job": {"minutes": 10}, "action": {"minutes": 5}},
        "protocols": {"lava-multinode": {"roles": roles, "timeout": {"minutes": 4}}},
        "actions": [
            {"deploy": deploy},
            {"boot": {**boot, "failure_retry": retries} if retries > 1 else boot},
            {"test": {"role": ["a", "b"], "definitions": [meet]}},
        ],
    }
    definition = loaded(yaml.safe_dump(plain, sort_keys=False))
    assert definition is not None
    return definition


def test_a_boot_that_fails_behind_its_shell_is_tried_again_with_a_new_shell() -> None:
    model = {"actions": [{"action": "export-device-env", "takes": 1, "fails": 0.5}]}
    ends = set()
    for seed in range(12):
        outcome, protocol, _ = rehearsed(pair(retries=3), seed, [LATE], model)
        assert protocol.wrong == []
        ends.add(outcome.exit_code)
    assert 0 in ends


def test_of_outages_that_overlap_the_last_one_counts() -> None:
    short = {"crash": "coordinator", "at": {"time": 0}, "for": 5}
    long = {"crash": "coordinator", "at": {"time": 1}, "for": 100}
    outcome, _, _ = rehearsed(pair(), 0, [short, long])
    assert outcome.exit_code == 0
    assert outcome.duration_s > 101


def test_a_coordinator_may_crash_more_often_than_anybody_counts() -> None:
    crashes = [
        {"crash": "coordinator", "at": {"time": 0.1 * number}, "for": 0.05} for number in range(200)
    ]
    outcome, protocol, _ = rehearsed(pair(), 0, crashes)
    assert outcome.exit_code == 0
    assert protocol.wrong == []


def test_a_fault_befalls_a_node_once_however_often_it_is_named() -> None:
    once = rehearsed(pair(), 0, [{"slow": "a", "factor": 4}])
    again = rehearsed(pair(), 0, [{"slow": ["a", {"role": "a", "node": 1}, "a"], "factor": 4}])
    assert once[-1] == again[-1]
