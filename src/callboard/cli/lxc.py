"""`callboard lxc`: the containers that callboard has made, and what is left of dead jobs."""

import datetime as dt
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio
import click
from attrs import asdict

from callboard.actors.drivers.lxc.inventory import Listed, ListedBase, bases, containers
from callboard.actors.drivers.lxc.reclaim import Reclaimed, reclaim
from callboard.actors.drivers.lxc.requirements import TOOLS, Machine, install
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.cli.application import output, verb
from callboard.cli.output import Output, Refusal, refusal
from callboard.state import state_directory

T = TypeVar("T")

_NONE = "CB117"
_MIB = 2**20
_RUN_CHARACTERS = 8


@click.group("lxc")
def command() -> None:
    """List the containers that callboard has made, and remove those whose job is dead."""


@verb("list")
def listing(json: bool, quiet: bool, verbose: int, color: str) -> int:
    """List containers and bases.

    A container belongs to a job of a run as long as that is alive; `gc` removes the others. A
    base is what later containers of its kind are clones of.
    """
    said = output(json, quiet, verbose, color)
    tools = _tools()
    found = _run(containers(tools))
    known = _looked(tools)
    if said.json:
        document: dict[str, object] = {
            "folder": str(tools.store.folder),
            "containers": [_as_json(each) for each in found],
            "bases": [asdict(each) for each in known],
        }
        said.document(document)
        return 0
    if not found and not known:
        click.echo("callboard has made no containers on this machine")
    if found:
        _print(said, _HEAD, [_row(each) for each in found])
    if known:
        if found:
            click.echo()
        _print(said, _BASE_HEAD, [_base_row(each) for each in known])
    return 0


@verb("gc")
@click.option("--bases", "also_bases", is_flag=True, help="Remove bases without clones, too.")
def collection(also_bases: bool, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Remove the containers of dead jobs; stop persistent ones.

    Containers of living jobs stay as they are, and so do those that callboard hasn't made.

    Exit codes: 0 nothing is left; 3 something can't be removed.
    """
    said = output(json, quiet, verbose, color)
    tools = _tools()
    done = _run(reclaim(tools, said.note, bases=also_bases))
    code = 3 if done.left else 0
    if said.json:
        said.document({"exit_code": code, **asdict(done)})
        return code
    for line in _done(done):
        click.echo(line)
    if not any((done.removed, done.stopped, done.bases, done.left)):
        click.echo("there is nothing to clean up")
    return code


command.add_command(listing)
command.add_command(collection)


def _tools() -> Tools:
    """LXC's tools, for callboard's containers; raises Refusal."""
    machine = Machine()
    if os.geteuid() != 0:
        hint = "give the same command as root: containers are root's"
        raise refusal(_NONE, "only root can see containers", hint)
    lacking = [tool for tool in TOOLS if machine.tool(tool) is None]
    if lacking:
        message = f"LXC is not installed: there is no {', no '.join(lacking)}"
        raise refusal(_NONE, message, install(machine, "lxc"))
    return Tools(Store(state_directory() / "lxc"))


def _run(work: Coroutine[Any, Any, T]) -> T:
    async def wait() -> T:
        return await work

    try:
        return anyio.run(wait)
    except OSError as error:
        raise _broken(error) from error


def _looked(tools: Tools) -> list[ListedBase]:
    try:
        return bases(tools)
    except OSError as error:
        raise _broken(error) from error


def _broken(error: OSError) -> Refusal:
    text = f"the containers can't be looked at: {error}"
    return refusal(_NONE, text, "`callboard doctor` says what this machine lacks", exit_code=3)


_HEAD = ("container", "state", "run", "job", "since", "stays", "base")
_BASE_HEAD = ("base", "made from", "packages", "clones", "MiB")


def _row(each: Listed) -> list[str]:
    owner = (each.run or "-")[:_RUN_CHARACTERS]
    return [
        each.name,
        each.state,
        owner if each.alive or each.run is None else f"{owner} (ended)",
        "-" if each.job is None else str(each.job),
        _since(each.since_s),
        "yes" if each.persistent else "no",
        each.base or "-",
    ]


def _base_row(each: ListedBase) -> list[str]:
    recipe = each.recipe
    if recipe is None:
        return [each.name, "(unfinished)", "-", str(each.clones), f"{each.bytes / _MIB:.0f}"]
    packages = " ".join(recipe.packages) or "-"
    size = f"{each.bytes / _MIB:.0f}"
    return [each.name, recipe.plain().title, packages, str(each.clones), size]


def _since(since_s: int | None) -> str:
    if since_s is None:
        return "-"
    return dt.datetime.fromtimestamp(since_s).astimezone().isoformat(" ", "seconds")


def _as_json(each: Listed) -> dict[str, object]:
    since = each.since_s
    utc = None if since is None else dt.datetime.fromtimestamp(since, dt.UTC).isoformat()
    fields = {name: value for name, value in asdict(each).items() if name != "since_s"}
    return {**fields, "since": utc}


def _done(done: Reclaimed) -> list[str]:
    lines = [f"removed {name}" for name in done.removed]
    lines += [f"stopped {name}, which stays" for name in done.stopped]
    lines += [f"removed {name}, a base" for name in done.bases]
    return [*lines, *(f"{name} can't be removed" for name in done.left)]


def _print(said: Output, head: tuple[str, ...], rows: list[list[str]]) -> None:
    from callboard.cli.listing import Listing

    listing = Listing(*head, folds=("container", "base", "made from", "packages"))
    for row in rows:
        listing.add(*row)
    said.listing(listing)
