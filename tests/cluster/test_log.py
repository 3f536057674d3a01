"""The log of a group on a real server: one leader at a time writes, and nothing gets lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import hypothesis.strategies as st
import pytest
from attrs import frozen
from hypothesis import given, settings
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from nats.js.api import PubAck
from tests.cluster.conftest import LEASE_S
from tests.cluster.lab import make_cluster, open_lab
from tests.cluster.server import Server

from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError, Fenced
from callboard.cluster.founding import ensure
from callboard.cluster.history import Taken, read, take
from callboard.cluster.log import Connected, LogWriter

LED = b'{"entry":"led"}\n'


def line(text: object) -> bytes:
    return f'{{"seq":"{text}"}}\n'.encode()


def lines(name: str, count: int) -> list[bytes]:
    return [line(f"{name}-{number}") for number in range(count)]


@asynccontextmanager
async def writing(writer: LogWriter) -> AsyncIterator[None]:
    """The writer while it runs; that it is fenced is for the test to see."""

    async def run() -> None:
        with contextlib.suppress(Fenced):
            await writer.run()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def history(cluster: Connected, group: str) -> list[bytes]:
    return [each async for each in read(cluster, group, follow=False)]


@frozen
class Deaf:
    """A connection on which the acknowledgements of some publications get lost.

    Attributes:
        nc: The connection.
        js: Its streams.
        lost: Which of the publications, counted from 0.
    """

    nc: Client
    js: Any

    @classmethod
    def of(cls, cluster: Cluster, *lost: int) -> "Deaf":
        return cls(cluster.nc, _DeafStreams(cluster.js, lost))


class _DeafStreams:
    def __init__(self, js: JetStreamContext, lost: tuple[int, ...]) -> None:
        self._js = js
        self._lost = lost
        self._count = 0
        self.deaf = anyio.Event()

    async def publish(self, *args: Any, **more: Any) -> PubAck:
        number, self._count = self._count, self._count + 1
        ack = await self._js.publish(*args, **more)
        if number in self._lost:
            self.deaf.set()
            raise NatsTimeout
        return ack

    def __getattr__(self, name: str) -> Any:
        return getattr(self._js, name)


@pytest.mark.asyncio
async def test_what_is_written_is_read_in_order(cluster: Cluster) -> None:
    taken = await take(cluster, "g", LED)
    assert (taken.lines, taken.pause_s) == ((), 0.0)
    written = lines("a", 500)
    async with writing(taken.writer):
        for each in written:
            taken.writer.append(each)
        await taken.writer.flush()
    assert taken.writer.stored == taken.writer.position == 501
    assert await history(cluster, "g") == [LED, *written]


@pytest.mark.asyncio
async def test_a_log_that_nobody_has_written_has_no_lines(cluster: Cluster) -> None:
    assert await history(cluster, "nobody") == []


@pytest.mark.asyncio
async def test_logs_of_groups_are_apart(cluster: Cluster) -> None:
    for group in ("a", "b"):
        taken = await take(cluster, group, LED)
        async with writing(taken.writer):
            taken.writer.append(line(group))
            await taken.writer.flush()
    assert await history(cluster, "a") == [LED, line("a")]


@pytest.mark.asyncio
async def test_a_line_may_be_longer_than_any_message(cluster: Cluster) -> None:
    long = line("x" * 3 * cluster.limit_bytes)
    taken = await take(cluster, "g", LED)
    async with writing(taken.writer):
        for each in (line(1), long, line(2), line(3)):
            taken.writer.append(each)
        await taken.writer.flush()
    assert await history(cluster, "g") == [LED, line(1), long, line(2), line(3)]


@pytest.mark.asyncio
async def test_part_of_a_line_that_a_dead_leader_has_left_is_no_line(cluster: Cluster) -> None:
    taken = await take(cluster, "g", LED)
    long = line("x" * 3 * cluster.limit_bytes)
    await cluster.js.publish(
        subjects.log("g"), long[:1000], headers={"Nats-Expected-Last-Subject-Sequence": "1"}
    )
    assert taken.term == 1
    after = await take(cluster, "g", LED)
    assert after.lines == (LED,)
    async with writing(after.writer):
        after.writer.append(line(1))
        await after.writer.flush()
    assert await history(cluster, "g") == [LED, LED, line(1)]


@pytest.mark.asyncio
async def test_calls_are_made_in_order_and_not_before_their_lines_are_stored(
    cluster: Cluster,
) -> None:
    taken = await take(cluster, "g", LED)
    writer, made = taken.writer, list[tuple[int, int]]()
    writer.when_stored(lambda: made.append((0, writer.stored)))
    assert made == [(0, 1)], "all is stored, so it is called at once"
    for number in range(1, 4):
        writer.append(line(number))
        writer.when_stored(lambda number=number: made.append((number, writer.stored)))  # type: ignore[misc]
    assert made == [(0, 1)]
    async with writing(writer):
        await writer.flush()
    assert [number for number, _ in made] == [0, 1, 2, 3]
    assert all(stored > number for number, stored in made)


@pytest.mark.asyncio
async def test_who_is_deposed_cannot_write(cluster: Cluster) -> None:
    old = await take(cluster, "g", LED)
    async with writing(old.writer):
        old.writer.append(line("old"))
        await old.writer.flush()
        new = await take(cluster, "g", LED)
        assert new.lines == (LED, line("old"))
        assert new.term > old.term
        old.writer.append(line("late"))
        with pytest.raises(Fenced):
            await old.writer.flush()
        old.writer.append(line("later still"))
        with pytest.raises(Fenced):
            await old.writer.flush()
    assert await history(cluster, "g") == [LED, line("old"), LED]


@pytest.mark.asyncio
async def test_whose_acknowledgement_is_lost_is_stored_once(cluster: Cluster) -> None:
    deaf = Deaf.of(cluster, 0, 1, 2, 4)
    taken = await take(deaf, "g", LED)
    written = lines("a", 5)
    async with writing(taken.writer):
        for each in written:
            taken.writer.append(each)
            await taken.writer.flush()
    assert await history(cluster, "g") == [LED, *written]


@pytest.mark.asyncio
async def test_who_is_deposed_while_an_acknowledgement_is_lost_learns_of_it(
    cluster: Cluster,
) -> None:
    deaf = Deaf.of(cluster, 1)
    old = await take(deaf, "g", LED)
    old.writer.append(line("old"))
    running = asyncio.create_task(old.writer.run())
    await deaf.js.deaf.wait()
    new = await take(cluster, "g", LED)
    with pytest.raises(Fenced):
        await running
    # It may be there: whether it is was for the new leader to see, and it has.
    assert new.lines == (LED, line("old"))


@frozen
class Step:
    """One of two leaders appends lines, one of which is flushed, or takes the log."""

    who: int
    takes: bool
    count: int
    flushed: bool


STEPS = st.lists(
    st.builds(Step, st.integers(0, 1), st.booleans(), st.integers(1, 3), st.booleans()), max_size=12
)


@settings(max_examples=settings().max_examples // 3)
@given(STEPS)
def test_only_the_last_to_take_a_log_writes_it_in_any_order_of_two(
    server: Server, steps: list[Step]
) -> None:
    async def scenario() -> None:
        async with connect(Access(server.url), name="t", note=lambda _text: None) as cluster:
            await ensure(cluster.js, LEASE_S)
            group = f"g{cluster.nc.new_inbox().rsplit('.', 1)[1]}"
            await two_leaders(cluster, group, steps)

    asyncio.run(scenario())


async def two_leaders(cluster: Cluster, group: str, steps: list[Step]) -> None:
    leads: dict[int, Taken] = {}
    leader: int | None = None
    acknowledged: list[bytes] = []
    voided: set[bytes] = set()
    number = 0
    async with contextlib.AsyncExitStack() as stack:
        for step in steps:
            if step.takes:
                leads[step.who] = await take(cluster, group, LED)
                leader = step.who
                await stack.enter_async_context(writing(leads[step.who].writer))
            elif step.who in leads:
                writer = leads[step.who].writer
                number += 1
                added = lines(str(number), step.count)
                for each in added:
                    writer.append(each)
                if step.who != leader:
                    voided.update(added)
                elif step.flushed:
                    await writer.flush()
                    acknowledged += added
    found = await history(cluster, group)
    assert not voided & set(found)
    kept = [each for each in found if each != LED]
    assert len(set(kept)) == len(kept), "each once"
    assert [each for each in kept if each in set(acknowledged)] == acknowledged


@pytest.mark.asyncio
async def test_a_server_that_is_killed_again_and_again_loses_nothing(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="t", note=lambda _text: None) as cluster:
        await ensure(cluster.js, LEASE_S)
        taken = await take(cluster, "g", LED)
        written = lines("a", 600)
        read_lines: list[bytes] = []
        everything = anyio.Event()

        async def follow() -> None:
            async with aclosing(read(cluster, "g", follow=True)) as found:
                async for each in found:
                    read_lines.append(each)
                    if each == written[-1]:
                        everything.set()

        async with writing(taken.writer), anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            for part in range(0, 600, 200):
                for each in written[part : part + 200]:
                    taken.writer.append(each)
                    await anyio.lowlevel.checkpoint()
                await anyio.to_thread.run_sync(own_server.restart)
            with anyio.fail_after(60):
                await taken.writer.flush()
                await everything.wait()
            tasks.cancel_scope.cancel()
        assert read_lines == [LED, *written]
        assert await history(cluster, "g") == [LED, *written]


@pytest.mark.asyncio
async def test_while_servers_stand_still_everything_waits(own_server: Server) -> None:
    async with connect(Access(own_server.url), name="t", note=lambda _text: None) as cluster:
        await ensure(cluster.js, LEASE_S)
        taken = await take(cluster, "g", LED)
        async with writing(taken.writer):
            own_server.pause()
            try:
                taken.writer.append(line(1))
                with anyio.move_on_after(0.2):
                    await taken.writer.flush()
                assert taken.writer.stored == 1
            finally:
                own_server.resume()
            with anyio.fail_after(30):
                await taken.writer.flush()
        assert await history(cluster, "g") == [LED, line(1)]


@pytest.mark.asyncio
async def test_a_stream_without_room_is_an_error_in_the_users_words(cluster: Cluster) -> None:
    info = await cluster.js.stream_info(subjects.LOG)
    await cluster.js.update_stream(info.config.evolve(max_bytes=10_000))
    taken = await take(cluster, "g", LED)
    taken.writer.append(line("x" * 20_000))
    with pytest.raises(ClusterError) as failed:
        await taken.writer.run()
    assert failed.value.code == "CB274"
    with pytest.raises(ClusterError):
        await taken.writer.flush()


@pytest.mark.asyncio
async def test_a_cluster_without_logs_is_an_error_with_the_cure(cluster: Cluster) -> None:
    await cluster.js.delete_stream(subjects.LOG)
    with pytest.raises(ClusterError, match="callboard-log") as failed:
        await history(cluster, "g")
    assert (failed.value.code, failed.value.cure) == ("CB270", "`callboard cluster init` makes it")


@pytest.mark.asyncio
async def test_a_connection_that_is_closed_is_an_error_for_writers_and_readers(
    server: Server, cluster: Cluster
) -> None:
    async with connect(Access(server.url), name="t", note=lambda _text: None) as other:
        taken = await take(other, "g", LED)
        await other.nc.close()
        taken.writer.append(line(1))
        for end in (taken.writer.run(), history(other, "g")):
            with pytest.raises(ClusterError) as failed:
                await end
            assert failed.value.code == "CB270"
    assert await history(cluster, "g") == [LED]


@pytest.mark.asyncio
async def test_the_time_between_two_leaders_is_told_by_the_servers_clock(cluster: Cluster) -> None:
    await take(cluster, "g", LED)
    again = await take(cluster, "g", LED)
    third = await take(cluster, "g", LED)
    assert 0 < again.pause_s < 30
    assert 0 < third.pause_s < 30
    assert third.lines == (LED, LED)


@pytest.fixture
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.mark.asyncio
async def test_users_with_credentials_read_what_leaders_write(lab_server: Any) -> None:
    await make_cluster(lab_server)
    written = [line("x" * 100_000), *lines("a", 2_000)]
    async with lab_server.member("stage") as leader, lab_server.member("ann") as user:
        taken = await take(leader, "g", LED)
        async with writing(taken.writer):
            for each in written:
                taken.writer.append(each)
            await taken.writer.flush()
        assert await history(user, "g") == [LED, *written]
        assert not leader.refused
        assert not user.refused


@pytest.mark.asyncio
async def test_a_long_log_is_whole(cluster: Cluster) -> None:
    taken = await take(cluster, "g", LED)
    written = [line(f"{number} {'x' * 150}") for number in range(20_000)]
    async with writing(taken.writer):
        for number, each in enumerate(written):
            taken.writer.append(each)
            if number % 50 == 0:
                await anyio.lowlevel.checkpoint()
        await taken.writer.flush()
    assert await history(cluster, "g") == [LED, *written]
