"""The table of who has which device, as all processes of a cluster share it.

Whoever leads a group may change it: by compare-and-set, with what `cluster.table` makes of it and
of the workers that live. Every change grants what can be granted after it, so that nobody is needed
who decides, and nothing is lost with a process that dies.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
from attrs import define
from nats.errors import Error as NatsError
from nats.js.errors import APIError, KeyNotFoundError

from callboard.cluster.bucket import change
from callboard.cluster.connection import Cluster
from callboard.cluster.errors import ClusterError
from callboard.cluster.log import is_full
from callboard.cluster.records import Registration, Table, decode, encode
from callboard.cluster.refusals import refused
from callboard.cluster.subjects import TABLE
from callboard.cluster.table import advance

KEY = "table"
"""The key of the table in its bucket."""

_SHARE = 0.75
"""How full groups may make the table by entering; the seats that they get are to have room, too."""

_PAUSE_S = 0.5

Alter = Callable[[Table], Table]
"""Makes a table of another. It may be called several times, and must bear to see its own change."""


class Workers(Protocol):
    """Who lives; see `cluster.fleet`."""

    @property
    def registrations(self) -> Sequence[Registration]:
        """Those who live now."""

    async def changed(self) -> None:
        """Return when that has changed."""


async def read_table(cluster: Cluster) -> Table:
    """Who has which device now; raises ClusterError and nats.errors.Error."""
    try:
        entry = await cluster.bucket(TABLE).get(KEY)
    except KeyNotFoundError:
        return Table()
    return _decoded(entry.value)


@define(eq=False)
class _Request:
    """A change that somebody waits for.

    Attributes:
        alter: What is wanted.
        entering: Whether it may be refused for want of room.
        done: Whether it was made, or refused.
        error: Why it was refused.
    """

    alter: Alter
    entering: bool
    done: bool = False
    error: ClusterError | None = None


class SharedTable:
    """The table; `follow` it in a task."""

    def __init__(self, cluster: Cluster, fleet: Workers) -> None:
        """Prepare it.

        Args:
            cluster: Where it is.
            fleet: Knows which workers live.
        """
        self._cluster = cluster
        self._fleet = fleet
        self._bucket = cluster.bucket(TABLE)
        self._data: bytes | None = None
        self._read: bytes | None = None
        self._table = Table()
        self._changed = anyio.Event()
        self._changing = anyio.Lock()
        self._requests: list[_Request] = []

    @property
    def now(self) -> Table:
        """The table, as far as this process has heard; raises ClusterError."""
        if self._read is not self._data:  # it is large, and not everybody wants to know
            self._table, self._read = _decoded(self._data), self._data
        return self._table

    @property
    def changed(self) -> anyio.Event:
        """Set when it is another than now, or when `wake` was called."""
        return self._changed

    def wake(self) -> None:
        """Let all who wait look again."""
        self._changed.set()
        self._changed = anyio.Event()

    async def change(self, alter: Alter, *, entering: bool = False) -> None:
        """Change the table and grant what can be granted, as soon as the servers can be reached.

        What tasks of this process want at the same time is done at once, so that they don't clash.

        Args:
            alter: What is to be changed.
            entering: Whether it can be refused. Who gives something back must always be able to,
                and tries again until there is room.

        Raises:
            ClusterError: There is no room; or the table is of another version.
        """
        request = _Request(alter, entering)
        self._requests.append(request)
        try:
            while not request.done:
                await self._cluster.wait_connected()
                async with self._changing:
                    await self._attempt()
        finally:
            self._requests.remove(request)
        if request.error is not None:
            raise request.error

    async def follow(self) -> None:
        """See the table whenever it changes. A watch does not outlive its connection."""
        while True:
            await self._cluster.wait_connected()
            with anyio.CancelScope() as scope:
                forget = self._cluster.listen(lambda _there: scope.cancel())
                try:
                    await self._watch()
                except (NatsError, TimeoutError):
                    await anyio.sleep(_PAUSE_S)
                finally:
                    forget()

    async def _attempt(self) -> None:
        """Change the table as everybody wants it who waits for that; or pause."""
        refusals: dict[_Request, ClusterError] = {}
        wanted = [each for each in self._requests if not each.done]
        if not wanted:
            return  # somebody else has done it

        def make(old: bytes | None) -> bytes | None:
            refusals.clear()
            before = _decoded(old)
            settled, data = self._settled(before, wanted)
            if len(data) > self._limit and any(each.entering for each in wanted):
                refusals.update(self._crowded(before, wanted))
                settled, data = self._settled(
                    before, [each for each in wanted if each not in refusals]
                )
            return None if settled == before else data

        try:
            self._see(await change(self._bucket, KEY, make))
        except APIError as error:
            if is_full(error):
                for each in wanted:
                    if each.entering:
                        each.error = refused(error, "the table of devices")
                        each.done = True
            await anyio.sleep(_PAUSE_S)
        except (NatsError, TimeoutError):
            await anyio.sleep(_PAUSE_S)
        else:
            for each in wanted:
                each.error = refusals.get(each)
                each.done = True

    @property
    def _limit(self) -> float:
        return self._cluster.limit_bytes * _SHARE

    def _settled(self, table: Table, requests: Sequence[_Request]) -> tuple[Table, bytes]:
        """The table as all want it, with new grants as long as there is room for these."""
        for each in requests:
            table = each.alter(table)
        settled = advance(table, self._fleet.registrations)
        data = encode(settled)
        if len(data) <= self._cluster.limit_bytes:
            return settled, data
        return table, encode(table)

    def _crowded(self, table: Table, requests: Sequence[_Request]) -> dict[_Request, ClusterError]:
        """Those who can't enter any more."""
        found: dict[_Request, ClusterError] = {}
        for each in requests:
            altered = each.alter(table)
            if each.entering and altered != table and len(data := encode(altered)) > self._limit:
                found[each] = self._too_large(len(data))
            else:
                table = altered
        return found

    def _too_large(self, size: int) -> ClusterError:
        text = f"the table of devices would have {size:,} bytes, with all groups that wait"
        limit = self._cluster.limit_bytes
        cure = (
            f"raise `max_payload` ({limit:,}) in the server's configuration, wait until less "
            "groups wait, or make a cluster of its own of a part of the lab"
        )
        return ClusterError("CB275", text, cure)

    def _see(self, data: bytes | None) -> None:
        if data != self._data:
            self._data = data
            self.wake()

    async def _watch(self) -> None:
        watcher = await self._bucket.watch(KEY)
        try:
            while True:
                with anyio.move_on_after(self._cluster.lease_s) as patience:
                    entry = await anext(watcher)
                    if entry is not None:
                        self._see(entry.value or None)
                if patience.cancelled_caught and await self._has_missed():
                    return
        finally:
            with anyio.move_on_after(_PAUSE_S, shield=True):
                await watcher.stop()  # type: ignore[no-untyped-call] # the library has no types there

    async def _has_missed(self) -> bool:
        """Whether the watch has slept through a change."""
        try:
            data = (await self._bucket.get(KEY)).value or None
        except KeyNotFoundError:
            data = None
        missed = data != self._data
        self._see(data)
        return missed


def _decoded(data: bytes | None) -> Table:
    return decode(data, Table) if data else Table()
