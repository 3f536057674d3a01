"""Workers' entries, and who sees them come and go."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from attrs import evolve
from tests.cluster.conftest import LEASE_S
from tests.cluster.server import Server

from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.fleet import Fleet, watched
from callboard.cluster.presence import only_one, present
from callboard.cluster.records import Offer, Registration, encode

BENCH = Registration("bench", "1", "machine-1", subjects.PROTOCOL, "0.1.0", "host-1")


def _unwatched(line: str) -> None:
    raise AssertionError(line)


async def _until(fleet: Fleet, holds: Callable[[], bool], limit_s: float = 10.0) -> None:
    with anyio.fail_after(limit_s):
        while not holds():
            await fleet.changed()


def _patient(cluster: Cluster) -> Cluster:
    """One who looks so seldom that only what it hears can tell it anything in a test."""
    cluster.lease_s = 600.0
    return cluster


@asynccontextmanager
async def _second(cluster: Cluster) -> AsyncIterator[Cluster]:
    async with connect(cluster.access, name="second", note=print) as other:
        yield other


@pytest.mark.asyncio
async def test_a_worker_is_seen_as_soon_as_it_comes_and_as_it_goes(cluster: Cluster) -> None:
    async with _second(cluster) as other, watched(_patient(other)) as fleet:
        assert not fleet.registrations
        async with present(cluster, BENCH, _unwatched):
            await _until(fleet, lambda: fleet.registrations == (BENCH,))
            assert fleet.get("bench") == BENCH
        await _until(fleet, lambda: not fleet.registrations)


@pytest.mark.asyncio
async def test_what_a_worker_says_of_itself_changes(cluster: Cluster) -> None:
    async with (
        _second(cluster) as other,
        watched(_patient(other)) as fleet,
        present(cluster, BENCH, _unwatched) as presence,
    ):
        await _until(fleet, lambda: bool(fleet.registrations))
        offers = (Offer("rack-1", "qemu", "local"),)
        presence.update(lambda entry: evolve(entry, offers=offers, leading=3))
        await _until(fleet, lambda: fleet.registrations[0].leading == 3)
        assert fleet.registrations[0].offers == offers


@pytest.mark.asyncio
async def test_a_worker_stays_for_longer_than_a_lease(cluster: Cluster) -> None:
    async with watched(cluster) as fleet, present(cluster, BENCH, _unwatched):
        await _until(fleet, lambda: bool(fleet.registrations))
        with anyio.move_on_after(LEASE_S * 2.5):
            await fleet.changed()
            raise AssertionError(fleet.registrations)
        assert not fleet.lost("bench", "1")


@pytest.mark.asyncio
async def test_a_worker_that_dies_is_gone_and_then_lost(cluster: Cluster) -> None:
    await cluster.bucket(subjects.WORKERS).put("bench", encode(BENCH))  # and never again
    async with watched(cluster) as fleet:
        assert fleet.registrations == (BENCH,)
        began_s = anyio.current_time()
        await _until(fleet, lambda: not fleet.registrations)
        assert not fleet.lost("bench", "1")
        with anyio.fail_after(10):
            await fleet.wait_lost("bench", "1")
        assert 2 * LEASE_S - 0.5 <= anyio.current_time() - began_s <= 3 * LEASE_S


@pytest.mark.asyncio
async def test_an_entry_of_another_version_is_left_out_and_said_once(own_server: Server) -> None:
    said: list[str] = []
    async with connect(Access(own_server.url), name="test", note=said.append) as cluster:
        bucket = cluster.bucket(subjects.WORKERS)
        await bucket.put("newer", encode(evolve(BENCH, name="newer", protocol=2)))
        await bucket.put("junk", b'{"name": ')
        async with watched(cluster) as fleet:
            await fleet.look()
            assert not fleet.registrations
    assert said == [
        "worker 'newer' is of another version of callboard, and is left out",
        "worker 'junk' is of another version of callboard, and is left out",
    ] or said == [
        "worker 'junk' is of another version of callboard, and is left out",
        "worker 'newer' is of another version of callboard, and is left out",
    ]


@pytest.mark.asyncio
async def test_a_second_worker_of_a_name_is_refused_when_the_first_has_shown_that_it_lives(
    cluster: Cluster,
) -> None:
    said: list[str] = []
    other = evolve(BENCH, incarnation="2", machine="machine-2", host="host-2")
    async with present(cluster, BENCH, _unwatched), _second(cluster) as second:
        with pytest.raises(ClusterError) as refused, anyio.fail_after(LEASE_S):
            async with present(second, other, said.append):
                raise AssertionError
    assert refused.value.code == "CB273"
    assert refused.value.text == "another worker is called bench, and lives on host-1"
    assert said == ["there is a worker bench on host-1; waiting to see whether it lives"]


@pytest.mark.asyncio
async def test_the_name_of_a_dead_worker_is_free_when_its_entry_has_expired(
    cluster: Cluster,
) -> None:
    await cluster.bucket(subjects.WORKERS).put("bench", encode(BENCH))
    said: list[str] = []
    other = evolve(BENCH, incarnation="2", machine="machine-2")
    with anyio.fail_after(2 * LEASE_S):
        async with present(cluster, other, said.append):
            pass
    assert len(said) == 1


@pytest.mark.asyncio
async def test_a_worker_takes_the_entry_of_its_dead_predecessor_at_once(cluster: Cluster) -> None:
    await cluster.bucket(subjects.WORKERS).put("bench", encode(BENCH))
    other = evolve(BENCH, incarnation="2")
    async with watched(cluster) as fleet, present(cluster, other, _unwatched):
        await _until(fleet, lambda: fleet.registrations == (other,))


@pytest.mark.asyncio
async def test_a_worker_whose_name_was_taken_while_it_was_cut_off_learns_it(
    cluster: Cluster,
) -> None:
    with pytest.raises(ClusterError, match="has taken the name bench") as refused:
        async with present(cluster, BENCH, _unwatched):
            other = evolve(BENCH, incarnation="2", machine="machine-2")
            await cluster.bucket(subjects.WORKERS).put("bench", encode(other))
            with anyio.fail_after(LEASE_S):
                await anyio.sleep_forever()
    assert refused.value.code == "CB273"
    kept = await cluster.bucket(subjects.WORKERS).get("bench")
    assert kept.value == encode(other)


@pytest.mark.asyncio
async def test_workers_are_there_again_after_the_servers_were_away_for_long(
    own_server: Server,
) -> None:
    lost = False
    async with (
        connect(Access(own_server.url), name="test", note=print) as cluster,
        watched(cluster) as fleet,
    ):
        cluster.lease_s = LEASE_S  # the bucket's is longer, so that only we can be impatient
        async with present(cluster, BENCH, _unwatched):
            await _until(fleet, lambda: bool(fleet.registrations))
            away = anyio.Event()
            cluster.listen(lambda there: None if there else away.set())
            own_server.kill()
            await away.wait()
            with anyio.move_on_after(2 * LEASE_S):
                await fleet.wait_lost("bench", "1")
                lost = True
            own_server.start()
            await cluster.wait_connected()
            await fleet.look()
            assert fleet.registrations == (BENCH,)
            assert not fleet.lost("bench", "1")
    assert not lost


def test_one_machine_has_one_worker_of_a_name(own_state: Path) -> None:
    assert own_state.is_dir()
    with only_one("bench") as machine, only_one("other") as other:
        assert machine != other
        with pytest.raises(ClusterError, match="called bench runs on this machine") as refused:
            only_one("bench").__enter__()
        assert refused.value.code == "CB273"
    with only_one("bench") as again:
        assert again == machine
