"""`callboard worker`: offers this machine's devices to a cluster."""

import json as codec
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import (
    cluster_options,
    cluster_refusal,
    credentials_of,
    named,
)
from callboard.cli.inputs import devices_file
from callboard.cli.options import DEVICES, Whole
from callboard.cli.output import Output, plain, refusal
from callboard.cluster.errors import ClusterError

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.worker import Fact, Plan

_NODES = 8


@verb("worker")
@cluster_options
@DEVICES
@click.option(
    "--nodes",
    type=Whole(0, 1000),
    metavar="N",
    envvar="CALLBOARD_NODES",
    help=f"How many throw-away nodes to offer without a devices file.  [default: {_NODES}]",
)
@click.option("--name", metavar="NAME", help="The worker's name.  [default: the machine's]")
@click.option(
    "--no-sandbox",
    is_flag=True,
    help="Let groups that ask for it run on this machine itself, without throw-away views of it.",
)
@click.option("--no-lead", is_flag=True, help="Lead no groups: only run jobs.")
def command(
    access: "Access | None",
    devices: str | None,
    nodes: int | None,
    name: str | None,
    no_sandbox: bool,
    no_lead: bool,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Offer this machine's devices to a cluster, and lead groups.

    Without a devices file it offers throw-away nodes of this machine, and containers where it can
    make any. With --json each line that it says is a JSON document, on standard output.

    The first SIGTERM or Ctrl-C lets it take nothing new, and leave when its jobs have ended; the
    second ends them in order; the third leaves at once.

    Exit codes: 0 it has left, and nothing was cut short; 130 jobs were ended; 2 it can't be a
    worker like this; 3 the cluster can't be used.
    """
    said = output(json, quiet, verbose, color)
    cluster = named(access)
    file = devices_file(devices, said)
    if file is not None and nodes is not None:
        hint = "leave out one of the two; a devices file can have local devices"
        raise refusal("CB104", "--nodes and --devices can't be combined", hint)
    try:
        from callboard.cluster.worker import Plan, makes_containers, run

        named_so, leads = _who(cluster, name, lead=not no_lead, said=said)
        contains = file is None and makes_containers()
        offered = _NODES if nodes is None else nodes
        plan = Plan(named_so, file, offered, leads, contains, not no_sandbox)
        _check(plan)
        # It comes last: the others say what to do where the client library of NATS is missing.
        from callboard.cluster.duties import serve

        return anyio.run(partial(run, cluster, plan, serve, partial(_say, said)))
    except ClusterError as error:
        raise cluster_refusal(error) from error
    except OSError as error:
        text = f"the state directory can't be written: {error}"
        raise refusal("CB108", text, "name another with $CALLBOARD_STATE", exit_code=3) from error


def _who(access: "Access", name: str | None, *, lead: bool, said: Output) -> tuple[str, bool]:
    """The worker's name and whether it leads: its credentials say so, where it has any."""
    from callboard.cluster.worker import default_name

    found = credentials_of(access, "worker", "leader")
    if found.kind is None:
        return name or default_name(), lead
    if name not in (None, found.name):
        hint = "leave out --name, or use the credentials of that name"
        raise refusal("CB104", f"the credentials are of {found.name}, not of {name}", hint)
    if lead and found.kind == "worker":
        said.note("callboard: the credentials are of a worker that leads no groups")
    return found.name, lead and found.kind == "leader"


def _check(plan: "Plan") -> None:
    from callboard.cluster.records import NAME

    if not NAME.fullmatch(plan.name):
        hint = "it has letters, digits, - and _, at most 64, and begins with a letter or digit"
        raise refusal("CB104", f"{plan.name!r} can't be a worker's name", hint)
    if not plan.offers and not plan.leads:
        raise refusal("CB104", "there is nothing to do: no devices, and no groups to lead")


def _say(said: Output, fact: "Fact") -> None:
    if said.json:
        with suppress(OSError):  # a worker goes on when nobody listens any more
            click.echo(codec.dumps({"fact": fact.kind, "text": fact.text}))
    elif not said.quiet or fact.kind != "note":
        said.note(f"callboard: {plain(fact.text)}")
