"""Leaders that are killed at any moment: no device is had twice, and every group is served."""

import logging
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from attrs import define, field
from tests.cluster.conftest import LEASE_S
from tests.cluster.server import Server
from tests.cluster.table_leader import record

from callboard.cluster.access import Access
from callboard.cluster.allocation import Allocator
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.fleet import watched
from callboard.cluster.founding import ensure
from callboard.cluster.presence import present
from callboard.cluster.records import GroupRecord, Offer, Registration, decode
from callboard.cluster.shared_table import read_table
from callboard.cluster.subjects import GROUPS, PROTOCOL

ROOT = Path(__file__).parents[2]
LEADERS = 3


@define
class Chaos:
    """Leaders at work, of which one is killed now and then, whoever it is.

    Attributes:
        arguments: Of the leaders.
        server: Is killed, too, and restarted.
        kills: How many leaders are still to be killed.
        chance: Decides who, and when.
        said: How often each deed was told.
        twice: Devices that two groups have had at once.
    """

    arguments: list[str]
    server: Server
    kills: int
    chance: random.Random
    said: Counter[str] = field(factory=Counter[str])
    twice: list[str] = field(factory=list[str])
    _running: list[Process] = field(factory=list[Process])

    async def run(self) -> None:
        """Return when all groups have ended."""
        async with anyio.create_task_group() as tasks:
            for _ in range(LEADERS):
                tasks.start_soon(self._lead)

    async def _lead(self) -> None:
        """A leader; another takes its place when it was killed."""
        command = [sys.executable, "-m", "tests.cluster.table_leader", *self.arguments]
        code = None
        while code != 0:
            async with await anyio.open_process(command, cwd=ROOT, stderr=None) as process:
                self._running.append(process)
                try:
                    async for line in _lines(process):
                        await self._hear(line)
                    code = await process.wait()
                finally:
                    self._running.remove(process)
            assert code in (0, -signal.SIGKILL, os.EX_TEMPFAIL)

    async def _hear(self, line: str) -> None:
        deed, what = line.split(" ", 1)
        self.said[deed] += 1
        if deed == "twice":
            self.twice.append(what)
        if self.kills and self.chance.random() < 0.4:
            self.kills -= 1
            self.said["killed"] += 1
            self.chance.choice(self._running).kill()
            if self.kills % 4 == 1:
                await anyio.to_thread.run_sync(self.server.restart)


async def _lines(process: Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    text = ""
    async for part in TextReceiveStream(process.stdout):
        *lines, text = (text + part).split("\n")
        for line in lines:
            yield line


def worker(name: str, count: int) -> Registration:
    offers = tuple(Offer(f"q{number}", "qemu", "local") for number in range(count))
    return Registration(name, f"{name}-1", name, PROTOCOL, "0", "host", offers, leads=False)


def unwatched(line: str) -> None:
    raise AssertionError(line)


async def ended(cluster: Cluster, group: str) -> bool:
    entry = await cluster.bucket(GROUPS).get(group)
    return decode(entry.value or b"", GroupRecord).state == "ended"


@pytest.mark.parametrize(
    ("groups", "kills"),
    [(8, 4), pytest.param(60, 40, marks=[pytest.mark.long, pytest.mark.timeout(900)])],
)
@pytest.mark.asyncio
async def test_no_device_is_had_twice_and_every_group_is_served_whoever_is_killed(
    own_server: Server, tmp_path: Path, groups: int, kills: int
) -> None:
    chance = random.Random(groups)
    names = [f"{number}-{chance.randint(1, 6)}" for number in range(groups)]
    (tmp_path / "marks").mkdir()
    async with connect(Access(own_server.url), name="first", note=print) as first:
        await ensure(first.js, LEASE_S)
    async with (
        connect(Access(own_server.url), name="workers", note=print) as cluster,
        present(cluster, worker("a", 4), unwatched),
        present(cluster, worker("b", 3), unwatched),
    ):
        for name in names:
            await cluster.bucket(GROUPS).put(name, record(ended=False))
        arguments = [own_server.url, str(tmp_path / "marks"), *names]
        chaos = Chaos(arguments, own_server, kills, chance)
        await chaos.run()
        logging.getLogger(__name__).info("%s", dict(chaos.said))
        assert not chaos.twice
        assert chaos.kills == 0, "the groups ended before all kills"
        assert all([await ended(cluster, name) for name in names])
        async with watched(cluster) as fleet:
            await Allocator(cluster, fleet).reap()  # what was killed before it could release
        table = await read_table(cluster)
        assert (table.granted, table.waiting) == ({}, ())
