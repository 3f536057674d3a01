"""Options that several verbs have, and how they are made."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


class Whole(click.IntRange):
    """A whole number, within limits."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the option; fails for what is no whole number, such as 1.5 of a file."""
        if isinstance(value, float) and not value.is_integer():
            self.fail(f"{value} is no whole number", param, ctx)
        found: int = super().convert(value, param, ctx)
        return found


class Number(click.FloatRange):
    """Any number, within limits, and never without end."""

    name = "number"

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the option; fails for what is no number, and for what is infinite."""
        try:
            found: float = super().convert(value, param, ctx)
        except OverflowError:  # a whole number of a file that has hundreds of digits
            found = math.inf
        if not math.isfinite(found):
            self.fail(f"{str(value)[:20]} is no {self.name}", param, ctx)
        return found


class Seconds(Number):
    """A time."""

    name = "number of seconds"


def option(name: str, text: str, *parameter: str, **attributes: Any) -> Callable[[F], F]:
    """An option that can also be given as `$CALLBOARD_<NAME>`.

    Args:
        name: What stands after the two hyphens.
        text: What `--help` says of it.
        parameter: Other ways to write it; the last may be the name of the function's parameter.
        attributes: What else click is to know.
    """
    variable = f"CALLBOARD_{name.upper().replace('-', '_')}"
    return click.option(f"--{name}", *parameter, help=text, envvar=variable, **attributes)


def flag(name: str, text: str) -> Callable[[F], F]:
    """Such an option that has no value."""
    return option(name, text, is_flag=True)


def file(name: str, text: str, *parameter: str, metavar: str = "FILE") -> Callable[[F], F]:
    """Such an option whose value is a path."""
    return option(name, text, *parameter, metavar=metavar, type=click.Path())


def seconds(name: str, text: str, default: float, *, more: bool = False) -> Callable[[F], F]:
    """Such an option whose value is a time in seconds; with `more` it has to be more than none."""
    kind = Seconds(min=0, min_open=more)
    return option(name, text, type=kind, default=default, show_default=True, metavar="S")


DEVICES = file("devices", "The devices file; without one, every node gets a device of its own.")
STRICT = flag(
    "strict",
    "Refuse definitions of which a node would skip a part, or whose calls no action makes.",
)
