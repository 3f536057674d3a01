"""Groups that wait for devices, on a real server."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import anyio
import anyio.lowlevel
import pytest
from attrs import define, evolve, field
from tests.cluster.conftest import LEASE_S
from tests.cluster.server import Server

from callboard.cluster.access import Access
from callboard.cluster.allocation import Allocator, Shortage
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.founding import ensure
from callboard.cluster.records import (
    GroupRecord,
    Lead,
    Need,
    Offer,
    Registration,
    Seat,
    Settings,
    encode,
)
from callboard.cluster.shared_table import KEY, read_table
from callboard.cluster.subjects import GROUPS, LEADERS, PROTOCOL, TABLE
from callboard.reservation import QueueTimeout

PATIENCE_S = 60.0


@define
class Lab:
    """The workers that live, as a test decides."""

    registrations: Sequence[Registration]
    _event: anyio.Event = field(factory=anyio.Event)

    async def changed(self) -> None:
        await self._event.wait()

    def become(self, *registrations: Registration) -> None:
        self.registrations = registrations
        event, self._event = self._event, anyio.Event()
        event.set()


def qemus(count: int, name: str = "a") -> Registration:
    offers = tuple(Offer(f"q{number}", "qemu", "local") for number in range(count))
    return Registration(name, f"{name}-1", "m", PROTOCOL, "0", "host", offers)


def jobs(count: int, kind: str = "qemu") -> tuple[Need, ...]:
    return tuple(Need(number, "role", kind) for number in range(1, count + 1))


def names(seats: Mapping[int, Seat]) -> set[str]:
    return {f"{seat.worker}/{seat.device}" for seat in seats.values()}


@asynccontextmanager
async def allocating(cluster: Cluster, lab: Lab) -> AsyncIterator[Allocator]:
    """An allocator at work; on leaving it has died, and has given nothing back."""
    allocator = Allocator(cluster, lab)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(allocator.run)
        yield allocator
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Cluster]:
    async with connect(Access(server.url), name="other", note=lambda _text: None) as cluster:
        yield cluster


@define
class Waiter:
    """A group that waits: what it was told, and what it got."""

    allocator: Allocator
    group: str
    needs: Sequence[Need]
    limit_s: float | None = None
    told: list[Shortage] = field(factory=list[Shortage])
    seats: Mapping[int, Seat] | None = None
    waits: anyio.Event = field(factory=anyio.Event)

    async def wait(self) -> None:
        self.seats = await self.allocator.seats(self.group, self.needs, self.limit_s, self.hear)

    def hear(self, shortage: Shortage) -> None:
        self.told.append(shortage)
        self.waits.set()


async def get(allocator: Allocator, group: str, needs: Sequence[Need]) -> Mapping[int, Seat]:
    with anyio.fail_after(PATIENCE_S):
        return await allocator.seats(group, needs, None, lambda _shortage: None)


@pytest.mark.asyncio
async def test_a_group_has_devices_until_it_is_released_and_the_next_one_waits_for_them(
    server: Server, cluster: Cluster
) -> None:
    lab = Lab([qemus(2)])
    async with (
        connected(server) as elsewhere,
        allocating(cluster, lab) as first,
        allocating(elsewhere, lab) as second,
    ):
        seats = await get(first, "1", jobs(2))
        assert names(seats) == {"a/q0", "a/q1"}
        waiter = Waiter(second, "2", jobs(1))
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiter.wait)
                await waiter.waits.wait()
                await first.release("1")
        assert waiter.told == [Shortage(frozenset({"a/q0", "a/q1"}), ())]
        assert waiter.seats == {1: Seat("a", "a-1", "q0", "local")}
        assert set((await read_table(cluster)).granted) == {"2"}


@pytest.mark.asyncio
async def test_who_takes_a_group_up_finds_its_seats_or_its_place_in_the_queue(
    cluster: Cluster,
) -> None:
    lab = Lab([qemus(1)])
    async with allocating(cluster, lab) as dies:
        seats = await get(dies, "1", jobs(1))
        for group in ("2", "3"):
            waiter = Waiter(dies, group, jobs(1))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiter.wait)
                await waiter.waits.wait()
                tasks.cancel_scope.cancel()
    async with allocating(cluster, lab) as heir:
        assert await get(heir, "1", jobs(1)) == seats
        third, second = Waiter(heir, "3", jobs(1)), Waiter(heir, "2", jobs(1))
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(third.wait)
                await third.waits.wait()
                tasks.start_soon(second.wait)
                await second.waits.wait()
                await heir.release("1")
                assert "2" in (await read_table(cluster)).granted
                await heir.release("2")
    assert (second.seats, third.seats) == (seats, seats)


@pytest.mark.asyncio
async def test_who_has_waited_for_too_long_is_told_so_and_waits_no_more(cluster: Cluster) -> None:
    lab = Lab([qemus(1)])
    async with allocating(cluster, lab) as allocator:
        await get(allocator, "1", jobs(1))
        with pytest.raises(QueueTimeout, match=r"within 0.1 s \(timeouts.queue\): a/q0$"):
            await Waiter(allocator, "2", jobs(1), 0.1).wait()
        needs = (*jobs(1), *(evolve(each, tags=("usb",)) for each in jobs(2, "bbb")))
        lacking = "the cluster lacks 2 devices of type bbb with the tags usb"
        with pytest.raises(QueueTimeout, match=lacking):
            await Waiter(allocator, "3", needs, 0.1).wait()
        with pytest.raises(QueueTimeout, match="the cluster lacks a device"):
            await Waiter(allocator, "4", jobs(2), 0).wait()
        assert not (await read_table(cluster)).waiting


@pytest.mark.asyncio
async def test_a_group_that_nobody_can_serve_is_told_what_is_missing_and_waits_for_workers(
    cluster: Cluster,
) -> None:
    lab = Lab([])
    async with allocating(cluster, lab) as allocator:
        waiter = Waiter(allocator, "1", (*jobs(1), Need(2, "board", "bbb")))
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiter.wait)
                await waiter.waits.wait()
                waiter.waits = anyio.Event()
                lab.become(qemus(1))
                await waiter.waits.wait()
                board = Registration(
                    "b", "b-1", "m", PROTOCOL, "0", "host", (Offer("bone", "bbb", "command"),)
                )
                lab.become(qemus(1), board)
        told = [[need.role for need in each.lacking] for each in waiter.told]
        assert told[:2] == [["role", "board"], ["board"]]
        assert waiter.seats is not None
        assert names(waiter.seats) == {"a/q0", "b/bone"}


@pytest.mark.asyncio
async def test_who_takes_a_group_up_gets_no_device_of_a_worker_that_was_started_anew(
    cluster: Cluster,
) -> None:
    lab = Lab([qemus(1)])
    async with allocating(cluster, lab) as dies:
        assert (await get(dies, "1", jobs(1)))[1].incarnation == "a-1"
    async with allocating(cluster, lab) as heir:
        lab.become(evolve(qemus(1), draining=True))
        waiter = Waiter(heir, "1", jobs(1))
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiter.wait)
                await waiter.waits.wait()
                lab.become(evolve(qemus(1), incarnation="a-2"))
        assert waiter.seats == {1: Seat("a", "a-2", "q0", "local")}
        await cluster.bucket(GROUPS).put("1", record("running"))
        lab.become(evolve(qemus(1), incarnation="a-3"))  # and whoever comes late takes nothing away
        assert await get(heir, "1", jobs(1)) == waiter.seats


def record(state: Literal["queued", "running", "ended"]) -> bytes:
    return encode(GroupRecord("x", "x.yaml", 1, 1, "2020-01-01", Settings(), state))


@pytest.mark.asyncio
async def test_what_groups_have_that_are_over_goes_to_who_waits(cluster: Cluster) -> None:
    lab = Lab([qemus(4)])
    groups, leaders = cluster.bucket(GROUPS), cluster.bucket(LEADERS)
    async with allocating(cluster, lab) as dies:
        for group in ("runs", "ended", "unknown", "led"):
            await get(dies, group, jobs(1))
        await groups.put("runs", record("running"))
        await groups.put("ended", record("ended"))
        await leaders.put("led", encode(Lead("a", "a-1")))
    async with allocating(cluster, lab) as allocator:
        await groups.put("next", record("queued"))
        seats = await get(allocator, "next", jobs(2))
        assert set((await read_table(cluster)).granted) == {"runs", "led", "next"}
    assert names(seats) == {"a/q1", "a/q2"}


@pytest.mark.asyncio
async def test_fifty_leaders_at_once_all_get_devices_and_no_device_is_had_twice(
    server: Server, cluster: Cluster
) -> None:
    lab = Lab([qemus(8), qemus(8, "b")])
    held: set[str] = set()
    served: list[str] = []

    async def lead(allocator: Allocator, group: str, size: int) -> None:
        await cluster.bucket(GROUPS).put(group, record("queued"))
        seats = await get(allocator, group, jobs(size))
        assert len(names(seats)) == size
        assert not names(seats) & held
        held.update(names(seats))
        await anyio.lowlevel.checkpoint()  # the others have a turn
        held.difference_update(names(seats))
        await allocator.release(group)
        served.append(group)

    async def work(number: int) -> None:
        async with (
            connected(server) as own,
            allocating(own, lab) as allocator,
            anyio.create_task_group() as tasks,
        ):
            for each in range(5):
                tasks.start_soon(lead, allocator, f"{number}-{each}", 1 + (number + each) % 7)

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(work, number)
    assert len(served) == 50
    table = await read_table(cluster)
    assert (table.granted, table.waiting) == ({}, ())


@pytest.mark.asyncio
async def test_who_waits_goes_on_waiting_while_the_server_is_away(own_server: Server) -> None:
    lab = Lab([qemus(1)])
    async with connected(own_server) as first:
        await ensure(first.js, LEASE_S)
    async with (
        connected(own_server) as here,
        connected(own_server) as there,
        allocating(here, lab) as holder,
        allocating(there, lab) as allocator,
    ):
        await get(holder, "1", jobs(1))
        waiter = Waiter(allocator, "2", jobs(1))
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(waiter.wait)
                await waiter.waits.wait()
                await anyio.to_thread.run_sync(own_server.kill)
                tasks.start_soon(holder.release, "1")
                await anyio.to_thread.run_sync(own_server.start)
        assert waiter.seats is not None


@pytest.fixture
def narrow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("narrow")
    with Server(folder, extra="max_payload: 4096") as running:
        yield running


@pytest.mark.asyncio
async def test_a_table_that_would_be_too_large_takes_nobody_in_and_still_lets_go(
    narrow_server: Server,
) -> None:
    async with connected(narrow_server) as cluster:
        await ensure(cluster.js, LEASE_S)
        async with allocating(cluster, Lab([qemus(8)])) as allocator:
            await get(allocator, "1", jobs(8))
            with pytest.raises(ClusterError, match="the table of devices would have") as refused:
                await get(allocator, "2", [Need(n, f"role-{n}", "qemu") for n in range(100)])
            assert refused.value.code == "CB275"
            await allocator.release("1")
            assert not (await read_table(cluster)).granted


@pytest.mark.asyncio
async def test_a_large_table_is_kept_compressed(cluster: Cluster) -> None:
    async with allocating(cluster, Lab([qemus(1000)])) as allocator:
        seats = await get(allocator, "1", jobs(1000))
    data = (await cluster.bucket(TABLE).get(KEY)).value
    assert data is not None
    assert len(data) < 40_000
    assert (await read_table(cluster)).granted == {"1": seats}


@pytest.mark.asyncio
async def test_a_table_that_nobody_understands_is_said_to_be_one_of_another_version(
    cluster: Cluster,
) -> None:
    for data in (b"{}x", b"zip", b'{"other": 1}'):
        await cluster.bucket(TABLE).put(KEY, data)
        with pytest.raises(ClusterError) as refused:
            await read_table(cluster)
        assert refused.value.code == "CB271"
