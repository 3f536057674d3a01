"""With the default model nothing is late, however short the time-outs of a group are."""

import hypothesis.strategies as st
import pytest
from hypothesis import event, given, note, settings
from tests.simulation.definitions import KINDS, Limits, loaded, texts

from callboard.events import ActionEnded, CallAnswered, Event, JobEnded
from callboard.flow.check import check
from callboard.simulation.simulator import prepare

SHORT = st.integers(1, 5)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Short ones; LAVA divides the time of an action by its attempts, down to whole seconds."""
    retries = draw(st.integers(1, 4))
    return Limits(
        job=draw(st.integers(2, 30)),
        action=draw(SHORT) * retries,
        call=draw(SHORT),
        test=draw(st.none() | SHORT),
        role=draw(st.none() | SHORT),
        retries=retries,
    )


SEEDS = st.integers(0, 1_000_000)
_LATE = ("not satisfied within", "did not end within", "was still running when")


class Late:
    """Collects what a time-out has cut short."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __call__(self, each: Event) -> None:
        match each.body:
            case CallAnswered(reason=str(text)):
                self._add(text)
            case ActionEnded(error=error) | JobEnded(error=error) if error is not None:
                self._add(error.message)
            case _:
                pass

    def _add(self, text: str) -> None:
        if any(late in text for late in _LATE):
            self.found.append(text)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=max(1, settings().max_examples // 12))
@given(data=st.data())
def test_no_time_out_fires_in_a_group_that_completes(kind: str, data: st.DataObject) -> None:
    text = data.draw(limits().flatmap(lambda found: texts(kind, found)))
    note(text)
    definition = loaded(text)
    if definition is None:
        event("invalid")
        return
    roles = [role.name for role in definition.roles if role.count]
    scale = {role: data.draw(st.sampled_from((1, 2, 3, 50))) for role in roles}
    rehearsal = prepare(definition, scale=scale)
    if not check(rehearsal.definition).completes:
        event("left out")
        return
    late = Late()
    outcome = rehearsal.run(data.draw(SEEDS), [late])
    assert late.found == []
    assert not outcome.hopeless
