"""Options that several verbs have."""

import math

import click

DEVICES = click.option(
    "--devices",
    metavar="FILE",
    type=click.Path(),
    envvar="CALLBOARD_DEVICES",
    help="The devices file; without one, every node gets a device of its own.",
)


class Seconds(click.FloatRange):
    """A time: a number, but never "not a number"."""

    name = "seconds"

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the option; fails for what is no time."""
        found: float = super().convert(value, param, ctx)
        if math.isnan(found):
            self.fail(f"{value} is no time", param, ctx)
        return found


STRICT = click.option(
    "--strict",
    is_flag=True,
    envvar="CALLBOARD_STRICT",
    help="Refuse definitions of which a node would skip a part, or whose calls no action makes.",
)
