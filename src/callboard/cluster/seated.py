"""The nodes of a group's jobs on this worker, on the devices that the cluster has given them."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

from callboard.cluster.messages import Contract
from callboard.cluster.worker import Worker
from callboard.definition.devices import Device, DevicesFile, LocalLimits
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import NodeJob, Place
from callboard.downloads import downloads
from callboard.nodes import Nodes, Wanted, open_nodes
from callboard.sources import Policy

RESERVED_S = 60.0
"""How long a group waits for a device that another callboard of the same machine uses."""

Seated = Callable[[str, Contract, Sequence[NodeJob]], AbstractAsyncContextManager[Nodes]]
"""Makes the nodes of a group, by its id, for the jobs of a contract, whose sources are here now."""


def seated(
    worker: Worker, group: str, contract: Contract, jobs: Sequence[NodeJob]
) -> AbstractAsyncContextManager[Nodes]:
    """The nodes of jobs; arguments besides the worker as of `Seated`, errors as of `open_nodes`."""
    seats = {each.job.id: each.seat for each in contract.jobs}
    wanted = Wanted(
        run=group,
        jobs=jobs,
        devices=_devices(worker, contract),
        queue_s=RESERVED_S,
        sandbox=contract.settings.sandbox,
        background={
            each.job.role.name if each.job.role else "": each.works_aside for each in contract.jobs
        },
        download=downloads(Path(tempfile.gettempdir()), Policy()),
        network="host",
        choice=partial(_chosen, {job: seat.device for job, seat in seats.items()}),
    )
    return open_nodes(wanted, partial(_say_busy, worker.say))


def _devices(worker: Worker, contract: Contract) -> DevicesFile:
    """The worker's devices; throw-away nodes become what their jobs ask for."""
    if worker.file is not None:
        return worker.file
    name = f"throw-away nodes of worker {worker.name}"
    made = {
        each.seat.device: Device(
            each.seat.device,
            each.job.device_type,
            Place(name, 1, 1),
            LxcDevice() if each.seat.driver == "lxc" else LocalLimits(),
            tags=frozenset(each.job.tags),
        )
        for each in contract.jobs
        if each.job.device_type is not None
    }
    return DevicesFile(name, tuple(made.values()))


def _chosen(
    devices: Mapping[int, str], jobs: Sequence[NodeJob], free: Sequence[Device]
) -> Mapping[int, Device] | None:
    """The devices that the jobs are to have; None while one of them is used by another run."""
    known = {each.name: each for each in free}
    if any(devices[job.id] not in known for job in jobs):
        return None
    return {job.id: known[devices[job.id]] for job in jobs}


def _say_busy(note: Callable[[str], None], busy: frozenset[str]) -> None:
    note(f"waiting for devices that another run on this machine has: {', '.join(sorted(busy))}")
