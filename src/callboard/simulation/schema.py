"""The JSON Schemas of the files of a rehearsal, for editors."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal, get_args

from callboard.definition.model import Plain

SchemaName = Literal["model", "faults", "scenario"]
NAMES: tuple[SchemaName, ...] = get_args(SchemaName)

_WITHIN: Mapping[SchemaName, tuple[SchemaName, ...]] = {
    "model": (),
    "faults": ("model",),
    "scenario": ("model", "faults"),
}
"""The files whose parts may stand in another one."""


def schema(name: SchemaName) -> dict[str, Plain]:
    """A JSON Schema (draft-07) of models, faults files or scenarios, complete in itself.

    It refuses what the reader reports, errors and warnings alike, as far as a schema can: not
    what two numbers say of each other, and not what only the definition tells.
    """
    whole = _load(name)
    whole["definitions"] = {
        key: value
        for part in (*_WITHIN[name], name)
        for key, value in _definitions(_load(part)).items()
    }
    return whole


def _load(name: SchemaName) -> dict[str, Plain]:
    text = files("callboard.simulation").joinpath("schemas", f"{name}.schema.json").read_text()
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded


def _definitions(whole: dict[str, Plain]) -> dict[str, Plain]:
    definitions = whole["definitions"]
    assert isinstance(definitions, dict)
    return definitions
