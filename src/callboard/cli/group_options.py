"""Options that say how a group is to be run, wherever that is."""

from collections.abc import Callable
from typing import TypeVar

import click

from callboard.cli.fetching import fetching
from callboard.cli.options import STRICT, Whole, file, flag, option, seconds

F = TypeVar("F", bound=Callable[..., object])

OUTPUT = option(
    "output",
    "Where to record the run.  [default: callboard-runs/<time>-<name>]",
    "-o",
    "directory",
    metavar="DIR",
    type=click.Path(),
)
JUNIT = file("junit", "Where to write the JUnit file.")
_FIRST_ID = option(
    "first-id", "Id of the first job.  [default: the next free one]", type=Whole(min=1), metavar="N"
)
_NO_CHECK = flag("no-check", "Run it even if the check has found that it can't finish.")
_NO_FAIL_FAST = flag(
    "no-fail-fast",
    "Only report waits that nobody can satisfy any more; let them run into their limits.",
)
_DEADLOCK_GRACE = seconds(
    "deadlock-grace",
    "Seconds without any call after which a group in which all wait is given up as stuck.",
    10.0,
)
_NO_SANDBOX = flag("no-sandbox", "Let local nodes see and change this machine itself.")


def group_options(function: F) -> F:
    """Give a verb the options of how a group is run, and of how its sources are fetched."""
    for each in (_NO_SANDBOX, _DEADLOCK_GRACE, _NO_FAIL_FAST, _NO_CHECK, _FIRST_ID, STRICT):
        function = each(function)
    return fetching(function)
