"""`callboard coordinator status`: who in which group waits for whom, and which waits hang."""

import json as codec
from collections.abc import Collection, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path

import anyio
import click
from attrs import asdict

from callboard.cli.application import output as made_output
from callboard.cli.application import verb
from callboard.cli.coordinator_options import SOCKET
from callboard.cli.output import Output, Refusal
from callboard.coordinator.errors import NotRunning
from callboard.coordinator.inquiry import Picture, state, watch
from callboard.coordinator.settings import default_socket


@verb("status")
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@SOCKET
@click.option(
    "--watch", "following", is_flag=True, help="Show it again whenever it changes, until Ctrl-C."
)
@click.pass_context
def command(
    ctx: click.Context,
    groups: tuple[str, ...],
    socket: Path | None,
    following: bool,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Show the groups of a coordinator that runs on this machine: who waits for what, and for whom.

    Waits that will hardly end come first. Of a GROUP that is named all clients are shown, and so
    they are of all groups with -v. With --watch and --json each picture is a line.

    Exit codes: 0 it was shown; 1 there is no such group; 3 no coordinator is running.
    """
    said = made_output(json, quiet, verbose, color)
    above = None if ctx.parent is None else ctx.parent.params.get("socket")
    path = socket or above or default_socket()
    show = _watch if following else _show
    try:
        return anyio.run(partial(show, path, frozenset(groups), said))
    except NotRunning as error:
        raise Refusal(error.diagnostic, exit_code=3) from error


async def _show(socket: Path, named: Collection[str], said: Output) -> int:
    picture = await state(socket)
    lacking = sorted(name for name in named if name not in picture.groups)
    if said.json:
        said.document(_document(picture, named))
    else:
        _print(picture, named, said)
    for name in lacking:
        said.note(f"callboard: there is no group '{name}'")
    return 1 if lacking else 0


def _print(picture: Picture, named: Collection[str], said: Output) -> None:
    from callboard.cli.coordinator_view import head, listings, ranked

    if not named:
        for line in head(picture):
            said.console.print(line, soft_wrap=not said.console.is_terminal)
    groups = ranked(each for name, each in picture.groups.items() if not named or name in named)
    for listing in listings(picture, groups, clients=bool(named or said.verbosity)):
        said.console.print()
        said.listing(listing)


async def _watch(socket: Path, named: Collection[str], said: Output) -> int:
    ended = NotRunning(f"the coordinator at {socket} has ended")
    if said.json:
        async with aclosing(watch(socket)) as pictures:
            async for picture in pictures:
                click.echo(codec.dumps(_document(picture, named)))
        raise ended
    from callboard.cli.coordinator_view import Screen

    with Screen(said, named) as screen:
        async with anyio.create_task_group() as tasks, aclosing(watch(socket)) as pictures:
            tasks.start_soon(screen.refresh)
            try:
                async for picture in pictures:
                    screen.show(picture)
            except NotRunning as error:  # not in a group of errors, therefore
                ended = error
            tasks.cancel_scope.cancel()
    raise ended


def _document(picture: Picture, named: Collection[str]) -> Mapping[str, object]:
    shown = (group for name, group in picture.groups.items() if not named or name in named)
    return {
        "coordinator": asdict(picture.coordinator),
        "groups": [asdict(picture.now(group)) for group in shown],
    }
