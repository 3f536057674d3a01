"""Which group gets which devices: all that it needs at once, or none. Nothing here waits.

Groups stand in a queue. A group that can't have all of its devices yet holds on to as many of the
free ones as it can use, so that those who come later can't take them from under it, and what it
can't use goes to them. A group that is first in the queue has its devices at the latest when all
groups that had devices at that time have ended:

    Sets of devices that can be given to a group's jobs at the same time form a matroid (they are
    the partial transversals of who can serve which job). The group holds on to a basis of what is
    free; whenever a device is given back, a new basis is found before anybody else may take it.
    What it holds on to therefore spans all that was free, and all that was given back since.

A group that this fleet can't serve, even if all of it were free, keeps its place and holds on to
nothing: it waits for workers to come.

Of the devices that serve a job it gets one with few tags before one with many, which others may
need. Then a group is kept together on few workers, the emptiest first: what its jobs say to each
other crosses the network once a worker, and each worker more is one more that can fail; but the
groups are spread over the workers.

A throw-away node stands for devices of types that no worker has, whatever their tags, as in a run
without a devices file. Where a worker has devices of a type, busy or not, jobs of that type wait
for those; a job that names its worker or device looks no further than there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from attrs import evolve, frozen

from callboard.actors.allocation import matching
from callboard.cluster.records import Need, Offer, Registration, Seat, Table, Waiting
from callboard.cluster.subjects import PROTOCOL
from callboard.definition.model import NodeJob


def needs_of(jobs: Iterable[NodeJob]) -> tuple[Need, ...]:
    """What the jobs of a group need."""
    return tuple(
        Need(
            job.id,
            job.role.name if job.role else "",
            job.device_type,
            job.tags,
            host_role=job.role.host_role if job.role and job.role.connection else None,
            device=job.role.device if job.role else None,
            worker=job.role.worker if job.role else None,
        )
        for job in jobs
    )


def enter(table: Table, group: str, needs: Sequence[Need]) -> Table:
    """The table with the group at the end of the queue, unless it waits or has devices already."""
    if group in table.granted or any(each.group == group for each in table.waiting):
        return table
    return evolve(table, waiting=(*table.waiting, Waiting(group, tuple(needs))))


def leave(table: Table, group: str) -> Table:
    """The table without the group, whether it waits or has devices."""
    if group in table.granted:
        others = {name: seats for name, seats in table.granted.items() if name != group}
        return evolve(table, granted=others)
    if all(each.group != group for each in table.waiting):
        return table
    return evolve(table, waiting=tuple(each for each in table.waiting if each.group != group))


def requeue(table: Table, group: str, needs: Sequence[Need]) -> Table:
    """The table with a group at the head of the queue again, instead of the devices that it has."""
    if group not in table.granted:
        return table
    left = leave(table, group)
    return evolve(left, waiting=(Waiting(group, tuple(needs)), *left.waiting))


def stands(seats: Iterable[Seat], fleet: Sequence[Registration]) -> bool:
    """Whether the workers of these seats are those that were there when they were granted.

    They have not been started anew, take something new, and still offer the devices.
    """
    offered = {(seat.worker, seat.incarnation, seat.device) for seat in _Rack(fleet, {}).seats}
    return all((seat.worker, seat.incarnation, seat.device) in offered for seat in seats)


def advance(table: Table, fleet: Sequence[Registration]) -> Table:
    """The table with devices for all groups of the queue that can have them now.

    Args:
        table: Who has and who waits.
        fleet: The workers that live.
    """
    if not table.waiting:
        return table
    rack = _Rack(fleet, table.granted)
    waiting, granted = list(table.waiting), dict(table.granted)
    # Once more after any grant: a group may then hold on to others of the devices that it can use.
    while given := _grant(waiting, rack):
        granted |= given
        waiting = [each for each in waiting if each.group not in given]
    if len(waiting) == len(table.waiting):
        return table
    return Table(tuple(waiting), granted)


def hopeless(needs: Sequence[Need], fleet: Sequence[Registration]) -> tuple[Need, ...]:
    """The needs that would be left if a group had all devices of the fleet to itself."""
    rack = _Rack(fleet, {})
    devices, guests = _parted(needs)
    found = matching([_want(each) for each in devices], rack.serving)
    roles = {each.role for each in devices}
    left = [need for number, need in enumerate(devices) if number not in found]
    return (*left, *(each for each in guests if each.host_role not in roles))


def busy(needs: Sequence[Need], table: Table, fleet: Sequence[Registration]) -> frozenset[str]:
    """The devices that other groups have and that could serve one of these needs.

    Each as `worker/device`.
    """
    rack = _Rack(fleet, table.granted)
    wants = {_want(each) for each in needs if each.type is not None}
    able = {place for want in wants for place in rack.serving(want)}
    return frozenset(
        f"{seat.worker}/{seat.device}" for seat in (rack.seats[each] for each in able - rack.free)
    )


def describe(needs: Sequence[Need]) -> str:
    """What is needed, in words, such as `2 devices of type bbb with the tags usb (role board)`."""
    counts = Counter((each.role, each.type, each.tags, each.device, each.worker) for each in needs)
    said = []
    for (role, kind, tags, device, worker), count in counts.items():
        what = f"{count} devices" if count > 1 else "a device"
        what += f" of type {kind}" if kind is not None else " for guests"
        what += f" with the tags {', '.join(tags)}" if tags else ""
        what += f" named {device}" if device else ""
        what += f" on worker {worker}" if worker else ""
        said.append(f"{what} (role {role})" if role else what)
    return "; ".join(said)


@frozen(cache_hash=True)
class _Want:
    """What one device must be; jobs with the same want can have the same devices."""

    type: str | None
    tags: frozenset[str]
    device: str | None
    worker: str | None


def _want(need: Need) -> _Want:
    return _wanted(need.type, need.tags, need.device, need.worker)


@lru_cache(4096)  # thousands of jobs want the same
def _wanted(
    kind: str | None, tags: tuple[str, ...], device: str | None, worker: str | None
) -> _Want:
    return _Want(kind, frozenset(tags), device, worker)


def _parted(needs: Sequence[Need]) -> tuple[list[Need], list[Need]]:
    """The needs for devices, and the guests on them."""
    devices = [each for each in needs if each.type is not None]
    return devices, [each for each in needs if each.type is None]


_Kind = tuple[str | None, str | None, str | None]
"""A type, None for throw-away nodes; the device and the worker that are named, None for any."""


class _Rack:
    """All devices of the workers that take something new, by their places in a row.

    Attributes:
        seats: What a job on it has for its seat, by place.
        free: The places of those that no group has.
    """

    def __init__(
        self, fleet: Sequence[Registration], granted: Mapping[str, Mapping[int, Seat]]
    ) -> None:
        taken = {
            (seat.worker, seat.device) for seats in granted.values() for seat in seats.values()
        }
        self.seats: list[Seat] = []
        self.free: set[int] = set()
        self._tags: list[frozenset[str]] = []
        self._room: dict[str, int] = {}
        self._places: dict[_Kind, list[int]] = {}
        self._serving: dict[_Want, tuple[int, ...]] = {}
        for worker in sorted(fleet, key=lambda each: each.name):
            useful = worker.protocol == PROTOCOL and not worker.draining
            self._room[worker.name] = 0
            for offer in worker.offers:
                lists = [self._places.setdefault(each, []) for each in _kinds(worker.name, offer)]
                if not useful:
                    continue
                place = len(self.seats)
                for each in lists:
                    each.append(place)
                self.seats.append(Seat(worker.name, worker.incarnation, offer.name, offer.driver))
                self._tags.append(frozenset(offer.tags))
                if (worker.name, offer.name) not in taken:
                    self.free.add(place)
                    self._room[worker.name] += 1

    def serving(self, want: _Want) -> tuple[int, ...]:
        """The devices that are what is wanted, whoever has them."""
        found = self._serving.get(want)
        if found is None:
            found = self._serving[want] = tuple(self._find(want))
        return found

    def preferred(self, places: Iterable[int]) -> list[int]:
        """Devices in the order in which a group takes them."""
        return sorted(places, key=self._preference)

    def take(self, places: Iterable[int]) -> None:
        """Let a group have these devices."""
        for place in places:
            self.free.discard(place)
            self._room[self.seats[place].worker] -= 1

    def _preference(self, place: int) -> tuple[int, int, int]:
        return len(self._tags[place]), -self._room[self.seats[place].worker], place

    def _find(self, want: _Want) -> Iterable[int]:
        kind = (want.type, want.device, want.worker)
        if kind not in self._places and want.type != "lxc":
            return self._places.get((None, want.device, want.worker), ())
        return (each for each in self._places.get(kind, ()) if want.tags <= self._tags[each])


def _kinds(worker: str, offer: Offer) -> Iterator[_Kind]:
    """What may be asked for to get this device, tags aside."""
    for device in (None, offer.name):
        for pinned in (None, worker):
            yield offer.type, device, pinned


def _grant(waiting: Sequence[Waiting], rack: _Rack) -> dict[str, Mapping[int, Seat]]:
    """Go through the queue once; takes the devices of who can have all of them."""
    given: dict[str, Mapping[int, Seat]] = {}
    left = set(rack.free)
    for each in waiting:
        devices, guests = _parted(each.needs)
        wants = [_want(need) for need in devices]
        found = matching(wants, lambda want: rack.preferred(left.intersection(rack.serving(want))))
        if len(found) == len(wants):
            seats = {devices[number].job: rack.seats[place] for number, place in found.items()}
            if (landed := _land(devices, guests, seats)) is None:
                continue
            given[each.group] = landed
            rack.take(found.values())
        elif len(matching(wants, rack.serving)) < len(wants):
            continue
        left.difference_update(found.values())
    return given


def _land(
    devices: Sequence[Need], guests: Sequence[Need], seats: dict[int, Seat]
) -> Mapping[int, Seat] | None:
    """The seats with those of guests, on the first host of their role; None without a host."""
    hosts = {need.role: seats[need.job] for need in reversed(devices)}
    for guest in guests:
        host = hosts.get(guest.host_role or "")
        if host is None:
            return None
        seats[guest.job] = evolve(host, driver="ssh")
    return seats
