"""Reads a scenario, with the model, the faults and the devices that it names."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, get_args

from attrs import define, field

from callboard.definition.devices import DevicesFile, read_devices
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.reader import Section
from callboard.definition.source import Source, decode, read_source
from callboard.definition.tree import ListNode, Node, ScalarNode, kind
from callboard.flow.proof import Outcome, Semantics
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.reading.document import Found, place_of, places_of, read_document
from callboard.simulation.reading.expectations import read_expectations
from callboard.simulation.reading.faults import faults_in, read_faults
from callboard.simulation.reading.model import model_in, read_model
from callboard.simulation.reading.target import NODES_LIMIT
from callboard.simulation.scenario import Expectations, Scale, Scenario
from callboard.simulation.seeds import Seeds, SeedsError, parse_seeds

Value = TypeVar("Value")

_OUTCOMES: Mapping[str, Outcome] = {word: word for word in get_args(Outcome)}
_SEMANTICS: Mapping[str, Semantics] = {word: word for word in get_args(Semantics)}
_EXAMPLE = "write for instance `definition: two-roles.yaml`, and `expect: {status: complete}`"
_UNREADABLE = "CB001"


def read_scenario(path: str | os.PathLike[str]) -> Found[Scenario]:
    """The scenario in a file, None if it has any error, and all that is wrong with it.

    What is wrong with the files that it names is found too, but for the definition's, of which
    no more is asked than that it can be read.
    """
    return _read(read_source(path))


def read_scenario_text(text: str | bytes, file: str = "<string>") -> Found[Scenario]:
    """Like `read_scenario`, for text; the files that it names lie beside `file`."""
    return _read(decode(text, file))


def _read(source: Source | Diagnostic) -> Found[Scenario]:
    reader = _Reader()
    found, own = read_document(source, "the scenario", _EXAMPLE, reader.scenario)
    wrong = any(each.severity == "error" for each in reader.elsewhere)
    return (None if wrong else found), (*own, *reader.elsewhere)


@define
class _Reader:
    """Reads one scenario.

    Attributes:
        elsewhere: What is wrong with the other files that it names.
    """

    elsewhere: list[Diagnostic] = field(factory=list[Diagnostic])

    def scenario(self, section: Section) -> Scenario:
        """The scenario in a map."""
        scenario = Scenario(
            file=section.findings.source.file,
            definition=self._definition(section),
            devices=self._devices(section),
            model=self._model(section),
            faults=self._faults(section),
            scale=_scale(section),
            seeds=_seeds(section),
            semantics=section.choice("semantics", _SEMANTICS) or "documented",
            check=section.choice("check", _OUTCOMES),
            expect=_expect(section),
            source=section.findings.source,
            places=places_of(section),
        )
        if "check" not in section and not scenario.expect.places:
            hint = "add for instance `expect: {status: complete}`"
            at = section.key("expect")
            section.warning("CB217", at, "the scenario expects nothing", hint)
        section.close(strict=True)
        return scenario

    def _definition(self, section: Section) -> str:
        name = section.string("definition", required=True)
        if name is None:
            return ""
        path = _beside(section, name)
        found = read_source(path)
        if isinstance(found, Diagnostic):
            _missing(section, "definition", found)
        return path

    def _devices(self, section: Section) -> DevicesFile | None:
        name = section.string("devices")
        return None if name is None else self._file(section, "devices", name, read_devices)

    def _model(self, section: Section) -> Model:
        node = section.get("model")
        if isinstance(node, ScalarNode):
            return self._named(section, "model", node, read_model) or Model()
        inline = section.section("model", "`model`")
        return Model() if inline is None else model_in(inline)

    def _faults(self, section: Section) -> Faults:
        node = section.get("faults")
        if isinstance(node, ScalarNode):
            return self._named(section, "faults", node, read_faults) or Faults()
        return faults_in(section)

    def _named(
        self, section: Section, key: str, node: Node, read: Callable[[str], Found[Value]]
    ) -> Value | None:
        name = section.text_of(node, f"`{key}` of {section.title}")
        return None if name is None else self._file(section, key, name, read)

    def _file(
        self, section: Section, key: str, name: str, read: Callable[[str], Found[Value]]
    ) -> Value | None:
        found, diagnostics = read(_beside(section, name))
        for each in diagnostics:
            if each.code == _UNREADABLE:
                _missing(section, key, each)
            else:
                self.elsewhere.append(each)
        return found


def _beside(section: Section, name: str) -> str:
    """A file that a scenario names, as seen from the working folder."""
    return os.fspath(Path(section.findings.source.file).parent / name)


def _missing(section: Section, key: str, found: Diagnostic) -> None:
    """Says where a file is named that can't be used."""
    message = f"the file of `{key}` can't be used: {found.message}"
    hint = "paths are relative to the scenario"
    section.error(found.code, section.get(key) or section.node, message, hint)


def _expect(section: Section) -> Expectations:
    expect = section.section("expect", "`expect`")
    return Expectations() if expect is None else read_expectations(expect)


def _scale(section: Section) -> tuple[Scale, ...]:
    scale = section.section("scale", "`scale`")
    if scale is None:
        return ()
    counts = []
    for role, _, node in scale.labels("the name of a role"):
        count = scale.integer(role, minimum=1, maximum=NODES_LIMIT)
        if count is not None:
            counts.append(Scale(role, count, place_of(scale, node)))
    return tuple(counts)


def _seeds(section: Section) -> Seeds:
    node = section.get("seeds")
    match node:
        case None:
            return range(1)
        case ListNode(items=items) if items and all(map(_is_seed, items)):
            text = ",".join(str(item.value) for item in items if isinstance(item, ScalarNode))
        case ScalarNode(value=value) if _is_seed(node) or isinstance(value, str):
            text = str(value)
        case _:
            hint = "write a whole number such as `7`, a range such as `1..100`, or a list"
            message = f"`seeds` of {section.title} can't be {kind(node)}"
            section.error("CB209", node, message, hint)
            return range(1)
    try:
        return parse_seeds(text)
    except SeedsError as error:
        section.error("CB209", node, str(error), error.hint)
        return range(1)


def _is_seed(node: Node) -> bool:
    return isinstance(node, ScalarNode) and type(node.value) is int
