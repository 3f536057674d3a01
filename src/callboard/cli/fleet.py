"""The devices of a cluster: who offers them, and which group has which."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio
import click
from attrs import asdict, evolve, frozen

from callboard.cli.output import Output, plain

if TYPE_CHECKING:
    from callboard.cluster.access import Access
    from callboard.cluster.records import Offer, Registration, Table

_ID_CHARACTERS = 8

State = Literal["free", "busy", "draining", "lost"]


@frozen
class _Row:
    """A device of the cluster.

    Attributes:
        state: `draining` is one that is free, but no group gets any more; `lost` one that a group
            has, but whose worker is gone.
        group: The group that has it.
        jobs: Those of its jobs that run there.
    """

    worker: str
    name: str
    type: str | None
    driver: str
    tags: tuple[str, ...]
    state: State
    group: str | None
    jobs: tuple[int, ...]


def show_fleet(access: "Access", said: Output) -> None:
    """Show the workers of a cluster, and their devices; raises ClusterError."""
    workers, table = anyio.run(partial(_found, access, said))
    rows = list(_rows(workers, table))
    if said.json:
        said.document(
            {
                "cluster": access.shown,
                "workers": [_worker(each) for each in workers],
                "devices": [asdict(each) for each in rows],
                "waiting": [each.group for each in table.waiting],
            }
        )
    elif not rows and not workers:
        click.echo(f"no workers; `callboard worker --nats {access.shown}` starts one")
    else:
        _print(rows, workers, said)


async def _found(access: "Access", said: Output) -> "tuple[tuple[Registration, ...], Table]":
    from callboard.cluster.connection import connect
    from callboard.cluster.fleet import Fleet
    from callboard.cluster.shared_table import read_table

    async with connect(access, name="callboard devices", note=said.note, make=False) as cluster:
        fleet = Fleet(cluster)
        await cluster.answered(fleet.look())
        return fleet.registrations, await cluster.answered(read_table(cluster))


def _rows(workers: "tuple[Registration, ...]", table: "Table") -> Iterator[_Row]:
    taken: dict[tuple[str, str], tuple[str, list[int], str]] = {}
    for group, seats in table.granted.items():
        for job, seat in seats.items():
            _, jobs, _ = taken.setdefault((seat.worker, seat.device), (group, [], seat.driver))
            jobs.append(job)
    for worker in workers:
        for offer in worker.offers:
            holder = taken.pop((worker.name, offer.name), None)
            yield _row(worker, offer, *(holder[:2] if holder else (None, [])))
    for (name, device), (group, jobs, driver) in sorted(taken.items()):
        yield _Row(name, device, None, driver, (), "lost", group, tuple(sorted(jobs)))


def _row(worker: "Registration", offer: "Offer", group: str | None, jobs: list[int]) -> _Row:
    state: State = "busy" if group else "draining" if worker.draining else "free"
    return _Row(
        worker.name,
        offer.name,
        offer.type,
        offer.driver,
        offer.tags,
        state,
        group,
        tuple(sorted(jobs)),
    )


def _worker(worker: "Registration") -> Mapping[str, object]:
    names = ("name", "incarnation", "host", "version", "pid", "leads", "leading", "draining")
    return {name: getattr(worker, name) for name in names}


def _alike(rows: list[_Row]) -> Iterator[tuple[_Row, list[str]]]:
    """One of the devices that differ in nothing but their names and jobs, and all their names."""
    alike: dict[_Row, list[str]] = {}
    for each in rows:
        alike.setdefault(evolve(each, name="", jobs=()), []).append(each.name)
    yield from alike.items()


def ranges(names: Iterable[str]) -> str:
    """Names in few words: of those numbered one after the other the first, and the last number."""
    runs: list[list[str]] = []
    for name in names:
        if runs and name == _next(runs[-1][-1]):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(
        each[0] if len(each) == 1 else f"{each[0]}..{_number(each[-1])}" for each in runs
    )


def _number(name: str) -> str:
    return name[len(name.rstrip("0123456789")) :]


def _next(name: str) -> str | None:
    """The name with the next number; None for one without."""
    if not (number := _number(name)):
        return None
    return name.removesuffix(number) + str(int(number) + 1).zfill(len(number))


def _print(rows: list[_Row], workers: "tuple[Registration, ...]", said: Output) -> None:
    from callboard.cli.listing import Listing

    columns = ("worker", "device", "count", "type", "driver", "tags", "state", "group")
    listing = Listing(*columns, folds=("worker", "device", "type", "tags"), right=("count",))
    for each, names in _alike(rows):
        kind = each.type or ("any" if each.state != "lost" else "-")
        tags, group = ", ".join(each.tags) or "-", (each.group or "-")[:_ID_CHARACTERS]
        count = f"{len(names):,}"
        listing.add(each.worker, ranges(names), count, kind, each.driver, tags, each.state, group)
    said.listing(listing)
    for worker in workers:
        if not worker.offers:
            text = f"{worker.name} offers no devices, and leads {worker.leading} groups"
            said.console.print(plain(text), markup=False, highlight=False)
