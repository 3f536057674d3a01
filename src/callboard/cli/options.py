"""Options that several verbs have."""

import click

DEVICES = click.option(
    "--devices",
    metavar="FILE",
    envvar="CALLBOARD_DEVICES",
    help="The devices file; without one, every node gets a device of its own.",
)
STRICT = click.option(
    "--strict",
    is_flag=True,
    envvar="CALLBOARD_STRICT",
    help="Refuse definitions of which a node would skip a part, or whose calls no action makes.",
)
