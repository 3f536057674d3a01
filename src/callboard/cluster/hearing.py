"""When workers were last heard of, as their entries tell who asks for once."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from callboard.cluster.bucket import Written
from callboard.cluster.records import Registration, Seat, read_registration

LATE = 2 / 3
"""The part of a lease after which a heartbeat is missing; three come in a lease."""

LEADERS = "a worker that leads groups"
"""Who is always needed, in words."""


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


def attendance(
    seats: Iterable[Seat], workers: Mapping[str, Heard], lease_s: float
) -> dict[str, str | None]:
    """Who is needed for jobs with these seats, in words.

    Returns:
        Of each who isn't heard of, in words, that and since when; None where all is well.
    """
    needed: dict[str, str | None] = {LEADERS: None}
    if not any(each.worker.leads for each in workers.values()):
        needed[LEADERS] = f"{LEADERS}, such as `callboard worker --nats URL`"
    for seat in sorted(seats, key=lambda each: each.worker):
        who = f"worker {seat.worker}"
        how = _silence(seat, workers.get(seat.worker), lease_s)
        if how is not None:
            needed[who] = f"{who}, {how}"
        else:
            needed.setdefault(who, None)
    return needed


def _silence(seat: Seat, found: Heard | None, lease_s: float) -> str | None:
    if found is None:
        return "which is not heard of any more"
    if found.worker.incarnation != seat.incarnation:
        return "which was started again"
    if found.ago_s > LATE * lease_s:
        return f"last heard of {found.ago_s:.0f} s ago"
    return None
