"""The options of `callboard coordinator`, each of which says where its value came from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from callboard.cli.configuration import NAME
from callboard.cli.options import Number, Seconds, Whole
from callboard.coordinator.errors import CoordinatorError
from callboard.coordinator.framing import PORT
from callboard.coordinator.lava_file import LAVA_FILE
from callboard.coordinator.limits import USUAL
from callboard.coordinator.terms import Terms
from callboard.definition.reader import nearest

_TERMS = Terms()

_PREFIX = "CALLBOARD_COORDINATOR_"


class _Option(click.Option):
    """An option whose errors say where its value came from."""

    def get_error_hint(self, ctx: click.Context | None) -> str:
        found = None if ctx is None else source(ctx, self.opts[0].lstrip("-"))
        return f"'{found or self.opts[0]}'"


def source(ctx: click.Context, option: str) -> str | None:
    """Where an option's value came from; None if it was not given."""
    name = option.replace("-", "_")
    match ctx.get_parameter_source(name):
        case ParameterSource.COMMANDLINE:
            return f"--{option}"
        case ParameterSource.ENVIRONMENT:
            return f"${_variable(option)}"
        case ParameterSource.DEFAULT_MAP:
            return f"{option} in {NAME}"
        case _:
            return None


def check_environment(ctx: click.Context) -> None:
    """Look for variables that are named like settings, and are none.

    Raises:
        CoordinatorError: There is one; the error has the setting that was most likely meant.
    """
    settings = {each.envvar for each in ctx.command.params if isinstance(each, _Option)}
    for name in sorted(os.environ):
        if name.startswith(_PREFIX) and name not in settings:
            text = f"${name} is no setting of a coordinator"
            names = (str(each).removeprefix(_PREFIX) for each in settings)
            near = nearest(name.removeprefix(_PREFIX), names)
            cure = f"did you mean ${_PREFIX}{near}?" if near else f"see {ctx.command_path} --help"
            raise CoordinatorError("CB290", text, cure)


def _variable(option: str) -> str:
    return f"{_PREFIX}{option.upper().replace('-', '_')}"


def _option(name: str, help_: str, **attributes: Any) -> Callable[..., Any]:
    return click.option(f"--{name}", help=help_, envvar=_variable(name), cls=_Option, **attributes)


def _most(name: str, what: str, default: int) -> Callable[..., Any]:
    return _option(
        name,
        f"How many {what}.  [default: {default:,}]",
        type=Whole(min=1),
        metavar="N",
        default=default,
    )


SOCKET = _option(
    "socket",
    "The Unix socket where its state can be asked for.",
    metavar="PATH",
    type=click.Path(path_type=Path, readable=False),  # who may use it says better who may not
)
"""Where a coordinator's state is; `callboard coordinator status` has it, too."""

_OPTIONS = (
    _option(
        "bind",
        "Where to listen: an address or a host name; may be repeated.  [default: 127.0.0.1]",
        metavar="HOST",
        multiple=True,
    ),
    _option(
        "port",
        f"The port; 0 for one that is free.  [default: LAVA's file's, else {PORT}]",
        type=Whole(0, 65535),
        metavar="PORT",
    ),
    _option(
        "allow",
        "A network whose clients are served, such as 10.1.0.0/16; may be repeated. This machine "
        "itself always is.",
        metavar="NETWORK",
        multiple=True,
    ),
    _option(
        "state",
        "Where groups are kept, so that they survive a restart.  [default: in memory only]",
        metavar="DIR",
        type=click.Path(path_type=Path, file_okay=False, readable=False),
    ),
    _option(
        "semantics",
        "How the protocol is read: as LAVA's coordinator does, or as LAVA's documentation.",
        type=click.Choice(["lava", "documented"]),
        default="lava",
        show_default=True,
    ),
    _option(
        "hold",
        "Hold an answer of 'wait' back for up to FACTOR poll delays, so that who waits goes on at "
        "once; 1 without FACTOR. Limits of clients stretch, at most by FACTOR + 1.  [default: 0]",
        type=Number(min=0),
        metavar="[FACTOR]",
        is_flag=False,
        flag_value=1.0,
        default=0.0,
    ),
    _option(
        "forget-after",
        "Give a group up when nobody has asked for S seconds.  [default: 604800, which is a week]",
        type=Seconds(min=1),
        metavar="S",
    ),
    SOCKET,
    _option(
        "log-format",
        "How the log is written.",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
    ),
    _option(
        "config",
        f"The configuration file of LAVA's coordinator.  [default: {LAVA_FILE}, if it is there]",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
    ),
    _most("max-groups", "groups there may be at a time", USUAL.groups),
    _most("max-clients", "clients a group may have", USUAL.clients),
    _most("max-ids", "message IDs a group may use", USUAL.ids),
    _most("max-group-bytes", "bytes are kept of a group", USUAL.group_bytes),
    _most("max-bytes", "bytes are kept of all groups together", USUAL.bytes),
    _most("max-connections", "connections there may be at a time", _TERMS.connections),
    _most("max-per-address", "of them one address may have", _TERMS.from_one_address),
    _option(
        "unlimited",
        "A network of which one address may have any number of them, such as a proxy's; may be "
        "repeated.",
        metavar="NETWORK",
        multiple=True,
    ),
    _most("max-message", "characters a request may have", _TERMS.message_limit),
    _option(
        "request-time",
        "How long a client may take to send its request.",
        type=Seconds(min=0.1),
        metavar="S",
        default=_TERMS.request_s,
        show_default=True,
    ),
)


def coordinator_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a verb all of them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
