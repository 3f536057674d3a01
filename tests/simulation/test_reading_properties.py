"""What holds for any model, faults file or scenario."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.simulation.changes import READERS, TREES, changed
from tests.simulation.examples import GOOD_FAULTS, GOOD_MODEL, GOOD_SCENARIO
from tests.simulation.groups import GROUP, SINGLE, cast_in

from callboard.definition import Diagnostic
from callboard.definition.dumper import dump
from callboard.definition.model import Plain
from callboard.simulation import Faults, Model, Scenario, validate
from callboard.simulation.schema import NAMES, SchemaName

GOOD: dict[SchemaName, str] = {
    "model": GOOD_MODEL,
    "faults": GOOD_FAULTS,
    # Without other files, which are not there.
    "scenario": GOOD_SCENARIO.replace("model: model.yaml", "model: {latency: 1}")
    .replace("faults: faults.yaml", "faults: [{kill: client, at: {time: 3}}]")
    .replace("devices: devices.yaml\n", ""),
}
CASTS = [cast_in(GROUP), cast_in(SINGLE)]


def located(diagnostics: tuple[Diagnostic, ...], text: str) -> None:
    """See that each diagnostic can be shown, and points into the file."""
    lines = text.split("\n")
    places = [each.place for each in diagnostics]
    for diagnostic, place in zip(diagnostics, places, strict=True):
        assert str(diagnostic)
        assert place is not None
        assert 1 <= place.line <= len(lines)
        assert 1 <= place.column <= len(lines[place.line - 1]) + 1
    assert [each.line for each in places if each] == sorted(each.line for each in places if each)


def checked(name: SchemaName, text: str) -> Any:
    """Reads, validates, and checks what must hold whatever was read."""
    found, diagnostics = READERS[name](text)
    assert (found is None) == any(each.severity == "error" for each in diagnostics)
    located(diagnostics, text)
    if isinstance(found, (Model, Faults, Scenario)):
        for cast in CASTS:
            located(validate(found, cast), text)
    return found


@given(st.sampled_from(NAMES), st.text())
def test_no_text_makes_a_reader_fail(name: SchemaName, text: str) -> None:
    checked(name, text)


@given(st.sampled_from(NAMES), st.text(alphabet=":-{}[]&*!|>'\"%@`,?# \n\tab0", max_size=60))
def test_no_punctuation_makes_a_reader_fail(name: SchemaName, text: str) -> None:
    checked(name, text)


@given(st.sampled_from(NAMES), TREES)
def test_no_tree_makes_a_reader_fail(name: SchemaName, tree: Plain) -> None:
    checked(name, dump(tree))


@given(st.sampled_from(NAMES), st.data())
def test_no_change_of_a_good_file_makes_a_reader_fail(
    name: SchemaName, data: st.DataObject
) -> None:
    checked(name, changed(GOOD[name], data))
