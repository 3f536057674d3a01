"""`callboard coordinator`: LAVA's coordinator for real dispatchers, and the state of one."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import click
from attrs import evolve

from callboard.cli.application import output, verb_with_verbs
from callboard.cli.coordinator_options import check_environment, coordinator_options, source
from callboard.cli.coordinator_status import command as status
from callboard.cli.output import Output, Refusal
from callboard.coordinator.errors import (
    AddressError,
    CoordinatorError,
    NotRunning,
    SettingError,
    StateError,
)
from callboard.coordinator.facts import Fact
from callboard.coordinator.framing import PORT
from callboard.coordinator.lava_file import read_lava_file
from callboard.coordinator.limits import USUAL
from callboard.coordinator.settings import LogFormat, Settings, default_socket, networks
from callboard.coordinator.terms import Terms


@verb_with_verbs("coordinator")
@coordinator_options
@click.pass_context
def command(
    ctx: click.Context,
    bind: tuple[str, ...],
    port: int | None,
    allow: tuple[str, ...],
    state: Path | None,
    semantics: Literal["lava", "documented"],
    hold: float,
    forget_after: float | None,
    socket: Path | None,
    log_format: LogFormat,
    config: Path | None,
    unlimited: tuple[str, ...],
    max_groups: int,
    max_clients: int,
    max_ids: int,
    max_group_bytes: int,
    max_bytes: int,
    max_connections: int,
    max_per_address: int,
    max_message: int,
    request_time: float,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Serve LAVA's dispatchers as their coordinator, in place of LAVA's own.

    It reads the configuration file of LAVA's coordinator as it is; options, the environment
    ($CALLBOARD_COORDINATOR_PORT and so on) and callboard.toml come before what that says. The log
    goes to standard error; with --json it is JSON, a line an event, on standard output.

    The protocol knows no passwords: an address that can be reached from elsewhere needs --allow.

    SIGTERM and Ctrl-C answer who has asked, and end it. Exit codes: 0 it has ended; 130 after
    Ctrl-C; 2 it can't be run like this; 3 its address, or the state that it is to keep, can't
    be used, which may be otherwise another time.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    said = output(json, quiet, verbose, color)
    with refusing(ctx):
        check_environment(ctx)
        file = read_lava_file(config)
        settings = Settings(
            bind=bind or ("127.0.0.1",),
            port=port if port is not None else file.port or PORT,
            allow=networks("allow", allow),
            rules=semantics,
            hold=hold,
            state=state,
            socket=socket or default_socket(),
            log_format="json" if json else log_format,
            limits=evolve(
                USUAL,
                groups=max_groups,
                clients=max_clients,
                ids=max_ids,
                group_bytes=max_group_bytes,
                bytes=max_bytes,
            ),
            granted=Terms(
                unlimited=networks("unlimited", unlimited),
                connections=max_connections,
                from_one_address=max_per_address,
                message_limit=max_message,
                request_s=request_time,
            ),
        )
        if file.poll_delay_s is not None:
            settings = evolve(settings, poll_delay_s=file.poll_delay_s)
        if forget_after is not None:
            settings = evolve(settings, forget_after_s=forget_after)
        return _serve(settings, said)


def _serve(settings: Settings, said: Output) -> int:
    from callboard.coordinator.logs import LogWriter
    from callboard.coordinator.serving import serve

    stream = sys.stdout if said.json else sys.stderr
    with LogWriter(stream, settings.log_format, quiet=said.quiet) as log:
        if settings.state is None:
            text = "groups are kept in memory only, and lost at the end: --state DIR keeps them"
            log(Fact("memory-only", text, "warning"))
        return anyio.run(partial(serve, settings, log))


@contextmanager
def refusing(ctx: click.Context) -> Iterator[None]:
    """The time in which a coordinator is used; what goes wrong with it is a Refusal."""
    try:
        yield
    except CoordinatorError as error:
        diagnostic = error.diagnostic
        if isinstance(error, SettingError) and (where := source(ctx, error.setting)):
            diagnostic = evolve(diagnostic, message=f"{where}: {diagnostic.message}")
        code = 3 if isinstance(error, AddressError | NotRunning | StateError) else 2
        raise Refusal(diagnostic, exit_code=code) from error


command.add_command(status)
