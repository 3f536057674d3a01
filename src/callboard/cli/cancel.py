"""`callboard cancel`: ends a group of a cluster."""

from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import SHORT, cluster_options, named, refusing
from callboard.cli.output import Output, refusal
from callboard.cluster.visiting import visiting

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.records import GroupRecord


@verb("cancel")
@click.argument("group", metavar="ID")
@click.option(
    "--reason",
    metavar="TEXT",
    default="cancelled with `callboard cancel`",
    show_default=True,
    help="Why, as it stands in the jobs' errors.",
)
@cluster_options
def command(
    group: str,
    reason: str,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """End the group of a cluster whose id begins with ID, in order.

    Whoever leads it does that; the command returns as soon as the cluster knows. Exit codes: 0 it
    will end; 2 there is no such group, or it has ended; 3 the cluster can't be used.
    """
    said = output(json, quiet, verbose, color)
    with refusing():
        found, record = anyio.run(_cancel, named(access), group, reason, said)
    if record.state == "ended":
        text = f"the group {found[:SHORT]} has ended already: {record.status or record.problem}"
        raise refusal("CB281", text)
    if said.json:
        said.document({"group": found, "name": record.name, "cancel": record.cancel})
    elif not said.quiet:
        click.echo(f"{found[:SHORT]} {record.name} is ending: {record.cancel}")
    return 0


async def _cancel(
    access: "Access", prefix: str, reason: str, said: Output
) -> tuple[str, "GroupRecord"]:
    async with visiting(access, said.note) as client:
        group = await client.find(prefix)
        return group, await client.cancel(group, reason)
