"""Leases on a real server: who has one, and who knows that."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from nats.js.errors import KeyNotFoundError
from tests.cluster.conftest import LEASE_S
from tests.cluster.server import Server

from callboard.cluster.access import Access
from callboard.cluster.bucket import NEXT_JOB, change, take_job_ids
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.founding import ensure
from callboard.cluster.lease import Lease, LeaseTaken, elapsed_s
from callboard.cluster.stores import stream_of
from callboard.cluster.subjects import LEADERS, TABLE

# Entries may outlive their time by what the server takes to look, and by what a busy machine adds.
SLACK_S = 15.0


def lease(cluster: Cluster, value: bytes, *, regains: bool = False) -> Lease:
    return Lease(cluster.bucket(LEADERS), "group", value, cluster.lease_s, regains=regains)


async def stands(cluster: Cluster) -> bytes | None:
    try:
        return (await cluster.bucket(LEADERS).get("group")).value
    except KeyNotFoundError:
        return None


async def take_when_free(wanted: Lease) -> None:
    with anyio.fail_after(LEASE_S + SLACK_S):
        while True:
            try:
                return await wanted.take()
            except LeaseTaken:
                await anyio.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(LEASE_S + SLACK_S):
        while not condition():  # noqa: ASYNC110 - time makes it true, and time tells nobody
            await anyio.sleep(0.01)


@asynccontextmanager
async def kept(held: Lease) -> AsyncIterator[anyio.CancelScope]:
    """Refresh a lease; cancelling the scope is what `kill -9` does to a holder."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(held.keep)
        yield tasks.cancel_scope
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Cluster]:
    async with connect(Access(server.url), name="other", note=lambda _text: None) as cluster:
        yield cluster


@pytest.mark.asyncio
async def test_a_lease_that_was_given_back_is_soon_not_listed_any_more(own_server: Server) -> None:
    async with connected(own_server) as cluster:
        assert cluster.lease_s > LEASE_S
        held = lease(cluster, b"a")
        await held.take()
        await held.give_back()
        with anyio.fail_after(cluster.lease_s / 2):
            while (await cluster.js.stream_info(stream_of(LEADERS))).state.messages:  # noqa: ASYNC110
                await anyio.sleep(0.05)


@pytest.mark.asyncio
async def test_of_two_takers_one_has_it_and_the_other_learns_who(cluster: Cluster) -> None:
    takers = [lease(cluster, b"a"), lease(cluster, b"b")]
    refused: list[LeaseTaken] = []

    async def take(taker: Lease) -> None:
        try:
            await taker.take()
        except LeaseTaken as error:
            refused.append(error)

    async with anyio.create_task_group() as tasks:
        for each in takers:
            tasks.start_soon(take, each)
    assert sorted(each.held for each in takers) == [False, True]
    assert [each.holder for each in refused] == [await stands(cluster)]


@pytest.mark.asyncio
async def test_it_is_held_for_longer_than_its_time_while_it_is_kept(cluster: Cluster) -> None:
    held = lease(cluster, b"a")
    await held.take()
    async with kept(held):
        with anyio.move_on_after(1.5 * LEASE_S):
            await held.lost.wait()
        assert held.held
        assert await stands(cluster) == b"a"


@pytest.mark.asyncio
async def test_when_its_holder_dies_another_one_gets_it_but_not_before_its_time(
    cluster: Cluster,
) -> None:
    dead, next_one = lease(cluster, b"dead"), lease(cluster, b"next")
    began_s = elapsed_s()
    await dead.take()
    await take_when_free(next_one)
    assert elapsed_s() - began_s >= LEASE_S
    assert not dead.held
    assert next_one.held


@pytest.mark.asyncio
async def test_given_back_it_is_free_at_once(cluster: Cluster) -> None:
    first, second = lease(cluster, b"a"), lease(cluster, b"b")
    await first.take()
    async with kept(first):
        await first.give_back()
    assert first.lost.is_set()
    await second.take()
    await first.give_back()  # a second time, and for nothing
    assert await stands(cluster) == b"b"


@pytest.mark.asyncio
async def test_what_is_updated_stands_there_at_once(cluster: Cluster) -> None:
    held = lease(cluster, b"a")
    await held.take()
    watcher = await cluster.bucket(LEADERS).watch("group")
    async with kept(held):
        held.update(b"a, draining")
        with anyio.fail_after(SLACK_S):
            while (entry := await anext(watcher)) is None or entry.value != b"a, draining":
                pass
    assert held.held
    await watcher.stop()  # type: ignore[no-untyped-call] # the library has no types there


@pytest.mark.asyncio
async def test_the_entry_of_one_who_is_known_to_be_dead_can_be_replaced(cluster: Cluster) -> None:
    dead, heir, late = (lease(cluster, each) for each in (b"dead", b"heir", b"late"))
    await dead.take()
    with pytest.raises(LeaseTaken) as refused:
        await heir.take()
    await heir.take(replacing=refused.value.revision)
    assert await stands(cluster) == b"heir"
    with pytest.raises(LeaseTaken):
        await late.take(replacing=refused.value.revision)
    with anyio.fail_after(SLACK_S):
        await dead.keep()  # it finds that out when it refreshes
    assert dead.lost.is_set()


@pytest.mark.asyncio
async def test_one_whose_answer_was_lost_knows_its_own_entry(cluster: Cluster) -> None:
    held = lease(cluster, b"a")
    await cluster.bucket(LEADERS).create("group", b"a")  # as if it had been itself
    await held.take()
    assert held.held
    await cluster.bucket(LEADERS).put("group", b"a")
    async with kept(held):
        held.update(b"a")
        with anyio.move_on_after(LEASE_S):
            await held.lost.wait()
        assert held.held
    await cluster.bucket(LEADERS).put("group", b"a")
    await held.give_back()
    assert await stands(cluster) is None


@pytest.mark.asyncio
async def test_an_entry_that_is_gone_is_lost_unless_it_is_to_be_regained(cluster: Cluster) -> None:
    for regains in (False, True):
        held = lease(cluster, b"a", regains=regains)
        await held.take()
        await cluster.bucket(LEADERS).delete("group")
        async with kept(held):
            with anyio.move_on_after(1.5 * LEASE_S):
                await held.lost.wait()
            assert held.lost.is_set() != regains
            assert held.held == regains
        await held.give_back()


@pytest.mark.asyncio
async def test_without_servers_it_is_lost_after_its_time_or_waits_to_be_regained(
    own_server: Server,
) -> None:
    async with connected(own_server) as first:
        await ensure(first.js, LEASE_S)
    async with connected(own_server) as cluster:
        bucket = cluster.bucket(LEADERS)
        strict = Lease(bucket, "strict", b"a", LEASE_S)
        patient = Lease(bucket, "patient", b"a", LEASE_S, regains=True)
        robbed = Lease(bucket, "robbed", b"a", LEASE_S, regains=True)
        for each in (strict, patient, robbed):
            await each.take()
        async with kept(strict), kept(patient), kept(robbed):
            began_s = elapsed_s()
            await anyio.to_thread.run_sync(own_server.kill)
            with anyio.fail_after(LEASE_S + 1):
                await strict.lost.wait()
            assert elapsed_s() - began_s >= LEASE_S / 2
            await until(lambda: not patient.held)
            assert not patient.lost.is_set()
            await anyio.to_thread.run_sync(own_server.start)
            async with connected(own_server) as other:
                thief = Lease(other.bucket(LEADERS), "robbed", b"thief", LEASE_S)
                with anyio.fail_after(SLACK_S):
                    while not thief.held and not robbed.held:
                        try:
                            await thief.take()
                        except LeaseTaken:
                            await anyio.sleep(0.01)
                    await until(lambda: patient.held)
                assert thief.held != robbed.held  # whoever was first: never both


HOLDER = """
import sys
import anyio
from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.lease import Lease
from callboard.cluster.subjects import LEADERS

async def main():
    async with connect(Access(sys.argv[1]), name="holder", note=lambda text: None) as cluster:
        held = Lease(cluster.bucket(LEADERS), "group", b"holder", cluster.lease_s)
        await held.take()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(held.keep)
            print("held", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.readline)
            print("held" if held.held else "not held", flush=True)
            await held.lost.wait()
            print("lost", flush=True)

anyio.run(main)
"""


@pytest.mark.asyncio
async def test_a_holder_that_stood_still_knows_that_as_soon_as_it_runs_again(
    server: Server, cluster: Cluster
) -> None:
    async with await anyio.open_process([sys.executable, "-c", HOLDER, server.url]) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        with anyio.fail_after(4 * SLACK_S):
            lines = BufferedByteReceiveStream(holder.stdout)
            assert await lines.receive_until(b"\n", 80) == b"held"
            os.kill(holder.pid, signal.SIGSTOP)
            next_one = lease(cluster, b"next")
            await take_when_free(next_one)
            await holder.stdin.send(b"act\n")
            os.kill(holder.pid, signal.SIGCONT)
            assert await lines.receive_until(b"\n", 80) == b"not held"
            assert await lines.receive_until(b"\n", 80) == b"lost"
        assert await holder.wait() == 0


@pytest.mark.asyncio
async def test_no_two_groups_get_the_same_job_ids(server: Server, cluster: Cluster) -> None:
    taken: list[range] = []

    async def take(count: int) -> None:
        async with connected(server) as own:
            taken.append(await take_job_ids(own.bucket(TABLE), count))

    async with anyio.create_task_group() as tasks:
        for count in range(1, 13):
            tasks.start_soon(take, count)
    assert sorted(number for ids in taken for number in ids) == list(range(1, 79))
    assert (await cluster.bucket(TABLE).get(NEXT_JOB)).value == b"79"


@pytest.mark.asyncio
async def test_an_entry_that_needs_no_change_is_left_alone(cluster: Cluster) -> None:
    bucket = cluster.bucket(TABLE)
    assert await change(bucket, "x", lambda old: old) is None
    assert await change(bucket, "x", lambda _old: b"1") == b"1"
    revision = (await bucket.get("x")).revision
    assert await change(bucket, "x", lambda _old: None) == b"1"
    assert (await bucket.get("x")).revision == revision
