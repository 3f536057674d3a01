"""What a cluster keeps in buckets; JSON of these classes, made and checked by cattrs.

Names of workers, devices and groups are single tokens of a subject: letters, digits, `-`, `_`.
"""

import json
import re
import zlib
from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from typing import Literal, TypeVar

import cattrs
from attrs import field, frozen

from callboard.cluster.errors import ClusterError
from callboard.cluster.subjects import PROTOCOL
from callboard.definition.devices import Driver
from callboard.events import Status

R = TypeVar("R")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a worker, or a group by its id, may be called."""


@frozen
class Offer:
    """A device that a worker offers.

    Attributes:
        name: Its name on the worker.
        type: Its device type; None for a throw-away node, which any type may name but `lxc`.
        driver: What makes a node of it.
        tags: Its tags.
    """

    name: str
    type: str | None
    driver: Driver
    tags: tuple[str, ...] = ()


@frozen
class Registration:
    """A worker that lives, by its name.

    Attributes:
        name: Of the worker.
        incarnation: Of this process; another one under the same name has another.
        machine: Identifies the machine, so that a worker knows its dead predecessor's entry.
        protocol: See `subjects.PROTOCOL`.
        version: Of callboard.
        host: Name of the machine, for people.
        offers: Its devices.
        leads: Whether it leads groups.
        draining: Whether it takes nothing new.
        leading: How many groups it leads now.
        pid: Of its process, for people.
    """

    name: str
    incarnation: str
    machine: str
    protocol: int
    version: str
    host: str
    offers: tuple[Offer, ...] = ()
    leads: bool = True
    draining: bool = False
    leading: int = 0
    pid: int = 0


@frozen
class Lead:
    """Who leads a group."""

    worker: str
    incarnation: str


@frozen
class Need:
    """What one job of a group needs.

    Attributes:
        job: Its id.
        role: Its role, "" without roles.
        type: The device type; None for a guest, which lands on the worker of its host.
        tags: Tags that the device must have.
        host_role: The role of a guest's host.
        device: The one device that it asks for by name.
        worker: The one worker that it asks for by name.
    """

    job: int
    role: str
    type: str | None
    tags: tuple[str, ...] = ()
    host_role: str | None = None
    device: str | None = None
    worker: str | None = None


@frozen
class Seat:
    """Where a job runs.

    Attributes:
        worker: The worker's name.
        incarnation: Of the worker's process.
        device: The device; for a guest that of its host.
        driver: What makes the node.
    """

    worker: str
    incarnation: str
    device: str
    driver: Driver


@frozen
class Waiting:
    """A group that waits for devices."""

    group: str
    needs: tuple[Need, ...]


@frozen
class Table:
    """Which group has which devices, and who waits in which order.

    Attributes:
        waiting: Groups without devices, the first to come first.
        granted: The seat of each job, by the group's id.
    """

    waiting: tuple[Waiting, ...] = ()
    granted: Mapping[str, Mapping[int, Seat]] = field(factory=dict[str, Mapping[int, Seat]])


@frozen
class Settings:
    """How a group is to be run; the options of `callboard run` that a cluster knows.

    Attributes:
        fail_fast: Fail waits that can't be satisfied any more.
        deadlock_grace_s: Seconds without a request after which a presumed one is failed.
        sandbox: Give local nodes a throw-away view of their machine.
        strict: Refuse definitions of which a driver would skip a part.
    """

    fail_fast: bool = True
    deadlock_grace_s: float = 10.0
    sandbox: bool = True
    strict: bool = False


@frozen
class GroupRecord:
    """A group that was submitted.

    Attributes:
        name: The definition's job name.
        file: Name of the definition's file, for people.
        nodes: How many jobs it has.
        first_id: Id of the first job.
        submitted_at: When, by the calendar of who submitted it.
        settings: How it is to be run.
        state: `queued` until it has devices, `ended` when its log is complete.
        cancel: Why it is to be cancelled, None while it is not.
        status: How it ended.
        exit_code: What `callboard run` exits with for it.
        problem: Why it never ran, where it didn't.
    """

    name: str
    file: str
    nodes: int
    first_id: int
    submitted_at: str
    settings: Settings = field(factory=Settings)
    state: Literal["queued", "running", "ended"] = "queued"
    cancel: str | None = None
    status: Status | None = None
    exit_code: int | None = None
    problem: str | None = None


_Needs = tuple[Need, ...]
_converter = cattrs.Converter(forbid_extra_keys=True)


@frozen
class _Alike:
    """Needs that differ in nothing but the job, as a table holds them: there can be thousands."""

    jobs: tuple[int, ...]
    role: str
    type: str | None
    tags: tuple[str, ...]
    host_role: str | None
    device: str | None
    worker: str | None


_kind = attrgetter("role", "type", "tags", "host_role", "device", "worker")


def _written(needs: _Needs) -> object:
    runs = groupby(needs, _kind)
    return [
        _converter.unstructure(_Alike(tuple(need.job for need in alike), *kind))
        for kind, alike in runs
    ]


def _read(data: object, _: object) -> _Needs:
    alike = _converter.structure(data, tuple[_Alike, ...])
    return tuple(need for each in alike for need in _each(each))


def _each(alike: _Alike) -> _Needs:
    needs = _known.get(alike)
    if needs is None:
        if sum(map(len, _known.values())) + len(alike.jobs) > _MOST_KNOWN:
            _known.clear()
        _known[alike] = needs = tuple(Need(job, *_kind(alike)) for job in alike.jobs)
    return needs


_known: dict[_Alike, _Needs] = {}
"""A table is read again whenever one group in it has changed."""

_MOST_KNOWN = 50_000
"""For how many jobs needs are kept, of all groups that have ever waited."""


_converter.register_unstructure_hook_func(lambda kind: kind == _Needs, _written)
_converter.register_structure_hook_func(lambda kind: kind == _Needs, _read)


_LONG_BYTES = 16_384
"""Records of this size and more are compressed: servers have limits, and names repeat. Shorter
ones can be read with NATS's own tools."""

_MOST_BYTES = 2**28

_SMALL_BYTES = 2**23
"""What an entry may come to that others than leaders write, and may have written to do harm."""

_JUNK = (
    *(zlib.error, ValueError, TypeError, KeyError, OverflowError, RecursionError),
    cattrs.BaseValidationError,
)


def encode(record: object) -> bytes:
    """A record as it stands in a bucket."""
    data = json.dumps(_converter.unstructure(record), separators=(",", ":")).encode()
    return data if len(data) < _LONG_BYTES else zlib.compress(data, 1)


def decode(data: bytes, kind: type[R], most_bytes: int = _MOST_BYTES) -> R:
    """The record of a bucket's entry; raises ClusterError when it isn't one.

    Args:
        data: The entry.
        kind: The record's class.
        most_bytes: How large it may be when it isn't compressed.
    """
    try:
        plain = data if data.startswith(b"{") else _inflated(data, most_bytes)
        return _converter.structure(json.loads(plain), kind)
    except _JUNK as error:
        text = f"an entry of the cluster is no {kind.__name__} of this version's protocol"
        raise ClusterError("CB271", text, "run the same callboard everywhere") from error


def _inflated(data: bytes, most_bytes: int) -> bytes:
    """What was compressed; some bytes can stand for more than fits into the memory."""
    inflater = zlib.decompressobj()
    plain = inflater.decompress(data, most_bytes)
    if not inflater.eof:
        raise ValueError("it is cut off, or too long")
    return plain


def read_registration(name: str, data: bytes) -> Registration | None:
    """The worker of an entry; None for one of another protocol, or in another's name."""
    try:
        found = decode(data, Registration, _SMALL_BYTES)
    except ClusterError:
        return None
    return found if found.protocol == PROTOCOL and found.name == name else None


def read_group(group: str, data: bytes) -> GroupRecord | None:
    """The group of an entry; None for one of another protocol, or with an id that is none."""
    if not NAME.fullmatch(group):
        return None
    try:
        return decode(data, GroupRecord, _SMALL_BYTES)
    except ClusterError:
        return None
