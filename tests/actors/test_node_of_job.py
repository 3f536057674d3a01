"""A job and its node: cancelled while it is made ready, and what boots do to its shells."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from callboard.actors.drivers import Console
from callboard.actors.drivers.bare import BareNode
from callboard.actors.group import Rules
from callboard.actors.job import post
from callboard.actors.placement import Placement
from callboard.definition import PipelineAction, pipeline, read_text, split
from callboard.events import Event, Failure, JobEnded, JobStarted
from callboard.live import LiveGroup, perform

pytestmark = pytest.mark.asyncio

JOB = """\
job_name: twice
device_type: board
visibility: public
timeouts: {job: {minutes: 5}}
actions:
- boot: {method: ssh}
- boot: {method: ssh}
"""


class Restarting(BareNode):
    """A node whose boots end what it runs.

    Args:
        lasting: How many boots don't.
    """

    def __init__(self, lasting: int) -> None:
        super().__init__("n")
        self.opened = 0
        self._lasting = lasting

    def perform(self, action: PipelineAction) -> None:
        """End the shells when a boot begins."""
        if action.name == "login-ssh":
            self._lasting -= 1
            if self._lasting < 0:
                self.hang_up()

    async def open_shell(self) -> Console:
        """Count it."""
        self.opened += 1
        return await super().open_shell()


class Slow(BareNode):
    """A node that is never ready."""

    def __init__(self) -> None:
        super().__init__("n")
        self.preparing = anyio.Event()
        self.ended: list[str] = []

    async def prepare(self) -> None:
        """Wait for ever."""
        self.preparing.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.ended.append("prepare")

    async def release(self) -> None:
        """Take note of it."""
        self.ended.append("release")


@contextlib.asynccontextmanager
async def running(node: BareNode, events: list[Event]) -> AsyncIterator[LiveGroup]:
    """A job that has a node, while it runs; within a minute."""
    definition, diagnostics = read_text(JOB, "job.yaml")
    assert definition is not None, diagnostics
    [job] = split(definition, first_id=1, group="g")
    placement = Placement(job, pipeline(job), "n", "local", node)
    with anyio.fail_after(60):
        async with perform(definition, "g", (post(placement),), [events.append], Rules()) as live:
            yield live


async def test_a_job_whose_node_is_not_ready_yet_is_cancelled_at_once() -> None:
    node = Slow()
    events: list[Event] = []
    async with running(node, events) as live:
        await node.preparing.wait()
        live.interrupt("enough")
        await live.wait()
    [ended] = [each.body for each in events if isinstance(each.body, JobEnded)]
    assert (ended.health, ended.error) == ("canceled", Failure("Canceled", "enough"))
    assert node.ended[:2] == ["prepare", "release"]
    assert not any(isinstance(each.body, JobStarted) for each in events)


@pytest.mark.parametrize(("lasting", "opened"), [(2, 1), (1, 2)])
async def test_a_shell_that_a_boot_has_ended_is_opened_again(
    lasting: int, opened: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    node = Restarting(lasting)
    events: list[Event] = []
    async with running(node, events) as live:
        await live.wait()
    [ended] = [each.body for each in events if isinstance(each.body, JobEnded)]
    assert ended.error is None
    assert node.opened == opened
