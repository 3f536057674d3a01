"""Groups of a cluster from Python."""

import asyncio
from pathlib import Path

import pytest
from tests.cluster.leaders import alter, events_of, lead

import callboard
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster
from callboard.cluster.errors import NeverRan
from callboard.cluster.records import Settings
from callboard.events import Event, RunEnded

pytestmark = pytest.mark.asyncio

DEMO = Path(__file__).parents[2] / "scenarios/demo.yaml"
NOBODY = "nats://127.0.0.1:1"


async def test_a_group_is_submitted_and_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    definition = callboard.load(DEMO)
    url = cluster.access.url
    group = await callboard.submit(definition, url, settings=Settings(fail_fast=False))
    events = events_of(definition, group, 1, RunEnded("complete", 1, 1.0))
    seen: list[Event] = []
    async with asyncio.TaskGroup() as tasks:
        here = tasks.create_task(callboard.attach(group[:12], url, observers=[seen.append]))
        there = tasks.create_task(callboard.attach(group, Access(url), tmp_path / "run"))
        await lead(cluster, group, events, 1)
    assert seen == events
    for result in (here.result(), there.result()):
        assert (result.status, result.exit_code) == ("complete", 1)
        assert [job.role for job in result.jobs] == ["server", "client", "client"]
    assert here.result().directory is None
    assert (tmp_path / "run/results.yaml").exists()


async def test_a_group_that_never_ran_is_an_error(cluster: Cluster) -> None:
    group = await callboard.submit(callboard.load(DEMO), cluster.access.url, first_id=9)
    await alter(cluster, group, state="ended", problem="nobody had devices", exit_code=3)
    with pytest.raises(NeverRan, match="nobody had devices"):
        await callboard.attach(group, cluster.access.url)


async def test_what_can_not_be_run_or_reached_is_an_error() -> None:
    with pytest.raises(callboard.ClusterError, match="can't be reached") as caught:
        await callboard.submit(callboard.load(DEMO), NOBODY)
    assert caught.value.code == "CB270"
    vlans = callboard.load(DEMO.parent / "two-vlans/two-vlans.yaml")
    with pytest.raises(callboard.DefinitionError, match="VLANs such as"):
        await callboard.submit(vlans, NOBODY)
