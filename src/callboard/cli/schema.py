"""`callboard schema`: the JSON Schemas by which editors complete and check what callboard reads."""

import click

from callboard.cli.application import output, verb
from callboard.definition.schema import NAMES, SchemaName, schema


@verb("schema")
@click.argument("name", type=click.Choice(NAMES), default="definition")
def command(name: SchemaName, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Print the JSON Schema (draft-07) of job definitions, or of devices files.

    An editor with a YAML language server completes and checks keys by it.
    """
    output(json, quiet, verbose, color).document(schema(name))
    return 0
