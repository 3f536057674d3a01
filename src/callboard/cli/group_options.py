"""Options that say how a group is to be run, wherever that is."""

from collections.abc import Callable
from typing import TypeVar

import click

from callboard.cli.fetching import fetching
from callboard.cli.options import STRICT, Seconds

F = TypeVar("F", bound=Callable[..., object])

OUTPUT = click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(),
    envvar="CALLBOARD_OUTPUT",
    help="Where to record the run.  [default: callboard-runs/<time>-<name>]",
)
JUNIT = click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(),
    envvar="CALLBOARD_JUNIT",
    help="Where to write the JUnit file.",
)
_FIRST_ID = click.option(
    "--first-id",
    type=click.IntRange(min=1),
    envvar="CALLBOARD_FIRST_ID",
    help="Id of the first job.  [default: the next free one]",
)
_NO_CHECK = click.option(
    "--no-check",
    is_flag=True,
    envvar="CALLBOARD_NO_CHECK",
    help="Run it even if the check has found that it can't finish.",
)
_NO_FAIL_FAST = click.option(
    "--no-fail-fast",
    is_flag=True,
    envvar="CALLBOARD_NO_FAIL_FAST",
    help="Only report waits that nobody can satisfy any more; let them run into their limits.",
)
_DEADLOCK_GRACE = click.option(
    "--deadlock-grace",
    type=Seconds(min=0),
    default=10.0,
    show_default=True,
    metavar="S",
    envvar="CALLBOARD_DEADLOCK_GRACE",
    help="Seconds without any call after which a group in which all wait is given up as stuck.",
)
_NO_SANDBOX = click.option(
    "--no-sandbox",
    is_flag=True,
    envvar="CALLBOARD_NO_SANDBOX",
    help="Let local nodes see and change this machine itself.",
)


def group_options(function: F) -> F:
    """Give a verb the options of how a group is run, and of how its sources are fetched."""
    for option in (_NO_SANDBOX, _DEADLOCK_GRACE, _NO_FAIL_FAST, _NO_CHECK, _FIRST_ID, STRICT):
        function = option(function)
    return fetching(function)
