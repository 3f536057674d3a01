"""The schemas of what callboard reads: they refuse what the reader reports, as far as they can."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from tests.definition.slips import HERE, Slip
from tests.definition.test_bad_calls import RIGHT
from tests.definition.test_bad_definitions import ALL, FILE
from tests.definition.test_definition_properties import GOOD, TREES, changed
from tests.definition.test_devices import BAD_LIMITS, SLIPS
from tests.definition.test_devices import GOOD as DEVICES

from callboard.definition import read_text
from callboard.definition.composer import compose
from callboard.definition.findings import Findings
from callboard.definition.model import Plain
from callboard.definition.schema import NAMES, SchemaName, schema
from callboard.definition.source import Source, decode
from callboard.definition.tree import plain

ROOT = Path(__file__).parents[2]
WRITTEN = [
    path
    for folder in ("scenarios", "tests/definition/good", "tests/conformance/definitions")
    for path in sorted((ROOT / folder).glob("*.yaml"))
    if not path.name.endswith(".scenario.yaml")
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLE = re.compile(r"^```yaml\n((job_name|devices):.*?)^```", re.MULTILINE | re.DOTALL)
VALIDATORS = {name: Draft7Validator(schema(name)) for name in NAMES}

ELSEWHERE = {
    "CB042": "compares a time-out with another",
    "CB051": "looks for the role's name in all actions",
    "CB057": "looks for a name among the roles",
    "CB059": "looks at the role that is named",
    "CB060": "compares a role with its own name",
    "CB061": "follows names from role to role",
    "CB067": "looks at the role that is named",
    "CB068": "looks at all roles together",
    "CB076": "depends on the actions that the block becomes",
    "CB085": "depends on the actions that the block becomes",
    "CB089": "looks for the protocol among those of the job",
    "CB090": "looks at all calls of a guest's deploys",
    "CB091": "compares a boot with the call of a deploy",
    "CB092": "looks at the role that is named",
    "CB094": "depends on the actions that the block becomes",
    "CB095": "looks at the deploys of another role",
    "CB123": "looks for the role's container",
    "CB124": "looks at the count of another section",
    "CB131": "looks for each role of the group",
    "CB135": "depends on the actions that the block becomes",
    "CB143": "compares the names of all tests",
    "CB153": "is marked as deprecated, which editors show",
    "CB191": "reads regular expressions as Python does",
}
"""Problems that a schema does not refuse: it looks at one place at a time."""

ONCE = {
    "must be a whole number, but is the number `1.0`": "JSON has one kind of number",
    "the name of a role must be text, not the truth value `on`": "keys are text in JSON",
    "the name of a role must be text, not the number `1`": "keys are text in JSON",
    "no namespace `commo`": "looks for a name among the namespaces",
    "deploy block 1 must be a list": "only a deploy to `lxc` looks at its packages",
    "no use for `timeuot`": "a deploy has keys that only its method knows",
    "longer than LAVA's limit": "the message counts as a whole",
    "the name of a device must be text": "keys are text in JSON",
}
"""The same for single cases of other problems, by their message."""


IN_YAML = {"CB010", "CB014"}
"""Problems of a file before there is any data: a key twice, or no map at all."""

DISTINCT = TREES.filter(lambda tree: not re.search(r"\.0\b|e\+", repr(tree)))
"""Data without numbers such as 1.0, which are whole in JSON only."""


def composed(text: str) -> Plain:
    """The data in a file as callboard's own reader sees it."""
    source = decode(text, "group.yaml")
    assert isinstance(source, Source)
    findings = Findings(source)
    root = compose(source, findings)
    assert root is not None
    assert not findings.errors, "it isn't YAML"
    return plain(root)


def refused(text: str, name: SchemaName = "definition") -> list[str]:
    """What a schema has against a file: where, and why."""
    found = VALIDATORS[name].iter_errors(composed(text))
    return [f"{each.json_path}: {each.message}" for each in found]


def kinds_of(subschema: Plain) -> Iterator[Mapping[str, Plain]]:
    """Each part of a schema that has a title."""
    match subschema:
        case dict():
            if isinstance(subschema.get("title"), str):
                yield subschema
            for part in subschema.values():
                yield from kinds_of(part)
        case list():
            for part in subschema:
                yield from kinds_of(part)
        case _:
            pass


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_valid_itself(name: SchemaName) -> None:
    Draft7Validator.check_schema(schema(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_says_in_one_line_what_each_key_is_for(name: SchemaName) -> None:
    whole = schema(name)
    shared = whole["definitions"]
    assert isinstance(shared, dict)
    for kind in kinds_of(whole):
        keys = kind.get("properties", {})
        assert isinstance(keys, dict)
        for key, value in keys.items():
            if isinstance(value, bool):
                continue  # it can't stand here, or is described elsewhere
            assert isinstance(value, dict)
            reference = str(value.get("$ref")).rpartition("/")[2]
            target = shared.get(reference, {})
            assert isinstance(target, dict)
            said = value.get("description") or target.get("description")
            assert isinstance(said, str), f"{kind['title']}: {key}"
            assert re.fullmatch(r"[^\n]{5,100}\.", said), f"{kind['title']}: {key}: {said}"


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_a_schema_refuses_no_definition_that_is_right(path: Path) -> None:
    reported = read_text(path.read_text())[1]
    assert refused(path.read_text()) == [] or reported != ()


def test_a_schema_lets_the_scenarios_and_most_rules_of_lava_pass() -> None:
    refusing = {path.stem for path in WRITTEN if refused(path.read_text())}
    assert refusing == {
        "call-as-map",
        "call-limit-of-role",
        "call-without-id",
        "container-described",
        "request-unknown",
        "send-fills-nothing",
        "start-needs-request",
        "start-time-out",
        "start-without-role",
        "vlan-one-node",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_schema_lets_the_examples_of_the_documentation_pass(page: Path) -> None:
    for example, key in EXAMPLE.findall(page.read_text()):
        assert refused(example, "devices" if key == "devices" else "definition") == []


def test_a_schema_lets_calls_and_devices_pass_that_are_right() -> None:
    for slip in RIGHT:
        assert refused(slip.marked.replace(HERE, "")) == [], str(slip)
    assert refused(DEVICES, "devices") == []


@pytest.mark.parametrize("slip", [slip for slip in ALL if slip not in FILE], ids=str)
def test_a_schema_refuses_a_slip_unless_it_can_not_know(slip: Slip) -> None:
    codes = slip.codes.split()
    reason = ELSEWHERE.get(codes[0]) or ONCE.get(slip.message)
    assert (refused(slip.marked.replace(HERE, "")) == []) == (reason is not None)


def test_every_exception_is_one() -> None:
    assert ELSEWHERE.keys() <= {code for slip in ALL for code in slip.codes.split()}
    assert ONCE.keys() <= {slip.message for slip in ALL} | {row[4] for row in SLIPS}


@pytest.mark.parametrize("text", [text for text, code, *_ in SLIPS if code not in IN_YAML])
def test_a_schema_refuses_a_slip_in_a_devices_file(text: str) -> None:
    message = next(row[4] for row in SLIPS if row[0] == text)
    assert (refused(text, "devices") == []) == (message in ONCE)


@pytest.mark.parametrize("limits", [limits for limits, *_ in BAD_LIMITS])
def test_a_schema_refuses_a_limit_of_a_device_that_makes_no_sense(limits: str) -> None:
    assert refused(f"devices: {{a: {{type: x, limits: {limits}}}}}", "devices") != []
    assert (
        refused(f"devices: {{a: {{type: x, driver: simulated, limits: {limits}}}}}", "devices")
        == []
    )


@given(st.sampled_from(GOOD), TREES, st.data())
def test_what_a_schema_refuses_the_reader_reports(
    text: str, put: Plain, data: st.DataObject
) -> None:
    text = changed(text, put, data)
    found = refused(text)
    assert found == [] or read_text(text)[1] != (), found


@given(st.sampled_from(GOOD), DISTINCT, st.data())
def test_what_the_reader_reports_a_schema_refuses_unless_it_can_not_know(
    text: str, put: Plain, data: st.DataObject
) -> None:
    text = changed(text, put, data)
    known = [each for each in read_text(text)[1] if each.code not in ELSEWHERE]
    assert known == [] or refused(text) != [], known
