"""Groups that a real worker runs, submitted and watched by the real command line."""

import asyncio
import json
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from tests.cluster.server import Server
from tests.cluster.shell import Shell, line_with
from tests.sources.servers import commit, git

from callboard.cluster import bundles
from callboard.cluster.connection import Cluster
from callboard.definition import load, read_devices, split
from callboard.events import JobEnded, read_log
from callboard.reservation import reserve

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

TEST = """\
metadata: {format: Lava-Test Test Definition 1.0, name: beside}
run:
  steps:
  - lava-test-case data --shell ./tool.sh
  - lava-sync both
"""

GROUP = """\
job_name: real
visibility: public
timeouts: {job: {minutes: 2}}
protocols:
  lava-multinode:
    roles:
      left: {device_type: qemu, count: 1}
      right: {device_type: qemu, count: 1}
actions:
- deploy: {role: [left, right], to: tmpfs}
- boot: {role: [left, right], method: qemu, prompts: ['#']}
- test:
    role: [left, right]
    definitions:
    - {from: git, repository: ./tests, path: beside.yaml, name: beside}
"""

ENDLESS = GROUP.replace("name: beside}", "name: beside}\n    - from: inline")
ENDLESS += """\
      name: endless
      path: endless.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: endless}
        run: {steps: [echo "this is endless", sleep 600]}
"""


SLOW = ENDLESS.replace("sleep 600", "sleep 8, lava-sync late")

UNEVEN = GROUP.partition("- test:")[0]
UNEVEN += """\
- test:
    role: [right]
    definitions:
    - from: inline
      name: slow
      path: slow.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: slow}
        run: {steps: [sleep 4, echo "this is slow", sleep 20]}
"""


class Stage(Shell):
    """A folder with definitions, and a cluster."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder, cluster.access.url)
        self.environment |= self.own("client")

    def own(self, name: str) -> dict[str, str]:
        """Variables that give a process a state directory and a cache of its own."""
        folder = self.folder / "states" / name
        return {"CALLBOARD_STATE": f"{folder}/state", "CALLBOARD_CACHE": f"{folder}/cache"}

    @asynccontextmanager
    async def worker(self, name: str = "w1", nodes: int = 2, *more: str) -> AsyncIterator[Process]:
        """A worker that is ready."""
        options = ("--name", name, "--nodes", str(nodes), *more)
        async with self.started("worker", *options, variables=self.own(name)) as process:
            await line_with(process.stderr, f"worker {name} at")
            yield process


@pytest_asyncio.fixture
async def callboard(cluster: Cluster, tmp_path: Path) -> Stage:
    tests = tmp_path / "tests"
    tests.mkdir()
    git(tests, "init", "--quiet", "-b", "main")
    (tests / "tool.sh").write_text("#!/bin/sh\ntest -L link && test -s data\n")
    (tests / "tool.sh").chmod(0o755)
    (tests / "link").symlink_to("data")
    commit(tests, {"beside.yaml": TEST, "data": "x\n"})
    (tmp_path / "group.yaml").write_text(GROUP)
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    return Stage(tmp_path, cluster)


async def test_a_group_needs_nothing_more_of_who_has_submitted_it(callboard: Stage) -> None:
    group = (await callboard("submit", "group.yaml", "-q")).out.strip()
    shutil.rmtree(callboard.folder / "tests")
    shutil.rmtree(callboard.folder / "states")
    (callboard.folder / "group.yaml").unlink()
    async with callboard.worker():
        found = json.loads((await callboard("attach", group, "--json", "-o", "out")).out)
    assert (found["status"], found["exit_code"]) == ("complete", 0)
    cases = {(case["suite"], case["case"]) for job in found["jobs"] for case in job["results"]}
    assert {("0_beside", "data"), ("0_beside", "multinode-sync-both")} <= cases
    events = list(read_log(callboard.folder / "out/events.jsonl"))
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert all(each.cause is None or each.cause < each.seq for each in events)
    assert [each.time_s for each in events] == sorted(each.time_s for each in events)


async def test_ctrl_c_ends_a_running_group_in_order(callboard: Stage) -> None:
    async with (
        callboard.worker(),
        callboard.started("run", "endless.yaml", "-vv", "-o", "out") as process,
    ):
        await line_with(process.stdout, "this is endless")
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
        assert process.returncode == 130
        assert "canceled, exit code 130" in out.decode()
        [group] = json.loads((await callboard("list", "--all", "--json")).out)["groups"]
        assert (group["state"], group["status"]) == ("ended", "canceled")
    ended = [
        each.body
        for each in read_log(callboard.folder / "out/events.jsonl")
        if isinstance(each.body, JobEnded)
    ]
    assert [each.health for each in ended] == ["canceled", "canceled"]
    assert {each.error.message for each in ended if each.error} == {"interrupted by SIGINT"}


async def test_a_group_whose_command_was_killed_can_be_cancelled(callboard: Stage) -> None:
    async with callboard.worker():
        async with callboard.started("run", "endless.yaml", "-vv", "-o", "out") as process:
            await line_with(process.stdout, "this is endless")
            process.kill()
            await process.communicate()
        [group] = json.loads((await callboard("list", "--json")).out)["groups"]
        assert group["state"] == "running"
        async with callboard.started("attach", group["group"], "--json") as attached:
            await callboard("cancel", group["group"][:8], "--reason", "not needed any more")
            out, _ = await attached.communicate()
        assert attached.returncode == 130
    errors = {job["error"]["message"] for job in json.loads(out)["jobs"]}
    assert errors == {"not needed any more"}


async def test_a_group_is_cancelled_while_a_worker_waits_for_a_device(
    callboard: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = callboard.folder / "devices.yaml"
    devices.write_text("devices: {one: {type: qemu}}\n")
    group = callboard.folder / "both.yaml"
    group.write_text(ENDLESS.replace("right: {device_type: qemu", "right: {device_type: other"))
    monkeypatch.setenv("CALLBOARD_STATE", str(callboard.folder / "states/bench/state"))
    file, problems = read_devices(devices)
    assert file is not None, problems
    job, _ = split(load(group), first_id=1, group="another")
    reserved = await reserve([job], file, file.devices, None, lambda _busy: None)
    options = ("--name", "bench", "--devices", str(devices), "--no-lead")
    async with (
        callboard.worker(),
        callboard.started("worker", *options, variables=callboard.own("bench")) as bench,
    ):
        await line_with(bench.stderr, "worker bench at")
        async with callboard.started("run", "both.yaml", "--json") as process:
            await line_with(bench.stderr, "waiting for devices that another run on this machine")
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(30):
                out, _ = await process.communicate()
        assert process.returncode == 130
        assert {job["health"] for job in json.loads(out)["jobs"]} == {"canceled"}
    reserved.release()


async def test_a_group_that_waits_is_cancelled_before_it_has_run(callboard: Stage) -> None:
    (callboard.folder / "large.yaml").write_text(GROUP.replace("count: 1", "count: 2"))
    async with (
        callboard.worker(),
        callboard.started("run", "large.yaml", "--json") as process,
    ):
        await line_with(process.stderr, "the cluster lacks 2 devices of type qemu")
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
        assert process.returncode == 130
        assert json.loads(out)["status"] == "canceled"
        [group] = json.loads((await callboard("list", "--all", "--json")).out)["groups"]
        assert (group["state"], group["status"], group["exit_code"]) == ("ended", "canceled", 130)


async def test_a_strict_group_refuses_devices_that_would_skip_a_part(callboard: Stage) -> None:
    download = "to: tmpfs, images: {rootfs: {url: 'http://files.example/rootfs.img'}}}"
    (callboard.folder / "skips.yaml").write_text(GROUP.replace("to: tmpfs}", download))
    async with (
        callboard.worker(),
        callboard.started("run", "skips.yaml", "--strict", "--json") as process,
    ):
        out, _ = await process.communicate()
        assert process.returncode == 2
        [problem] = json.loads(out)["diagnostics"]
        assert "http-download would be skipped (job 1 on w1/local-" in problem["message"]
        await callboard("run", "skips.yaml", "-q", "--json")


async def test_who_watches_a_group_sees_nothing_of_a_change_of_leaders(callboard: Stage) -> None:
    (callboard.folder / "slow.yaml").write_text(SLOW)
    async with (
        callboard.worker("host", 2, "--no-lead"),
        callboard.worker("first", 0) as first,
        callboard.started("run", "slow.yaml", "-vv", "-o", "out") as process,
    ):
        await line_with(process.stdout, "this is endless")
        first.kill()
        async with callboard.worker("second", 0):
            out, err = await process.communicate()
        assert process.returncode == 0, (out.decode(), err.decode())
    assert "complete, exit code 0" in out.decode()
    events = list(read_log(callboard.folder / "out/events.jsonl"))
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert all(each.cause is None or each.cause < each.seq for each in events)


async def test_who_watches_a_group_is_told_when_a_worker_is_silent_and_back(
    own_server: Server, callboard: Stage
) -> None:
    callboard.environment["CALLBOARD_NATS"] = own_server.url
    await callboard("cluster", "init", "--lease", "4")
    (callboard.folder / "slow.yaml").write_text(SLOW)
    async with (
        callboard.worker("host", 2, "--no-lead") as host,
        callboard.worker("stage", 0),
        callboard.started("run", "slow.yaml", "-o", "out") as run,
    ):
        await line_with(run.stderr, "submitted as")
        [listed] = json.loads((await callboard("list", "--json")).out)["groups"]
        async with (
            callboard.started("attach", listed["group"]) as attached,
            callboard.started("logs", listed["group"], "-f") as logs,
        ):
            watching = (run, attached, logs)
            for each in watching:
                await line_with(each.stdout, "1_endless begins")
            host.send_signal(signal.SIGSTOP)
            for each in watching:
                await line_with(each.stderr, "waiting for worker host, ")
            host.send_signal(signal.SIGCONT)
            for each in watching:
                await line_with(each.stderr, "worker host is back")
            for each in watching:
                assert each.stdout is not None
                await each.stdout.read()
                assert await each.wait() == 0


async def test_a_group_whose_bundle_is_gone_ends_and_says_so(
    callboard: Stage, cluster: Cluster
) -> None:
    group = (await callboard("submit", "group.yaml", "-q")).out.strip()
    await bundles.remove(cluster, group)
    async with callboard.started("attach", group) as attached, callboard.worker():
        _, err = await attached.communicate()
    assert attached.returncode == 3
    assert "the cluster has no bundle of the group" in err.decode()


@pytest.mark.long
async def test_a_worker_whose_jobs_are_done_is_dismissed_by_the_next_leader(
    callboard: Stage,
) -> None:
    (callboard.folder / "uneven.yaml").write_text(UNEVEN)
    async with (
        callboard.worker("early", 1, "--no-lead") as early,  # it has the first job
        callboard.worker("late", 1, "--no-lead"),
        callboard.worker("first", 0) as first,
        callboard.started("run", "uneven.yaml", "-vv", "-o", "out") as process,
    ):
        await line_with(process.stdout, "this is slow")
        first.kill()
        async with callboard.worker("second", 0):
            early.terminate()
            async with asyncio.timeout(20):
                await early.communicate()
            [group] = json.loads((await callboard("list", "--json")).out)["groups"]
            assert group["state"] == "running"
            out, err = await process.communicate()
        assert process.returncode == 0, (out.decode(), err.decode())
