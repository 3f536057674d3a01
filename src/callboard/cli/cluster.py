"""`callboard cluster`: the NATS server that a cluster talks over, and what it keeps there."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_accounts import command as accounts
from callboard.cli.cluster_options import cluster_options, credentials_of, named, refusing
from callboard.cli.options import Seconds, Whole
from callboard.cli.output import Output, refusal
from callboard.cluster.errors import ClusterError

if TYPE_CHECKING:
    from callboard.cluster.access import Access

_PORT = 4222

_LEASE = click.option(
    "--lease",
    metavar="S",
    type=Seconds(min=1, max=3600),
    help="Seconds after which a process that isn't heard of counts as dead.  [default: 10]",
)


@click.group("cluster")
def command() -> None:
    """Run a NATS server to try a cluster, set one up, or print a server's configuration."""


@verb("dev")
@click.option(
    "--port",
    type=Whole(0, 65535),
    metavar="PORT",
    default=_PORT,
    show_default=True,
    help="Where it listens, on loopback; 0 for any port that is free.",
)
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where it keeps everything.  [default: a directory that is removed at the end]",
)
@_LEASE
def dev(
    port: int,
    folder: Path | None,
    lease: float | None,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Run a NATS server on this machine, to try a cluster.

    It listens on loopback alone, and knows nobody. Ctrl-C or SIGTERM ends it.
    """
    said = output(json, quiet, verbose, color)
    with refusing(), _folder(folder) as where, suppress(KeyboardInterrupt):
        anyio.run(partial(_dev, where, port, lease, said))
    return 0


@verb("init")
@cluster_options
@_LEASE
@click.option(
    "--retention",
    metavar="S",
    type=Seconds(min=60),
    help="Seconds for which ended groups and their logs are kept.  [default: 30 days]",
)
@click.option(
    "--replicas",
    type=Whole(1, 5),
    metavar="N",
    default=1,
    show_default=True,
    help="On how many servers of a NATS cluster everything is kept.",
)
def init(
    access: "Access | None",
    lease: float | None,
    retention: float | None,
    replicas: int,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Make what a cluster keeps on its servers.

    The first worker that leads does this by itself; give the command to choose another lease or
    retention, or several replicas. What is there stays as it is.
    """
    said = output(json, quiet, verbose, color)
    cluster = named(access)
    with refusing():
        credentials_of(cluster, "leader")
        anyio.run(partial(_init, cluster, lease, retention, replicas, said))
    return 0


@verb("config")
@click.option(
    "--store",
    metavar="DIR",
    default="/var/lib/nats",
    show_default=True,
    help="Where the server is to keep everything.",
)
def config(store: str, json: bool, quiet: bool, verbose: int, color: str) -> int:
    """Print the configuration of a fit NATS server.

    It listens on loopback and knows nobody, as it is: for a server that others can reach, see
    `callboard cluster accounts`.
    """
    from callboard.cluster.server import configuration

    said = output(json, quiet, verbose, color)
    text = configuration(store)
    if said.json:
        said.document({"configuration": text})
    else:
        said.text(text)
    return 0


for each in (dev, init, config, accounts):
    command.add_command(each)


async def _dev(folder: Path, port: int, lease: float | None, said: Output) -> None:
    from callboard.cluster.access import Access
    from callboard.cluster.connection import connect
    from callboard.cluster.founding import ensure
    from callboard.cluster.server import serving
    from callboard.cluster.stores import LEASE_S

    async with serving(folder, port) as server:
        access = Access(server.url)
        async with connect(access, name="callboard cluster dev", note=said.note, init=True) as made:
            await ensure(made.js, lease or LEASE_S)
        if said.json:
            said.document({"url": server.url, "directory": str(folder), "pid": server.pid})
        else:
            click.echo(f"NATS with JetStream at {server.url}, its store in {folder}")
            click.echo("next, each in a terminal of its own:")
            click.echo(f"  callboard worker --nats {server.url}")
            click.echo(f"  callboard run --nats {server.url} FILE")
        await server.ended()
    log = folder / "nats-server.log"
    raise ClusterError("CB270", "the NATS server has ended by itself", f"see {log}")


async def _init(
    access: "Access", lease: float | None, retention: float | None, replicas: int, said: Output
) -> None:
    from callboard.cluster.connection import connect
    from callboard.cluster.founding import ensure
    from callboard.cluster.stores import LEASE_S, RETENTION_S

    async with connect(access, name="callboard cluster init", note=said.note, init=True) as cluster:
        making = ensure(cluster.js, lease or LEASE_S, retention or RETENTION_S, replicas)
        made = await cluster.answered(making)
    async with connect(access, name="callboard cluster init", note=said.note) as cluster:
        lease_s, retention_s = cluster.lease_s, cluster.retention_s
    if said.json:
        found = {"lease": lease_s, "retention": retention_s}
        said.document({"cluster": access.shown, "made": made, **found})
        return
    click.echo(f"made {', '.join(made)}" if made else "everything was there already")
    click.echo(f"lease {lease_s:g} s, groups are kept for {retention_s / 86400:g} days")
    if lease not in (None, lease_s) or retention not in (None, retention_s):
        said.note("callboard: warning: lease and retention stay as they were made", style="yellow")


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    try:
        if named is not None:
            yield named
        else:
            with tempfile.TemporaryDirectory(prefix="callboard-nats-") as made:
                yield Path(made)
    except OSError as error:
        text = f"{error.filename or named} can't be written: {error.strerror}"
        raise refusal("CB105", text) from error
