"""The schemas of a rehearsal's files: they refuse what the reader reports, as far as they can."""

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from tests.definition.test_schema import composed, kinds_of
from tests.simulation.changes import READERS, changed
from tests.simulation.examples import GOOD_FAULTS, GOOD_MODEL, GOOD_SCENARIO
from tests.simulation.slips import FAULTS, MODEL, SCENARIO, Slip

from callboard.cli import schema as verb
from callboard.definition.schema import NAMES as DEFINITIONS
from callboard.simulation.schema import NAMES, SchemaName, schema

VALIDATORS = {name: Draft7Validator(schema(name)) for name in NAMES}
GOOD: dict[SchemaName, str] = {
    "model": GOOD_MODEL,
    "faults": GOOD_FAULTS,
    "scenario": GOOD_SCENARIO,
}
SLIPS: dict[SchemaName, list[Slip]] = {"model": MODEL, "faults": FAULTS, "scenario": SCENARIO}
ELSEWHERE = ("CB001", "CB014")
"""Problems with a file: another one, or its beginning."""

CASES = [
    (name, slip) for name, slips in SLIPS.items() for slip in slips if slip.codes not in ELSEWHERE
]

EXCUSED = (
    "low above its high",
    "mode above its high",
    "are reversed",
    "the limit is 10,000,000",
    "no duration fits",
    "`.nan`",
    "longer than `delay`",
    "described twice",
    "60 seconds, but is the text",
    "to 1, but is the text",
    "1000Gbit, but is the text",
    "1024TiB, but is the text",
)
"""What a schema can't refuse: it does not compare two numbers, nor a text with one, and JSON has
no `.nan`."""


def refused(text: str, name: SchemaName) -> list[str]:
    """What a schema has against a file: where, and why."""
    found = VALIDATORS[name].iter_errors(composed(text))
    return [f"{each.json_path}: {each.message}" for each in found]


def test_the_verb_knows_every_schema() -> None:
    assert get_args(verb.SchemaName) == (*DEFINITIONS, *NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_itself_and_has_all_that_it_refers_to(name: SchemaName) -> None:
    whole = schema(name)
    Draft7Validator.check_schema(whole)
    shared = whole["definitions"]
    assert isinstance(shared, dict)
    for reference in re.findall(r"#/definitions/(\w+)", str(whole)):
        assert reference in shared


def test_no_two_files_call_different_things_by_one_name() -> None:
    scenario = schema("scenario")["definitions"]
    assert isinstance(scenario, dict)
    for name in NAMES:
        own = schema(name)["definitions"]
        assert isinstance(own, dict)
        assert own == {key: scenario[key] for key in own}


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_says_in_one_line_what_each_key_is_for(name: SchemaName) -> None:
    whole = schema(name)
    shared = whole["definitions"]
    assert isinstance(shared, dict)
    for kind in kinds_of(whole):
        keys = kind.get("properties", {})
        assert isinstance(keys, dict)
        for key, value in keys.items():
            assert isinstance(value, dict)
            target = shared.get(str(value.get("$ref")).rpartition("/")[2], {})
            assert isinstance(target, dict)
            said = value.get("description") or target.get("description")
            assert isinstance(said, str), f"{kind['title']}: {key}"
            assert re.fullmatch(r"[^\n]{5,100}\.", said), f"{kind['title']}: {key}: {said}"


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_lets_what_is_right_pass(name: SchemaName) -> None:
    assert refused(GOOD[name], name) == []


@pytest.mark.parametrize(("name", "slip"), CASES, ids=str)
def test_a_schema_refuses_a_slip_unless_it_can_not_know(name: SchemaName, slip: Slip) -> None:
    excused = any(reason in slip.message for reason in EXCUSED)
    assert (refused(slip.text, name) == []) == excused


@given(st.sampled_from(NAMES), st.data())
def test_what_a_schema_refuses_the_reader_reports(name: SchemaName, data: st.DataObject) -> None:
    text = changed(GOOD[name], data)
    found = refused(text, name)
    assert found == [] or READERS[name](text)[1] != (), found


@given(st.sampled_from(NAMES), st.data())
def test_what_the_reader_reports_a_schema_refuses_unless_it_can_not_know(
    name: SchemaName, data: st.DataObject
) -> None:
    text = changed(GOOD[name], data)
    reported = [
        each
        for each in READERS[name](text)[1]
        if each.code not in ELSEWHERE
        and not any(reason in f"{each.message} {each.hint}" for reason in EXCUSED)
    ]
    whole = re.search(r"\.0\b|e\+", text)  # numbers such as 1.0 are whole in JSON only
    assert reported == [] or whole or refused(text, name) != [], reported
