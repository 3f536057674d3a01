"""Which workers a cluster has, and which of them are lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from attrs import define, field
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from callboard.cluster import subjects
from callboard.cluster.alongside import alongside
from callboard.cluster.attendance import Attendance
from callboard.cluster.connection import Cluster
from callboard.cluster.records import Registration, read_registration
from callboard.cluster.refusals import refused
from callboard.cluster.stores import stream_of

_SUBJECT = f"$KV.{subjects.WORKERS}."


@define(eq=False)
class Fleet:
    """The workers of a cluster, as they are now; `watched` keeps it.

    Entries expire without a word, so the servers are asked four times a lease which ones there
    are. Heartbeats, which anybody who may can hear, say sooner that one is new or has changed, and
    save asking for those that are as they were.
    """

    cluster: Cluster
    _entries: dict[str, tuple[bytes, Registration | None]] = field(
        factory=dict[str, tuple[bytes, Registration | None]]
    )
    _heard: set[str] = field(factory=set[str])
    _heard_before: set[str] = field(factory=set[str])
    _changed: anyio.Event = field(factory=anyio.Event)
    _looked: anyio.Event = field(factory=anyio.Event)
    _hint: anyio.Event = field(factory=anyio.Event)
    _new: set[str] = field(factory=set[str])
    _attendance: Attendance = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._attendance = Attendance(self.cluster.lease_s, gap_s=self.cluster.lease_s)

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Every worker of this version's protocol, by name."""
        found = (entry for _, (_, entry) in sorted(self._entries.items()))
        return tuple(entry for entry in found if entry is not None)

    def get(self, name: str) -> Registration | None:
        """A worker by its name, None when there is none."""
        return self._entries.get(name, (b"", None))[1]

    async def changed(self) -> None:
        """Return when a worker has come, gone, or changed what it says of itself."""
        await self._changed.wait()

    def lost(self, name: str, incarnation: str) -> bool:
        """Whether nobody need wait for this process of a worker any more.

        It is when its entry has been gone, or another's, for a lease in which we have looked. It
        may still run: whoever acts on this tells it so until it has heard it.
        """
        return self._attendance.lost(name, incarnation)

    async def wait_lost(self, name: str, incarnation: str) -> None:
        """Return when that is so."""
        while not self.lost(name, incarnation):
            await self._looked.wait()

    async def look(self) -> None:
        """Ask which workers there are; raises nats.errors.Error."""
        js, stream = self.cluster.js, stream_of(subjects.WORKERS)
        info = await js.stream_info(stream, subjects_filter=f"{_SUBJECT}>")
        names = {subject.removeprefix(_SUBJECT) for subject in info.state.subjects or {}}
        # Heartbeats come three times a lease, and looks four times.
        heard = self._heard | self._heard_before
        self._heard_before, self._heard = self._heard, set()
        for name in names - heard:
            await self._read(name)
        for name in self._entries.keys() - names:
            self._put(name, None)
        alive = {each.name: each.incarnation for each in self.registrations}
        self._attendance.look(anyio.current_time(), alive)
        self._looked.set()
        self._looked = anyio.Event()

    async def run(self) -> None:
        """Keep it as it is at the servers; `watched` runs it."""
        while True:
            with anyio.move_on_after(self.cluster.lease_s / 4) as pause:
                await self._hint.wait()
            try:
                if pause.cancelled_caught:
                    await self.look()
                else:
                    await self._read_new()
            except NatsError:
                await self.cluster.wait_connected()

    async def hear(self, message: Msg) -> None:
        """Take a heartbeat as a hint: what is so stands in the bucket."""
        name = message.subject.removeprefix(_SUBJECT)
        known = self._entries.get(name)
        if known is not None and known[0] == message.data:
            self._heard.add(name)
        else:
            self._new.add(name)
            self._hint.set()

    async def _read_new(self) -> None:
        self._hint = anyio.Event()
        while self._new:
            await self._read(self._new.pop())

    async def _read(self, name: str) -> None:
        try:
            entry = await self.cluster.bucket(subjects.WORKERS).get(name, validate_keys=False)
        except KeyNotFoundError:
            self._put(name, None)
        else:
            self._put(name, entry.value or None)

    def _put(self, name: str, data: bytes | None) -> None:
        before = self._entries.get(name)
        if data is None:
            self._entries.pop(name, None)
            if before is None:
                return
        elif before is not None and before[0] == data:
            return
        else:
            entry = self._understood(name, data)
            self._entries[name] = data, entry
            if entry is not None:  # who gets jobs from now on must not count as lost
                self._attendance.see(name, entry.incarnation)
        self._changed.set()
        self._changed = anyio.Event()

    def _understood(self, name: str, data: bytes) -> Registration | None:
        entry = read_registration(name, data)
        if entry is None:
            text = f"worker {name!r} is of another version of callboard, and is left out"
            self.cluster.say_once(text)
            return None
        return entry


@asynccontextmanager
async def watched(cluster: Cluster) -> AsyncIterator[Fleet]:
    """The workers of the cluster, kept as they are while the context is open.

    Raises:
        ClusterError: The servers don't say which ones there are.
    """
    fleet = Fleet(cluster)
    heartbeats = await cluster.nc.subscribe(f"{_SUBJECT}*", cb=fleet.hear)
    try:
        try:
            await fleet.look()
        except NatsError as error:
            raise refused(error, "to say which workers there are") from error
        async with alongside(fleet.run):
            yield fleet
    finally:
        with suppress(NatsError):
            await heartbeats.unsubscribe()
