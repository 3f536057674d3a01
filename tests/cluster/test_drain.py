"""Workers that drain when a group has been granted their devices, and has not begun."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from attrs import define, field, fields
from tests.cluster.leaders import records
from tests.cluster.server import Server
from tests.cluster.workers import Process, a_worker

from callboard.cluster import subjects
from callboard.cluster.client import Client
from callboard.cluster.connection import Cluster
from callboard.cluster.fleet import watched
from callboard.cluster.leading import Leading
from callboard.cluster.presence import present
from callboard.cluster.records import GroupRecord, Registration, Settings
from callboard.cluster.shared_table import read_table
from callboard.cluster.worker import Worker
from callboard.definition import load
from callboard.events import JobCreated

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]

GROUP = """\
job_name: short
visibility: public
timeouts: {job: {minutes: 2}}
device_type: qemu
actions:
- deploy: {to: tmpfs}
- boot: {method: qemu, prompts: ['#']}
"""


@define(eq=False)
class Gate(Cluster):
    """A connection that keeps back what the first parcel with a word is the first of.

    Attributes:
        word: The word.
        reached: Set when it has come.
    """

    real: Cluster = field(kw_only=True)
    word: bytes = field(kw_only=True)
    reached: anyio.Event = field(factory=anyio.Event, kw_only=True)
    _kept: list[tuple[str, bytes]] | None = field(factory=list[tuple[str, bytes]], kw_only=True)

    def post(self, subject: str, data: bytes) -> None:
        """See `Cluster.post`."""
        if self.word in data:
            self.reached.set()
        if self._kept is None or not self.reached.is_set():
            self.real.post(subject, data)
        else:
            self._kept.append((subject, data))

    def open(self) -> None:
        """Let through what was kept back, and all that comes."""
        kept, self._kept = self._kept or [], None
        for each in kept:
            self.real.post(*each)


@define(eq=False)
class Lab:
    """A leader of this process, and workers of their own.

    Attributes:
        gate: Between them.
        server: The server.
        group: The group that was submitted.
    """

    gate: Gate
    server: Server
    group: str = ""

    @asynccontextmanager
    async def worker(self, name: str) -> AsyncIterator[Process]:
        """A worker with one node that leads nothing."""
        with a_worker(self.server, "--name", name, "--nodes", "1", "--no-lead") as process:
            await to_thread.run_sync(process.until, "ready")
            yield process

    async def submit(self, folder: Path) -> None:
        """Submit a group that needs one node."""
        file = folder / "group.yaml"
        file.write_text(GROUP)
        submitted = await Client(self.gate.real).submit(load(file), Settings())
        self.group = submitted.id

    async def end(self) -> GroupRecord:
        """The group's record when it has ended."""
        async for group, record in records(self.gate.real):
            if group == self.group and record.state == "ended":
                return record
        raise AssertionError("it goes on for ever")

    async def device(self) -> str:
        """Where the group's job has run."""
        events = Client(self.gate.real).events(self.group, follow=True)
        [device] = [e.body.device async for e in events if isinstance(e.body, JobCreated)]
        return device


@asynccontextmanager
async def lab(cluster: Cluster, server: Server, word: bytes) -> AsyncIterator[Lab]:
    own = {each.name: getattr(cluster, each.name) for each in fields(Cluster) if each.init}
    own = {name: value for name, value in own.items() if not name.startswith("_")}
    gate = Gate(**own, real=cluster, word=word)
    stage = Registration("stage", "1", "machine", subjects.PROTOCOL, "0", "host")
    async with (
        watched(gate) as fleet,
        present(cluster, stage, lambda _line: None) as presence,
        anyio.create_task_group() as tasks,
    ):
        worker = Worker(gate, "stage", "1", None, (), presence, fleet, lambda _line: None)
        tasks.start_soon(Leading(worker).serve)
        yield Lab(gate, server)
        tasks.cancel_scope.cancel()


async def test_a_group_waits_anew_when_its_worker_has_left_before_it_heard_of_it(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    async with lab(cluster, server, b'"Engage"') as here:
        async with here.worker("bench") as bench:
            await here.submit(tmp_path)
            await here.gate.reached.wait()
            assert set((await read_table(cluster)).granted) == {here.group}
            assert await to_thread.run_sync(partial(bench.end, signal.SIGTERM)) == 0
        here.gate.open()
        async with here.worker("rack"):
            assert (await here.end()).status == "complete"
        assert await here.device() == "rack/local-1"


async def test_a_worker_stays_for_a_group_that_it_was_engaged_for(
    cluster: Cluster, server: Server, tmp_path: Path
) -> None:
    async with lab(cluster, server, b'"Employ"') as here, here.worker("bench") as bench:
        await here.submit(tmp_path)
        await here.gate.reached.wait()
        bench.popen.send_signal(signal.SIGTERM)
        await to_thread.run_sync(bench.until, "draining")
        here.gate.open()
        assert (await here.end()).status == "complete"
        assert await here.device() == "bench/local-1"
        assert await asyncio.to_thread(bench.popen.wait, 30) == 0
