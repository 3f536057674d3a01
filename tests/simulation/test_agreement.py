"""What `check` proves of a group is what each rehearsal of it comes to."""

from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from attrs import frozen
from hypothesis import event, given, note, settings
from tests.simulation.definitions import KINDS, loaded, texts, with_vlans

from callboard.definition.model import Definition
from callboard.events import CallAnswered, Event
from callboard.flow.check import Verdict, check
from callboard.flow.proof import Semantics
from callboard.simulation.simulator import Outcome, prepare

SEEDS = st.integers(0, 1_000_000)


@frozen
class Rehearsed:
    """How a rehearsal ended, and the calls that failed in it."""

    outcome: Outcome
    failed: tuple[CallAnswered, ...]


def rehearsals(
    definition: Definition, semantics: Semantics, seeds: Sequence[int]
) -> list[Rehearsed]:
    rehearsal = prepare(definition, semantics=semantics)
    found = []
    for seed in seeds:
        failed: list[CallAnswered] = []

        def observe(each: Event, failed: list[CallAnswered] = failed) -> None:
            if isinstance(each.body, CallAnswered) and each.body.result != "pass":
                failed.append(each.body)

        outcome = rehearsal.run(seed, [observe])
        found.append(Rehearsed(outcome, tuple(failed)))
    return found


def disagreement(verdict: Verdict, rehearsed: Rehearsed) -> str | None:
    """In what a rehearsal contradicts a verdict, None if it doesn't.

    LAVA's coordinator notices no end of a job, so there a wait fails only at its limit; and a call
    that is wrong in itself fails without waiting.
    """
    calls = (call for each in verdict.extraction.programs for call in each.calls())
    notices = verdict.semantics == "documented" and not any(call.refused for call in calls)
    outcome = rehearsed.outcome
    match verdict.outcome:
        case "completes":
            contradicts = outcome.hopeless or bool(rehearsed.failed) or outcome.exit_code == 4
        case "deadlocks" if notices:
            contradicts = outcome.exit_code != 4
        case "deadlocks":
            contradicts = outcome.exit_code == 0
        case _:
            contradicts = False
    told = f"the check says {verdict.outcome}, but seed {outcome.seed} ends with {rehearsed}"
    return told if contradicts else None


@pytest.mark.parametrize("semantics", ["documented", "lava"])
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=max(1, settings().max_examples // 12))
@given(data=st.data())
def test_a_rehearsal_comes_to_what_the_check_proves(
    kind: str, semantics: Semantics, data: st.DataObject
) -> None:
    _agrees(data, data.draw(texts(kind)), semantics)


@pytest.mark.parametrize("semantics", ["documented", "lava"])
@settings(max_examples=max(1, settings().max_examples // 6))
@given(data=st.data())
def test_a_rehearsal_with_vlans_comes_to_what_the_check_proves(
    semantics: Semantics, data: st.DataObject
) -> None:
    _agrees(data, data.draw(with_vlans()), semantics)


def _agrees(data: st.DataObject, text: str, semantics: Semantics) -> None:
    note(text)
    definition = loaded(text)
    if definition is None:
        event("invalid")
        return
    verdict = check(definition, semantics)
    event(verdict.outcome)
    seeds = data.draw(st.lists(SEEDS, min_size=3, max_size=3))
    for each in rehearsals(definition, semantics, seeds):
        assert disagreement(verdict, each) is None
