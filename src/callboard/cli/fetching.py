"""Options of verbs that fetch test definitions, and how they fetch them."""

from collections.abc import Callable
from typing import TypeVar

import anyio

from callboard.cli.options import flag, seconds
from callboard.cli.output import Output, Refusal
from callboard.definition import Definition
from callboard.sources import Policy, SourcesFailed, fetch

F = TypeVar("F", bound=Callable[..., object])

_ALLOW_LOCAL = flag(
    "allow-local", "Let definitions name files of this machine outside of their own folder."
)
_FETCH_TIMEOUT = seconds(
    "fetch-timeout", "Seconds that fetching one repository or archive may take.", 120.0, more=True
)
NO_FETCH = flag("no-fetch", "Leave out test definitions that would have to be fetched.")


def fetching(function: F) -> F:
    """Give a verb the options that say how sources are fetched."""
    return _ALLOW_LOCAL(_FETCH_TIMEOUT(function))


def fetched(definition: Definition, policy: Policy, said: Output) -> Definition:
    """The definition with everything fetched that its tests are made of.

    Raises:
        Refusal: Something can't be had; the exit code is 3 if only the network is to blame.
    """
    try:
        return anyio.run(fetch, definition, policy, said.note)
    except SourcesFailed as error:
        raise source_refusal(error) from error


def source_refusal(error: SourcesFailed) -> Refusal:
    """The refusal for sources that can't be had."""
    return Refusal(*error.diagnostics, exit_code=3 if error.unreachable else 2)
