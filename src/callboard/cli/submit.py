"""`callboard submit`: hands a group to a cluster."""

from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import SHORT, cluster_options, named, refusing
from callboard.cli.clustered import checked
from callboard.cli.execution import NotStarted
from callboard.cli.group_options import group_options
from callboard.cli.inputs import definition
from callboard.cli.output import Output, as_json
from callboard.cluster.records import Settings
from callboard.cluster.visiting import visiting
from callboard.definition import Diagnostic
from callboard.elsewhere import Order, hand_over
from callboard.sources import Policy

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.client import Submitted


@verb("submit")
@click.argument("file", type=click.Path())
@group_options
@cluster_options
def command(
    file: str,
    strict: bool,
    first_id: int | None,
    no_check: bool,
    no_fail_fast: bool,
    deadlock_grace: float,
    no_sandbox: bool,
    allow_local: bool,
    fetch_timeout: float,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Hand the group that the definition FILE describes to a cluster, and print its id.

    It runs when workers have the devices for it. Exit codes: 0 the cluster has it; 2 it can't be
    run there; 3 the cluster can't be used; 4 it can't finish.
    """
    said = output(json, quiet, verbose, color)
    cluster = named(access)
    found, warnings = definition(file, said, strict=strict)
    checked(found, sandbox=not no_sandbox)
    settings = Settings(not no_fail_fast, deadlock_grace, not no_sandbox, strict)
    policy = Policy(allow_local, fetch_timeout)
    order = Order(found, settings, first_id, policy, not no_check)
    try:
        with refusing():
            group = anyio.run(_submit, cluster, order, said)
    except NotStarted as error:
        raise error.refusal from error
    unserved = [] if group.unserved is None else [_unserved(group.unserved)]
    said.diagnostics(unserved)
    if said.json:
        said.document(
            {
                "group": group.id,
                "name": found.job_name,
                "nodes": found.size,
                "first_id": group.first_id,
                "diagnostics": [as_json(each) for each in (*warnings, *unserved)],
            }
        )
    else:
        click.echo(group.id)
        if not said.quiet:
            said.note(f"`callboard attach {group.id[:SHORT]}` shows it", style="dim")
    return 0


def _unserved(what: str) -> Diagnostic:
    message = f"the cluster lacks {what}"
    return Diagnostic("CB278", "warning", message, hint="it waits for a worker that offers more")


async def _submit(cluster: "Access", order: Order, said: Output) -> "Submitted":
    from callboard.cli.starting import starting

    async with visiting(cluster, said.note) as client:
        with starting():
            return await hand_over(client, order, said.note)
