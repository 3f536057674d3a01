"""Options of verbs that use a cluster, and how its errors are said."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING

import click

from callboard.cli.output import Refusal, refusal
from callboard.cluster.errors import BAD_ACCESS, ClusterError, NeverRan

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.identity import Identity
    from callboard.cluster.permissions import Kind

SHORT = 8
"""Characters of a group's id that people get to see."""

_INPUT = frozenset({"CB273", "CB275", "CB276", "CB277", "CB280", "CB281", BAD_ACCESS})
"""What is wrong with what the user has asked for; all else broke on the way."""

_URL = click.option(
    "--nats",
    metavar="URL",
    envvar="CALLBOARD_NATS",
    help="The cluster's NATS server, such as nats://host:4222; several, separated by commas.",
)


def _file(name: str, what: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.option(
        f"--{name}",
        metavar="FILE",
        type=click.Path(path_type=Path),
        envvar=f"CALLBOARD_NATS_{name.removeprefix('tls-').upper()}",
        help=what,
    )


_OPTIONS = (
    _file("tls-key", "The key of --tls-cert, PEM."),
    _file("tls-cert", "The certificate by which the cluster knows us, PEM."),
    _file("tls-ca", "Certificates that the server's is checked against, PEM.  [default: system's]"),
    _file("creds", "Credentials for the cluster, as `callboard cluster accounts` makes them."),
    _URL,
)


def cluster_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a verb the options that name a cluster; it gets `access`, None without `--nats`.

    What can't be right is refused before anything is tried, with exit code 2.
    """

    @wraps(function)
    def with_access(
        *,
        nats: str | None,
        creds: Path | None,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **others: object,
    ) -> int:
        access = None
        if nats is not None:
            from callboard.cluster.access import Access

            access = Access(nats, creds, tls_ca, tls_cert, tls_key)
            with refusing():
                access.check()
        return function(access=access, **others)

    found: Callable[..., int] = with_access
    for option in _OPTIONS:
        found = option(found)
    return found


def named(access: "Access | None") -> "Access":
    """The cluster that a verb can't do without; raises Refusal when none is named."""
    if access is None:
        hint = "name its server with --nats nats://host:4222, or with $CALLBOARD_NATS"
        raise refusal("CB104", "no cluster is named", hint)
    return access


def credentials_of(access: "Access", kind: "Kind", *more: "Kind") -> "Identity":
    """Whose credentials we have, where they are for this kind of member, or for one of more.

    Credentials that `callboard cluster accounts` hasn't made, and none, are for anybody.

    Raises:
        Refusal: They are for another kind.
        ClusterError: They can't be read.
    """
    from callboard.cluster.identity import Identity, read_identity
    from callboard.cluster.permissions import HOLDERS

    found = read_identity(access.creds) if access.creds else Identity()
    if found.kind is None or found.kind in (kind, *more):
        return found
    hint = f"`callboard cluster accounts DIR --{kind} NAME` makes some that will do"
    raise refusal("CB279", f"{access.creds} is for {HOLDERS[found.kind]}", hint)


def cluster_refusal(error: ClusterError) -> Refusal:
    """The refusal for what goes wrong with a cluster."""
    exit_code = 2 if error.code in _INPUT else 3
    if isinstance(error, NeverRan):
        exit_code = error.exit_code
    return refusal(error.code, error.text, error.cure, exit_code=exit_code)


@contextmanager
def refusing() -> Iterator[None]:
    """The time in which a cluster is used; what goes wrong with it is a Refusal."""
    try:
        yield
    except ClusterError as error:
        raise cluster_refusal(error) from error
