"""Questions to servers that are away for a while, and leaders that ask them."""

import signal
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from nats.js.errors import KeyNotFoundError
from tests.cluster.leaders import records
from tests.cluster.server import Server
from tests.cluster.workers import a_worker

from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.asking import asked
from callboard.cluster.client import Client
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.founding import ensure
from callboard.cluster.records import Settings
from callboard.definition import load
from callboard.events import RunEnded

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


def _quiet(_line: str) -> None:
    pass


async def test_who_asks_while_the_servers_are_away_is_answered_when_they_are_back(
    own_server: Server,
) -> None:
    async with connect(Access(own_server.url), name="test", note=_quiet) as cluster:
        bucket = cluster.bucket(subjects.GROUPS)
        await bucket.put("one", b"1")
        own_server.kill()

        async def ask() -> bytes | None:
            return (await bucket.get("one")).value

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(to_thread.run_sync, own_server.start)
            assert await asked(cluster, ask) == b"1"


async def test_that_there_is_no_such_entry_is_an_answer(cluster: Cluster) -> None:
    with pytest.raises(KeyNotFoundError):
        await asked(cluster, partial(cluster.bucket(subjects.GROUPS).get, "none"))


async def test_a_leader_that_ends_its_group_waits_for_servers_that_are_away(
    own_server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "group.yaml"
    file.write_text(GROUP)
    async with connect(Access(own_server.url), name="test", note=_quiet, init=True) as first:
        await ensure(first.js, lease_s=20.0)  # a leader that shuns the group would be seen
    async with connect(Access(own_server.url), name="test", note=_quiet) as cluster:
        client = Client(cluster)
        with a_worker(own_server, "--name", "bench", "--nodes", "1") as worker:
            await to_thread.run_sync(worker.until, "ready")
            submitted = await client.submit(load(file), Settings())
            async for event in client.events(submitted.id, follow=True):
                if isinstance(event.body, RunEnded):
                    own_server.kill()
            await to_thread.run_sync(own_server.start)
            with anyio.fail_after(30):
                async for _, record in records(cluster):
                    if record.state == "ended":
                        break
            assert worker.end(signal.SIGTERM) == 0
            assert "can't be led" not in worker.rest() + "".join(
                each["text"] for each in worker.facts
            )
