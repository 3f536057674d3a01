"""Groups of a cluster, as the verbs of the command line use them."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from callboard.cli.cluster_options import cluster_refusal
from callboard.cli.execution import NotStarted, Running
from callboard.cli.output import Refusal
from callboard.cluster.errors import ClusterError
from callboard.cluster.visiting import visiting
from callboard.definition import Definition
from callboard.elsewhere import Order, hand_over
from callboard.events import Event

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.client import Client

Sinks = Iterable[Callable[[Event], None]]


def checked(definition: Definition, *, sandbox: bool) -> None:
    """Raise Refusal for what can't be run on a cluster."""
    from callboard.cluster.suitability import unfit

    if found := unfit(definition, sandbox=sandbox):
        raise Refusal(*found)


@contextlib.asynccontextmanager
async def running(
    access: "Access",
    order: Order,
    sinks: Sinks,
    note: Callable[[str], None],
    submitted: Callable[[str], None],
    directory: Path,
) -> AsyncIterator[Running]:
    """A group that is submitted, and followed while the context is open.

    Args:
        access: The cluster.
        order: The group.
        sinks: Are given every event.
        note: Is told what happens to the connection, and what the group waits for.
        submitted: Is told the group's id.
        directory: Where it is recorded.

    Raises NotStarted, also later when it can't be followed any more.
    """
    from callboard.cli.starting import starting

    with _failing():
        async with visiting(access, note) as client:
            with starting():
                group = await hand_over(client, order, note)
            submitted(group.id)
            async with _followed(client, group.id, sinks, note, directory, owns=True) as found:
                yield found


@contextlib.asynccontextmanager
async def attached(
    access: "Access", prefix: str, sinks: Sinks, note: Callable[[str], None], directory: Path | None
) -> AsyncIterator[Running]:
    """A group that somebody has submitted, followed while the context is open.

    Args:
        access: The cluster.
        prefix: Of the group's id.
        sinks: Are given every event.
        note: Is told what happens to the connection.
        directory: Where it is recorded; None for nowhere.

    Raises NotStarted when it isn't there, or can't be followed any more.
    """
    with _failing():
        async with visiting(access, note) as client:
            group = await client.find(prefix)
            async with _followed(client, group, sinks, note, directory, owns=False) as found:
                yield found


def _followed(
    client: "Client",
    group: str,
    sinks: Sinks,
    note: Callable[[str], None],
    directory: Path | None,
    *,
    owns: bool,
) -> AbstractAsyncContextManager[Running]:
    from callboard.cluster.following import follow

    return follow(client, group, sinks, note, directory=directory, owns=owns)


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """The time in which a cluster is used; what goes wrong with it is `NotStarted`."""
    try:
        yield
    except ClusterError as error:
        raise NotStarted(cluster_refusal(error)) from error
