"""Devices for groups of a cluster: how long it takes to see who can have which."""

import random
import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.measurement import Measurement
from callboard.cluster.records import Need, Offer, Registration, Table, decode, encode
from callboard.cluster.subjects import PROTOCOL
from callboard.cluster.table import advance, enter, leave

_WORKERS = 50
_DEVICES = 20
_WAITING = 200
_MOST_JOBS = 50
_ROUNDS = 9
_TYPES = ("qemu", "beaglebone-black", "rpi")


def _fleet(types: Sequence[str]) -> list[Registration]:
    """1,000 devices of these types, every fourth with a tag."""
    offers = tuple(
        Offer(f"d{n}", types[n % len(types)], "command", ("usb",) if n % 4 == 0 else ())
        for n in range(_DEVICES)
    )
    return [Registration(f"w{n}", f"w{n}-1", "", PROTOCOL, "", "", offers) for n in range(_WORKERS)]


def _crowd() -> Table:
    """Groups of three roles and up to 50 jobs, more than can have devices at once."""
    chance = random.Random(1)
    table = Table()
    for group in range(_WAITING):
        size = chance.randint(1, _MOST_JOBS)
        tags = [("usb",) if chance.random() < 0.2 else () for _ in _TYPES]
        roles = [number * len(_TYPES) // size for number in range(size)]
        needs = [Need(n, str(role), _TYPES[role], tags[role]) for n, role in enumerate(roles)]
        table = enter(table, str(group), needs)
    return table


def _milliseconds(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(_ROUNDS):
        began_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - began_s)
    return median(times) * 1000


def crowded() -> Measurement:
    """A group has ended, and hundreds wait; beside reading and writing the table alone."""
    fleet = _fleet(_TYPES)
    full = advance(_crowd(), fleet)
    assert len(full.waiting) > _WAITING / 2
    freed = leave(full, max(full.granted, key=lambda group: len(full.granted[group])))
    figure = _milliseconds(lambda: advance(freed, fleet))
    baseline = _milliseconds(lambda: decode(encode(freed), Table))
    name = f"grants to {len(full.waiting)} groups, {_WORKERS * _DEVICES:,} devices"
    return Measurement(name, figure, baseline, "ms", baseline / figure, limit=100)


def large() -> Measurement:
    """A group that needs all devices of the fleet; beside reading and writing the table alone."""
    fleet = _fleet(_TYPES[:1])
    needs = [Need(number, "role", _TYPES[0]) for number in range(_WORKERS * _DEVICES)]
    table = enter(Table(), "group", needs)
    granted = advance(table, fleet)
    assert len(granted.granted["group"]) == len(needs)
    figure = _milliseconds(lambda: advance(table, fleet))
    baseline = _milliseconds(lambda: decode(encode(granted), Table))
    name = f"a group of {len(needs):,} on {len(needs):,} devices"
    return Measurement(name, figure, baseline, "ms", baseline / figure, limit=1000)
