"""`callboard logs`: what happened in a group of a cluster."""

import json as jsonlib
import sys
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import cluster_options, named, refusing
from callboard.cli.live import Descriptions
from callboard.cli.output import Output, refusal
from callboard.cluster.visiting import visiting
from callboard.events import Event, JobCreated, encode

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.client import Client


@verb("logs")
@click.argument("group", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the group ends.")
@click.option("--role", metavar="ROLE", help="Of the nodes of this role only.")
@click.option("--raw", is_flag=True, help="Print events as `events.jsonl` has them.")
@cluster_options
def command(
    group: str,
    follow: bool,
    role: str | None,
    raw: bool,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Print what happened in the group of a cluster whose id begins with ID.

    A line says when in seconds, which node, and what, as with `callboard run -v`; with `-v` the
    consoles of the nodes too.
    """
    said = output(json, quiet, verbose, color)
    events: list[object] = []
    choice = _Choice(role)
    take = _taker(events, Descriptions(1 + said.verbosity), raw=raw, json=said.json)

    def sink(event: Event) -> None:
        if choice(event):
            take(event)

    with refusing():
        found = anyio.run(_print, named(access), group, follow, sink, said)
    if said.json:
        said.document({"group": found, "events": events})
    if role is not None and choice.roles and role not in choice.roles:
        roles = ", ".join(sorted(each for each in choice.roles if each))
        raise refusal("CB104", f"no job has the role '{role}'", f"there are: {roles or 'none'}")
    return 0


class _Choice:
    """Chooses the events of a role; without one, all."""

    def __init__(self, role: str | None) -> None:
        self._role = role
        self._jobs: set[int] = set()
        self.roles: set[str | None] = set()

    def __call__(self, event: Event) -> bool:
        if isinstance(event.body, JobCreated):
            self.roles.add(event.body.role)
            if event.body.role == self._role:
                self._jobs.add(event.body.job)
        return self._role is None or getattr(event.body, "job", None) in self._jobs


def _taker(
    events: list[object], describe: Descriptions, *, raw: bool, json: bool
) -> Callable[[Event], None]:
    def take(event: Event) -> None:
        if json:
            events.append(jsonlib.loads(encode(event)))
            return
        text = encode(event).decode() if raw else describe(event)
        if text is not None:
            sys.stdout.write(text if raw else f"{text}\n")
            sys.stdout.flush()

    return take


async def _why_nothing(client: "Client", group: str) -> str:
    record = await client.record(group)
    if record.problem is not None:
        return f"it has never run: {record.problem}"
    return f"nothing has happened yet: {(await client.why_queued(group))[group]}"


async def _print(
    access: "Access", prefix: str, follow: bool, sink: Callable[[Event], None], said: Output
) -> str:
    async with visiting(access, said.note) as client:
        group = await client.find(prefix)
        if follow:
            from callboard.cluster import following

            async with following.follow(client, group, [sink], said.note, owns=False) as found:
                await found.wait()
        else:
            async with aclosing(client.events(group, follow=False)) as events:
                nothing = True
                async for event in events:
                    sink(event)
                    nothing = False
            if nothing and not said.quiet:
                said.note(await _why_nothing(client, group))
        return group
