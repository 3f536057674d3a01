"""Groups that run on a cluster: submitted and followed, here and by the command line."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import field, frozen

from callboard.cluster.access import Access
from callboard.cluster.records import Settings
from callboard.cluster.visiting import visiting
from callboard.definition.diagnostics import DefinitionError
from callboard.definition.model import Definition
from callboard.live import GroupResult, Observer
from callboard.report import derive
from callboard.report.record import Recorder
from callboard.sources import Policy

if TYPE_CHECKING:
    from callboard.cluster.client import Client, Submitted

Note = Callable[[str], None]


@frozen
class Order:
    """A group that is to be submitted.

    Attributes:
        definition: The group.
        settings: How it is to be run.
        first_id: Id of its first job; None takes the next free ones of the cluster.
        sources: How its test definitions are fetched.
        check: Refuse it if it is proved that it can't finish.
    """

    definition: Definition
    settings: Settings = field(factory=Settings)
    first_id: int | None = None
    sources: Policy = field(factory=Policy)
    check: bool = True


async def hand_over(client: "Client", order: Order, note: Note) -> "Submitted":
    """Fetch what a group needs, check it and submit it.

    Args:
        client: Of the cluster.
        order: The group; `suitability.unfit` has found nothing.
        note: Is told, in a line of text, when a source of test definitions has been fetched.

    Raises:
        DefinitionError: It can't be run.
        ClusterError: The cluster doesn't take it.
    """
    from callboard.running import prepare

    definition, _ = await prepare(order.definition, order.sources, note, gate=order.check)
    return await client.submit(definition, order.settings, order.first_id)


async def submit(
    definition: Definition,
    nats: str | Access,
    *,
    settings: Settings | None = None,
    first_id: int | None = None,
    check: bool = True,
) -> str:
    """Hand a group to a cluster, where it runs as soon as workers have the devices for it.

    Args:
        definition: The group.
        nats: The URL of the cluster's NATS server, or that with credentials and certificates.
        settings: How it is to be run; None for the usual way.
        first_id: Id of its first job; None takes the next free ones of the cluster.
        check: Refuse a group of which it is proved that it can't finish.

    Returns:
        Its id, for `attach` and for `callboard list`.

    Raises:
        DefinitionError: It can't be run on a cluster.
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
        ClusterError: The cluster can't be used, or doesn't take it.
    """
    from callboard.cluster.suitability import unfit

    order = Order(definition, settings or Settings(), first_id, check=check)
    if found := unfit(definition, sandbox=order.settings.sandbox):
        raise DefinitionError(found)
    async with visiting(_access(nats), _ignore) as client:
        return (await hand_over(client, order, _ignore)).id


async def attach(
    group: str,
    nats: str | Access,
    directory: str | Path | None = None,
    *,
    observers: Iterable[Observer] = (),
) -> GroupResult:
    """How a group of a cluster ends; waits until it has.

    Args:
        group: Its id, or the beginning of it.
        nats: The URL of the cluster's NATS server, or that with credentials and certificates.
        directory: Where to record the run, with its reports; made if it does not exist. None
            records nothing.
        observers: Are given every event, from the first on.

    Raises:
        ClusterError: The cluster can't be used, or has no such group; NeverRan, one of them, that
            it has ended without having had devices.
        OSError: The directory can't be written.
    """
    where = None if directory is None else Path(directory)
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
    recorder = Recorder()
    async with visiting(_access(nats), _ignore) as client:
        from callboard.cluster.following import follow

        sinks = [*observers, recorder.add]
        found = await client.find(group)
        async with follow(client, found, sinks, _ignore, directory=where, owns=False) as followed:
            ended = await followed.wait()
            if followed.log_error is not None:
                raise followed.log_error
    run = recorder.run() if where is None else derive(where)
    return GroupResult(ended.status, ended.exit_code, ended.duration_s, run.jobs, where)


def _access(nats: str | Access) -> Access:
    return Access(nats) if isinstance(nats, str) else nats


def _ignore(_text: str) -> None:
    """Nobody is told."""
