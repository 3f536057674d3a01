"""When workers were last heard of, as their entries tell who asks for once."""

from collections.abc import Mapping

from attrs import frozen

from callboard.cluster.bucket import Written
from callboard.cluster.records import Registration, Seat, read_registration

_LATE = 2 / 3
"""The part of a lease after which a heartbeat is missing; three come in a lease."""


@frozen
class Heard:
    """A worker's entry.

    Attributes:
        worker: What stands there.
        ago_s: How much older it is than the newest of all entries, by the servers' clock: it was
            heard of at least so long ago.
    """

    worker: Registration
    ago_s: float


def heard(entries: Mapping[str, Written]) -> dict[str, Heard]:
    """What the entries of workers tell, by their names."""
    newest = max((each.at for each in entries.values() if each.at is not None), default=None)
    found: dict[str, Heard] = {}
    for name, (data, at) in sorted(entries.items()):
        worker = read_registration(name, data)
        if worker is not None:
            ago_s = (newest - at).total_seconds() if newest and at else 0.0
            found[name] = Heard(worker, ago_s)
    return found


def silence(seat: Seat, workers: Mapping[str, Heard], lease_s: float) -> str | None:
    """Which worker a job waits for that isn't heard of, in words; None where it is."""
    found = workers.get(seat.worker)
    if found is None:
        return f"worker {seat.worker}, which is not heard of any more"
    if found.worker.incarnation != seat.incarnation:
        return f"worker {seat.worker}, which was started again"
    if found.ago_s > _LATE * lease_s:
        return f"worker {seat.worker}, last heard of {found.ago_s:.0f} s ago"
    return None
