"""Groups are submitted, found, followed and cancelled by clients that may die."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.cluster.leaders import alter, cancelled, events_of, lead, write
from tests.cluster.server import Server

from callboard.cluster import bundles, subjects
from callboard.cluster.access import Access
from callboard.cluster.bundle import restore
from callboard.cluster.client import Client
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError, Left, NeverRan
from callboard.cluster.following import Following, follow
from callboard.cluster.founding import ensure
from callboard.cluster.hearing import LEADERS
from callboard.cluster.lookout import Lookout
from callboard.cluster.presence import present
from callboard.cluster.records import (
    GroupRecord,
    Need,
    Offer,
    Registration,
    Seat,
    Settings,
    Table,
    Waiting,
    encode,
)
from callboard.definition import Definition, read_text
from callboard.events import Event, JobEnded, RunEnded, read_log

pytestmark = pytest.mark.asyncio

PAIR = """\
job_name: {name}
visibility: public
timeouts: {{job: {{minutes: 5}}}}
protocols:
  lava-multinode:
    roles:
      left: {{device_type: qemu, count: 1}}
      right: {{device_type: qemu, count: 2}}
actions:
- deploy: {{role: [left, right], to: tmpfs}}
- boot: {{role: [left, right], method: qemu, prompts: ['#']}}
"""


def pair(name: str = "pair") -> Definition:
    found, problems = read_text(PAIR.format(name=name), "pair.yaml")
    assert found is not None, problems
    return found


def quiet(_text: str) -> None:
    """Say nothing."""


def worker(name: str, offers: int = 0, *, leads: bool = True) -> Registration:
    devices = tuple(Offer(f"local-{number}", None, "local") for number in range(1, offers + 1))
    return Registration(name, "i", "m", subjects.PROTOCOL, "1", "host", devices, leads)


async def register(cluster: Cluster, registration: Registration) -> None:
    await cluster.bucket(subjects.WORKERS).put(registration.name, encode(registration))


async def test_a_submitted_group_waits_with_all_that_a_leader_needs(
    cluster: Cluster, tmp_path: Path
) -> None:
    client = Client(cluster)
    settings = Settings(fail_fast=False, deadlock_grace_s=3.0)
    first = await client.submit(pair(), settings)
    second = await client.submit(pair("other"), settings, first_id=40)
    third = await client.submit(pair("third"), settings)
    assert [first.first_id, second.first_id, third.first_id] == [1, 40, 4]
    record = await client.record(first.id)
    assert (record.name, record.file, record.nodes) == ("pair", "pair.yaml", 3)
    assert (record.state, record.cancel, record.status) == ("queued", None, None)
    assert record.settings == settings
    there = restore(await bundles.get(cluster, first.id), tmp_path / "there")
    assert there == pair()
    assert set(await client.groups()) == {first.id, second.id, third.id}


async def test_a_bundle_of_many_messages_arrives_whole_and_can_be_removed(cluster: Cluster) -> None:
    data = os.urandom(3 * bundles.CHUNK_BYTES + 17)
    await bundles.put(cluster, "some-group", data)
    assert await bundles.get(cluster, "some-group") == data
    await bundles.remove(cluster, "some-group")
    await bundles.remove(cluster, "some-group")
    with pytest.raises(ClusterError, match="no bundle of the group some-group") as caught:
        await bundles.get(cluster, "some-group")
    assert caught.value.code == "CB276"


async def test_the_beginning_of_an_id_is_enough_if_no_other_has_it(cluster: Cluster) -> None:
    client = Client(cluster)
    ids = [(await client.submit(pair(), Settings())).id for _ in range(17)]
    for each in ids:
        assert await client.find(each) == each
    [lonely, *_] = [each for each in ids if sum(other[:12] == each[:12] for other in ids) == 1]
    assert await client.find(lonely[:12]) == lonely
    twice = next(each[0] for each in ids if sum(other[0] == each[0] for other in ids) > 1)
    with pytest.raises(ClusterError, match=f"groups begin with '{twice}'"):
        await client.find(twice)
    for nothing in ("", "x", lonely + "0"):
        with pytest.raises(ClusterError, match="there is no group"):
            await client.find(nothing)


async def test_all_groups_are_listed_while_others_write(cluster: Cluster) -> None:
    bucket = cluster.bucket(subjects.GROUPS)
    record = encode(GroupRecord("n", "n.yaml", 1, 1, "now"))
    groups = {f"group-{number}" for number in range(30)}
    for each in groups:
        await bucket.put(each, record)

    async def write_on() -> None:
        while True:
            for each in groups:
                await bucket.put(each, record)

    async with (
        connect(cluster.access, name="another", note=quiet) as other,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(write_on)
        for _ in range(20):
            assert set(await Client(other).groups()) == groups
        tasks.cancel_scope.cancel()


async def test_a_submission_says_which_roles_nobody_can_serve(cluster: Cluster) -> None:
    client = Client(cluster)
    await register(cluster, worker("w1", offers=2))
    few = await client.submit(pair(), Settings())
    assert few.unserved == "a device of type qemu (role right)"
    await register(cluster, worker("w2", offers=1))
    assert (await client.submit(pair(), Settings())).unserved is None


async def test_a_waiting_group_says_what_it_waits_for(cluster: Cluster) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id

    async def why() -> str:
        return (await client.why_queued(group))[group]

    assert "no worker that leads groups" in await why()
    await register(cluster, worker("w1", offers=1, leads=False))
    assert "no worker that leads groups" in await why()
    await register(cluster, worker("w2"))
    assert await why() == "waiting for a worker to take it up"
    needs = (Need(1, "left", "qemu"), Need(2, "right", "qemu"))
    table = Table((Waiting(group, needs),))
    await cluster.bucket(subjects.TABLE).put("table", encode(table))
    assert "the cluster lacks a device of type qemu" in await why()
    await register(cluster, worker("w2", offers=1))
    assert "groups before this one" in await why()
    seats = {"other": {9: Seat("w2", "i", "local-1", "local")}}
    await cluster.bucket(subjects.TABLE).put("table", encode(Table(table.waiting, seats)))
    assert await why() == "waiting for devices; busy: w2/local-1"


async def test_a_group_that_runs_says_which_workers_it_waits_for(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="test", note=quiet, init=True) as cluster:
        await ensure(cluster.js, 60.0)
        client = Client(cluster)
        group = (await client.submit(pair(), Settings())).id
        seats = {
            job: Seat(name, incarnation, "local-1", "local")
            for job, (name, incarnation) in enumerate([("w1", "i"), ("w2", "i"), ("w3", "x")], 1)
        }
        await cluster.bucket(subjects.TABLE).put("table", encode(Table((), {group: seats})))
        assert "no worker that leads groups" in (await client.why_stalled(group))[group]
        for name in ("w1", "w3"):
            await register(cluster, worker(name))
        events = events_of(pair(), group, 1)
        ends = [place for place, each in enumerate(events, 1) if isinstance(each.body, JobEnded)]
        last = await write(cluster, group, events[: ends[0]])
        silent = "worker w2, which is not heard of any more"
        restarted = "worker w3, which was started again"
        assert await client.why_stalled(group) == {group: f"waiting for {silent}, {restarted}"}
        last = await write(cluster, group, events[ends[0] : ends[1]], last)
        assert await client.why_stalled(group) == {group: f"waiting for {restarted}"}
        await write(cluster, group, events[ends[1] : ends[2]], last)
        assert await client.why_stalled(group) == {}, "it goes on without them"


async def test_cancelling_keeps_the_first_reason_and_does_nothing_to_what_has_ended(
    cluster: Cluster,
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    assert (await client.cancel(group, "first")).cancel == "first"
    assert (await client.cancel(group, "second")).cancel == "first"
    await alter(cluster, group, state="ended", status="canceled", cancel=None)
    assert (await client.cancel(group, "late")).cancel is None
    with pytest.raises(ClusterError, match="doesn't know the group"):
        await client.cancel("nobody", "x")


async def test_a_group_is_followed_to_its_end_whoever_leads_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    events = events_of(pair(), group, 1, RunEnded("complete", 1, 1.0))
    seen: list[Event] = []
    (tmp_path / "run").mkdir()
    async with follow(
        client, group, [seen.append], quiet, directory=tmp_path / "run", owns=True
    ) as found:
        last = await write(cluster, group, events[:5])
        await write(cluster, group, events[5:], last)
        assert (await found.wait()).exit_code == 1
    assert seen == events
    assert list(read_log(tmp_path / "run/events.jsonl")) == events
    assert [each async for each in client.events(group, follow=False)] == events


async def test_an_interruption_of_its_owner_cancels_a_group_and_waits_for_its_end(
    cluster: Cluster,
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    async with follow(client, group, [], quiet, owns=True) as found:
        found.interrupt("enough")
        assert await cancelled(cluster, group) == "enough"
        await write(cluster, group, events_of(pair(), group, 1, RunEnded("canceled", 130, 1.0)))
        assert (await found.wait()).exit_code == 130


@pytest.mark.parametrize("owns", [True, False])
async def test_a_group_that_is_left_goes_on(cluster: Cluster, *, owns: bool) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    async with follow(client, group, [], quiet, owns=owns) as found:
        found.kill() if owns else found.interrupt("enough")
        with pytest.raises(Left):
            await found.wait()
    assert (await client.record(group)).cancel is None


async def test_a_group_that_never_ran_says_why(cluster: Cluster) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    said: list[str] = []
    async with follow(client, group, [], said.append, owns=True) as found:
        problem = "the devices stayed busy for 60 s"
        await alter(cluster, group, state="ended", problem=problem, exit_code=3)
        with pytest.raises(NeverRan, match=problem) as caught:
            await found.wait()
    assert caught.value.exit_code == 3


async def test_a_queued_group_is_said_to_wait_once(cluster: Cluster) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with follow(client, group, [], heard.put_nowait, owns=True) as found:
        assert "no worker that leads groups" in await heard.get()
        await register(cluster, worker("w2", offers=3))
        assert await heard.get() == "waiting for a worker to take it up"
        await lead(cluster, group, events_of(pair(), group, 1))
        await found.wait()
    assert heard.empty()


@asynccontextmanager
async def living(cluster: Cluster, registration: Registration) -> AsyncIterator[None]:
    """A worker that is heard of while the context is open."""
    async with present(cluster, registration, quiet):
        yield


async def test_who_follows_a_group_is_told_of_workers_that_fall_silent_and_are_back(
    cluster: Cluster,
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    names = ("w1", "w1", "w2")
    seats = {job: Seat(name, "i", "local-1", "local") for job, name in enumerate(names, 1)}
    await cluster.bucket(subjects.TABLE).put("table", encode(Table((), {group: seats})))
    await alter(cluster, group, state="running")
    events = events_of(pair(), group, 1)
    said: asyncio.Queue[str] = asyncio.Queue()
    w1, w2, stage = worker("w1", leads=False), worker("w2", leads=False), worker("stage")
    async with (
        living(cluster, w2),
        follow(client, group, [], said.put_nowait, owns=False) as found,
    ):
        async with living(cluster, stage):
            assert await said.get() == "waiting for worker w1, which is not heard of any more"
        assert await said.get() == f"waiting for {LEADERS}, such as `callboard worker --nats URL`"
        async with living(cluster, stage):
            assert await said.get() == f"{LEADERS} is back"
            async with living(cluster, w1):
                assert await said.get() == "worker w1 is back"
            await write(cluster, group, events)
            await found.wait()
    assert said.empty()


async def test_the_workers_of_jobs_that_have_ended_are_not_waited_for(cluster: Cluster) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    seats = {job: Seat("w1", "i", "local-1", "local") for job in (1, 2, 3)}
    await cluster.bucket(subjects.TABLE).put("table", encode(Table((), {group: seats})))
    await write(cluster, group, events_of(pair(), group, 1)[:-1])
    said: asyncio.Queue[str] = asyncio.Queue()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Lookout(client, group, said.put_nowait).run)
        assert await said.get() == f"waiting for {LEADERS}, such as `callboard worker --nats URL`"
        async with living(cluster, worker("stage")):
            assert await said.get() == f"{LEADERS} is back"
        tasks.cancel_scope.cancel()


async def test_nobody_is_silent_for_whom_the_servers_were_away(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="test", note=quiet) as cluster:
        await ensure(cluster.js, 2.0)
        client, back = Client(cluster), asyncio.Event()
        group = (await client.submit(pair(), Settings())).id
        table = Table((), {group: {1: Seat("w1", "i", "local-1", "local")}})
        await cluster.bucket(subjects.TABLE).put("table", encode(table))
        said: asyncio.Queue[str] = asyncio.Queue()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Lookout(client, group, said.put_nowait).run)
            assert "worker w1" in await said.get()
            assert client.hears
            cluster.listen(lambda there: back.set() if there else None)
            own_server.restart()
            await back.wait()
            assert not client.hears
            tasks.cancel_scope.cancel()


class Behind(Client):
    """Is told nothing of what happens for as long as it takes."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self.looked = asyncio.Semaphore(0)
        self.told = asyncio.Event()

    async def events(self, group: str, *, follow: bool) -> AsyncGenerator[Event, None]:
        if follow:
            await self.told.wait()
        async with aclosing(super().events(group, follow=follow)) as events:
            async for each in events:
                yield each

    async def has_whole_log(self, group: str) -> bool:
        found = await super().has_whole_log(group)
        self.looked.release()
        return found


async def test_the_end_of_a_log_may_come_late(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.cluster.following._PATIENCE_S", 0.0)
    client = Behind(cluster)
    group = (await client.submit(pair(), Settings())).id
    await lead(cluster, group, events_of(pair(), group, 1))
    async with follow(client, group, [], quiet, owns=False) as found:
        for _ in range(2):
            await client.looked.acquire()
        client.told.set()
        assert (await found.wait()).exit_code == 0


async def test_a_log_that_has_no_end_is_not_waited_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callboard.cluster.following._PATIENCE_S", 0.0)
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    *events, _ = events_of(pair(), group, 1)
    await lead(cluster, group, events)
    async with follow(client, group, [], quiet, owns=False) as found:
        with pytest.raises(ClusterError, match="has no end, but the group has ended"):
            await found.wait()


@pytest.mark.parametrize("fault", [BrokenPipeError, ValueError])
async def test_what_a_sink_raises_ends_the_following(
    cluster: Cluster, fault: type[Exception]
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    await lead(cluster, group, events_of(pair(), group, 1))

    def broken(_event: Event) -> None:
        raise fault

    async with follow(client, group, [broken], quiet, owns=False) as found:
        with pytest.raises(fault):
            await found.wait()


async def test_a_run_that_can_not_be_recorded_any_more_is_followed_all_the_same(
    cluster: Cluster, tmp_path: Path
) -> None:
    client = Client(cluster)
    group = (await client.submit(pair(), Settings())).id
    await lead(cluster, group, events_of(pair(), group, 1))
    missing = tmp_path / "missing"
    async with follow(client, group, [], quiet, directory=missing, owns=True) as found:
        assert (await found.wait()).exit_code == 0
        assert isinstance(found.log_error, FileNotFoundError)


async def test_everything_waits_while_the_servers_are_away(own_server: Server) -> None:
    said: list[str] = []
    async with connect(Access(own_server.url), name="test", note=said.append) as cluster:
        await ensure(cluster.js, 2.0)
        client = Client(cluster)
        group = (await client.submit(pair(), Settings())).id
        events = events_of(pair(), group, 1)
        async with follow(client, group, [], quiet, owns=True) as found:
            last = await write(cluster, group, events[:4])
            own_server.kill()
            cancelling = asyncio.create_task(client.cancel(group, "meanwhile"))
            own_server.start()
            await cancelling
            await write(cluster, group, events[4:], last)
            assert isinstance(found, Following)
            assert (await found.wait()).exit_code == 0
        assert (await client.record(group)).cancel == "meanwhile"


async def test_a_submission_can_be_given_up_while_the_servers_are_away(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="test", note=quiet) as cluster:
        await ensure(cluster.js, 2.0)
        client = Client(cluster)
        own_server.stop()
        submitting = asyncio.create_task(client.submit(pair(), Settings()))
        away = asyncio.Event()
        cluster.listen(lambda there: None if there else away.set())
        if cluster.connected:
            await away.wait()
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        own_server.start()
        await cluster.wait_connected()
        assert await client.groups() == {}


async def test_a_submission_that_is_interrupted_too_late_is_taken_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(cluster)
    with anyio.CancelScope() as scope:
        create = client._create

        async def interrupted(group: str, record: GroupRecord) -> None:
            await create(group, record)
            scope.cancel()

        monkeypatch.setattr(client, "_create", interrupted)
        await client.submit(pair(), Settings())
    [record] = (await client.groups()).values()
    assert record.cancel == "interrupted when it was submitted"


async def test_a_bucket_that_is_full_is_said_to_be(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="test", note=quiet) as cluster:
        await ensure(cluster.js, 2.0)
        stream = f"OBJ_{subjects.BUNDLES}"
        config = (await cluster.js.stream_info(stream)).config
        await cluster.js.update_stream(config.evolve(max_bytes=100))
        with pytest.raises(ClusterError, match="no room") as caught:
            await Client(cluster).submit(pair(), Settings())
        assert caught.value.code == "CB274"
        assert await Client(cluster).groups() == {}
