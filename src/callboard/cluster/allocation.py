"""The wait of a group for its devices."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce

import anyio
from attrs import frozen
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from callboard.cluster.connection import Cluster
from callboard.cluster.errors import ClusterError
from callboard.cluster.records import GroupRecord, Need, Registration, Seat, Table, decode
from callboard.cluster.shared_table import SharedTable, Workers
from callboard.cluster.subjects import GROUPS, LEADERS
from callboard.cluster.table import (
    advance,
    busy,
    describe,
    enter,
    hopeless,
    leave,
    requeue,
    stands,
)
from callboard.reservation import QueueTimeout

_SPREAD_S = 0.1


@frozen
class Shortage:
    """Why a group has no devices yet.

    Attributes:
        busy: Devices that could serve it and that other groups have, each as `worker/device`.
        lacking: What no worker of the fleet can serve, whoever has devices.
    """

    busy: frozenset[str]
    lacking: tuple[Need, ...]


class Allocator:
    """Devices for the groups that this process leads; `run` it in a task, one a process."""

    def __init__(self, cluster: Cluster, fleet: Workers) -> None:
        """Prepare it.

        Args:
            cluster: Where the table of who has which device is.
            fleet: Knows which workers live.
        """
        self._cluster = cluster
        self._fleet = fleet
        self._table = SharedTable(cluster, fleet)
        self._waiting = 0
        self._offers = _offers(fleet.registrations)

    async def run(self) -> None:
        """Follow the table and the fleet, for those who wait."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._table.follow)
            tasks.start_soon(self._follow_fleet)
            tasks.start_soon(self._tend)

    async def seats(
        self,
        group: str,
        needs: Sequence[Need],
        limit_s: float | None,
        waiting: Callable[[Shortage], None],
    ) -> Mapping[int, Seat]:
        """The seats of a group, as soon as it can have all of them.

        Whoever takes up the group asks again, and finds it in its place in the queue, or its seats
        granted. They stay granted until `release`, whatever becomes of this process; but where a
        worker was started anew before the group began to run, it is first in the queue again.

        Args:
            group: Its id.
            needs: What its jobs need.
            limit_s: How long to wait, in seconds; None waits as long as it takes.
            waiting: Called if there is a wait, and again when what nobody can serve has changed.

        Returns:
            The seat of each job id.

        Raises:
            QueueTimeout: The limit has passed; the group waits no more.
            ClusterError: The table has no room for it, or is of another version.
        """
        deadline_s = float("inf") if limit_s is None else anyio.current_time() + limit_s
        told: tuple[Need, ...] | None = None
        lacking: tuple[Need, ...] = ()
        offers: _Offers | None = None
        with self._interest():
            await self._enter(group, needs)
            while True:
                seats = self._table.now.granted.get(group)
                if seats is not None:
                    if stands(seats.values(), self._fleet.registrations):
                        return seats
                    if not await self._is_queued(group):
                        return seats  # another leads it, and it runs there
                    await self._table.change(lambda table: requeue(table, group, needs))
                    continue
                if offers is not self._offers:  # nothing else changes what is lacking
                    offers, lacking = self._offers, hopeless(needs, self._fleet.registrations)
                if lacking != told:
                    waiting(self._shortage(needs, lacking))
                    told = lacking
                changed = self._table.changed
                with anyio.move_on_at(deadline_s) as limit:
                    await changed.wait()
                if limit.cancelled_caught:
                    await self._give_up(group)
                    if group not in self._table.now.granted:
                        raise QueueTimeout(_late(limit_s, self._shortage(needs, lacking)))
                elif not _knows(self._table.now, group):
                    await self._enter(group, needs)

    async def release(self, group: str) -> None:
        """Give back what the group has; it has ended."""
        await self._table.change(lambda table: leave(table, group))

    async def reap(self) -> None:
        """Drop groups that have ended, or that nobody knows any more, with all that they have.

        Such are left when who led a group was ended between its end and `release`. Raises
        ClusterError and nats.errors.Error.
        """
        known = (*self._table.now.granted, *(each.group for each in self._table.now.waiting))
        over = [group for group in known if await self._is_over(group)]
        if over:
            await self._table.change(lambda table: reduce(leave, over, table))

    @contextmanager
    def _interest(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _shortage(self, needs: Sequence[Need], lacking: tuple[Need, ...]) -> Shortage:
        return Shortage(busy(needs, self._table.now, self._fleet.registrations), lacking)

    async def _enter(self, group: str, needs: Sequence[Need]) -> None:
        await self._table.change(lambda table: enter(table, group, needs), entering=True)

    async def _give_up(self, group: str) -> None:
        """Leave the queue, unless the devices have come at the last moment."""

        def alter(table: Table) -> Table:
            return table if group in table.granted else leave(table, group)

        await self._table.change(alter)

    async def _follow_fleet(self) -> None:
        while True:
            offers = _offers(self._fleet.registrations)
            if offers != self._offers:
                self._offers = offers
                self._table.wake()
            await self._fleet.changed()

    async def _tend(self) -> None:
        """Grant what workers that have come can serve, and drop groups that are over.

        Whoever changes the table grants what he can, so that nobody need look then.
        """
        offers, looked_s = self._offers, anyio.current_time()
        while True:
            changed = self._table.changed
            with anyio.move_on_after(self._cluster.lease_s):
                await changed.wait()
            late = anyio.current_time() >= looked_s + self._cluster.lease_s
            if not self._waiting or (offers is self._offers and not late):
                continue
            offers = self._offers
            await anyio.sleep(random.uniform(0, _SPREAD_S))  # everybody sees it now
            if late:
                looked_s = anyio.current_time()
            try:
                if advance(self._table.now, self._fleet.registrations) is not self._table.now:
                    await self._table.change(lambda table: table)
                if late:
                    await self.reap()
            except ClusterError as error:  # an entry of another version; who waits hears of it, too
                self._cluster.say_once(error.text)
            except (NatsError, TimeoutError):
                pass  # they may answer the next time

    async def _is_queued(self, group: str) -> bool:
        """Whether a group has not begun to run, as far as the servers know."""
        while True:
            try:
                record = await _value(self._cluster.bucket(GROUPS), group)
            except (NatsError, TimeoutError):
                await anyio.sleep(_SPREAD_S)
                await self._cluster.wait_connected()
            else:
                return record is None or decode(record, GroupRecord).state == "queued"

    async def _is_over(self, group: str) -> bool:
        record = await _value(self._cluster.bucket(GROUPS), group)
        if record is None:
            return await _value(self._cluster.bucket(LEADERS), group) is None
        try:
            return decode(record, GroupRecord).state == "ended"
        except ClusterError:
            return False  # another version's: not ours to judge


_Offers = tuple[object, ...]


def _offers(fleet: Sequence[Registration]) -> _Offers:
    """All of what workers say that decides over who gets what."""
    return tuple((each.name, each.incarnation, each.draining, each.offers) for each in fleet)


def _knows(table: Table, group: str) -> bool:
    return group in table.granted or any(each.group == group for each in table.waiting)


def _late(limit_s: float | None, shortage: Shortage) -> str:
    text = f"no free devices within {limit_s:g} s (timeouts.queue)"
    if shortage.lacking:
        return f"{text}; the cluster lacks {describe(shortage.lacking)}"
    if shortage.busy:
        return f"{text}: {', '.join(sorted(shortage.busy))}"
    return f"{text}: groups that came before wait for them, too"


async def _value(bucket: KeyValue, key: str) -> bytes | None:
    try:
        return (await bucket.get(key)).value or None
    except KeyNotFoundError:
        return None
