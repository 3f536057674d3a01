"""Puts a group on stage that no scenario file tells of: from files and from plain data."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml

from callboard.definition import load
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.model import Definition, Place
from callboard.flow.proof import Semantics
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.production import Production
from callboard.simulation.reading import (
    read_faults,
    read_faults_text,
    read_model,
    read_model_text,
)
from callboard.simulation.reading.document import Found
from callboard.simulation.scenario import Scale, Scenario

T = TypeVar("T")
File = str | os.PathLike[str]

Data = Mapping[str, object] | Sequence[object]
"""What a YAML file could hold."""


def staged(
    definition: File | Definition,
    *,
    model: File | Data | Model | None = None,
    faults: File | Data | Faults | None = None,
    scale: Mapping[str, int] | None = None,
    semantics: Semantics = "documented",
    folder: Path = Path(),
) -> Production:
    """A group that can be rehearsed, and of which nothing is expected.

    Args:
        definition: The definition, or its file.
        model: How long things take: a file, or what would stand in it.
        faults: What goes wrong: a file, or what would stand in it, with or without the key
            `faults`.
        scale: How many nodes some roles have, in place of what the definition says.
        semantics: What LAVA documents, or what its coordinator does.
        folder: Where files are looked for.

    Raises:
        DefinitionError: A file or the data can't be used.
        ValueError: A role would have no node.
    """
    if not isinstance(definition, Definition):
        definition = load(_path(definition, folder))
    if isinstance(faults, Sequence) and not isinstance(faults, str):
        faults = {"faults": faults}
    warnings: list[Diagnostic] = []
    if model is not None and not isinstance(model, Model):
        model = _read(model, folder, read_model, read_model_text, "<model>", warnings)
    if faults is not None and not isinstance(faults, Faults):
        faults = _read(faults, folder, read_faults, read_faults_text, "<faults>", warnings)
    for role, count in (scale or {}).items():
        if count < 1:
            raise ValueError(f"the role '{role}' needs at least one node, not {count}")
    nowhere = Place("<scale>", 1, 1)
    counts = tuple(Scale(role, count, nowhere) for role, count in (scale or {}).items())
    scenario = Scenario(
        file=definition.file,
        definition=definition.file,
        model=model or Model(),
        faults=faults or Faults(),
        scale=counts,
        semantics=semantics,
    )
    return Production(scenario, definition, tuple(warnings))


def _path(file: File, folder: Path) -> str:
    """The file as it is shown: from the working folder, like any that a user names."""
    return os.path.relpath(folder / file)


def _read(
    given: File | Data,
    folder: Path,
    read: Callable[[str], Found[T]],
    read_text: Callable[[str, str], Found[T]],
    name: str,
    warnings: list[Diagnostic],
) -> T:
    if isinstance(given, (str, os.PathLike)):
        value, found = read(_path(given, folder))
    else:
        value, found = read_text(yaml.safe_dump(_plain(given), sort_keys=False), name)
    if value is None:
        raise DefinitionError(found)
    warnings += found
    return value


def _plain(data: object) -> object:
    """Maps and sequences of any kind as those that a YAML file holds."""
    match data:
        case Mapping():
            return {key: _plain(value) for key, value in data.items()}
        case str():
            return data
        case Sequence():
            return [_plain(each) for each in data]
        case _:
            return data
