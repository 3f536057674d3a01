"""The JSON Schemas of what callboard reads, for editors."""

import json
from importlib.resources import files
from typing import Literal, get_args

from callboard.definition.model import Plain

SchemaName = Literal["definition", "devices"]
NAMES: tuple[SchemaName, ...] = get_args(SchemaName)


def schema(name: SchemaName) -> dict[str, Plain]:
    """A JSON Schema (draft-07) of job definitions or of devices files.

    It refuses what the reader reports, errors and warnings alike, as far as a schema can: not
    what one part says of another, such as the name of a role that does not exist.
    """
    text = files("callboard.definition").joinpath("schemas", f"{name}.schema.json").read_text()
    loaded = json.loads(text)
    assert isinstance(loaded, dict)
    return loaded
