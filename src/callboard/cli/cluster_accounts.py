"""`callboard cluster accounts`: who may do what in a cluster."""

import shlex
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import cluster_refusal
from callboard.cli.options import Whole
from callboard.cli.output import refusal
from callboard.cluster.errors import ClusterError
from callboard.cluster.server import Tls, configuration

if TYPE_CHECKING:
    from callboard.cluster.accounts import Made
    from callboard.cluster.permissions import Kind

_SERVER = "nats-server.conf"


@verb("accounts")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--leader", "leaders", metavar="NAME", multiple=True, help="A worker that leads.")
@click.option("--worker", "workers", metavar="NAME", multiple=True, help="One that only hosts.")
@click.option("--user", "users", metavar="NAME", multiple=True, help="Who submits groups.")
@click.option(
    "--shut-out", metavar="NAME", multiple=True, help="A member whose credentials become void."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where the server is to listen."
)
@click.option(
    "--port",
    default=4222,
    show_default=True,
    type=Whole(1, 65535),
    metavar="PORT",
    help="On which port.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="The server's certificate, PEM.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="The key of that, PEM.")
@click.option(
    "--tls-ca", type=click.Path(path_type=Path), help="Who signs our certificates, if all need one."
)
def command(
    folder: Path,
    leaders: tuple[str, ...],
    workers: tuple[str, ...],
    users: tuple[str, ...],
    shut_out: tuple[str, ...],
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_ca: Path | None,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Make credentials for members, and a NATS server that knows them.

    FOLDER holds all of it. A leader is a worker that may lead groups, and can do everything; a
    worker speaks for its own jobs alone; a user submits groups and reads their logs. Each option
    for members may be given several times, and the command again: who is a member already stays
    one, with the same credentials. Reload the server afterwards.
    """
    said = output(json, quiet, verbose, color)
    tls = _tls(tls_cert, tls_key, tls_ca)
    if not _is_loopback(host) and tls is None:
        text = f"on {host} without TLS others could read what is said, secrets too"
        hint = "give --tls-cert and --tls-key, or listen on 127.0.0.1"
        raise refusal("CB280", text, hint)
    members: list[tuple[Kind, str]] = [
        *(("leader", name) for name in leaders),
        *(("worker", name) for name in workers),
        *(("user", name) for name in users),
    ]
    try:
        from callboard.cluster.accounts import make_accounts

        made = make_accounts(folder, members, shut_out)
    except ClusterError as error:
        raise cluster_refusal(error) from error
    server = folder / _SERVER
    fresh = _write_once(server, _server_configuration(folder, host, port, tls))
    if said.json:
        said.document(
            {
                "server": str(server),
                "accounts": str(made.configuration),
                "members": {name: str(path) for name, path in made.members.items()},
                "shut_out": list(made.shut_out),
            }
        )
    else:
        for line in _lines(made, server, fresh):
            click.echo(line)
    return 0


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> Tls | None:
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None:
        hint = "give --tls-cert and --tls-key"
        raise refusal("CB104", "a server with TLS has a certificate and its key", hint)
    for path in (cert, key, *([] if ca is None else [ca])):
        if not path.is_file():
            raise refusal("CB104", f"there is no file {path}")
    return Tls(cert.absolute(), key.absolute(), None if ca is None else ca.absolute())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _server_configuration(folder: Path, host: str, port: int, tls: Tls | None) -> str:
    store = str((folder / "store").absolute())
    return "\n".join(
        [
            configuration(store, host=host, port=port),
            *([] if tls is None else [tls.section]),
            "# Paths of included files are relative to this one.",
            'include "accounts.conf"',
            "",
        ]
    )


def _write_once(path: Path, text: str) -> bool:
    """Write a file that its owner may change; whether it was missing."""
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        return False
    except OSError as error:
        raise refusal("CB280", f"{path} can't be written: {error.strerror}") from error
    return True


def _lines(made: "Made", server: Path, fresh: bool) -> Iterator[str]:
    for path in made.members.values():
        yield f"made {path}"
    for name in made.shut_out:
        yield f"shut out {name}"
    kept = "" if fresh else " (as it was)"
    yield f"the server: nats-server -c {shlex.quote(str(server))}{kept}"
    if not fresh:
        yield "if it runs: nats-server --signal reload"
