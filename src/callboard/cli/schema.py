"""`callboard schema`: the JSON Schemas by which editors complete and check what callboard reads."""

from typing import Literal, get_args

import click

from callboard.cli.application import output, verb

SchemaName = Literal["definition", "devices", "model", "faults", "scenario"]


@verb("schema")
@click.argument("name", type=click.Choice(get_args(SchemaName)), default="definition")
def command(name: SchemaName, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Print the JSON Schema (draft-07) of job definitions, or of another file that is read.

    An editor with a YAML language server completes and checks keys by it.
    """
    said = output(json, quiet, verbose, color)
    if name == "definition" or name == "devices":
        from callboard.definition import schema as definition

        said.document(definition.schema(name))
    else:
        from callboard.simulation import schema as simulation

        said.document(simulation.schema(name))
    return 0
