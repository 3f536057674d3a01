"""The verbs of the command line for groups of a cluster, in processes of their own."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.cluster.leaders import alter, cancelled, events_of, lead, submitted, write
from tests.cluster.server import Server

from callboard.cluster import subjects
from callboard.cluster.connection import Cluster
from callboard.cluster.records import Settings
from callboard.definition import load
from callboard.events import RunEnded, read_log

pytestmark = pytest.mark.asyncio

PAIR = """\
job_name: pair
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      left: {device_type: qemu, count: 1}
      right: {device_type: qemu, count: 2}
actions:
- deploy: {role: [left, right], to: tmpfs}
- boot: {role: [left, right], method: qemu, prompts: ['#']}
"""


class Shell:
    """A folder with a definition, and callboard on the command line in it.

    Attributes:
        folder: The folder.
        cluster: The cluster that is named in the environment.
    """

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.folder = folder
        self.cluster = cluster
        self._environment = os.environ | {"CALLBOARD_NATS": cluster.access.url}
        (folder / "pair.yaml").write_text(PAIR)
        self.definition = load(folder / "pair.yaml")

    async def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """Standard output and error of a command that exits with a code."""
        async with self.started(*arguments) as process:
            out, err = await process.communicate()
        assert process.returncode == code, err.decode()
        return out.decode(), err.decode()

    @asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[Process]:
        """A command that runs; it is killed at the end if it still does."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "callboard", *arguments),
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.folder,
            env=self._environment,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def lead(self, group: str, *, code: int = 0) -> None:
        """Lead a group to its end."""
        ended = RunEnded("complete", code, 1.0)
        await lead(self.cluster, group, events_of(self.definition, group, 1, ended), code)


@pytest.fixture
def callboard(cluster: Cluster, tmp_path: Path) -> Shell:
    return Shell(tmp_path, cluster)


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """The next line that has a text."""
    assert stream is not None
    async for line in stream:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"no line has {text!r}")


async def test_a_submitted_group_is_listed_led_and_shown_again(callboard: Shell) -> None:
    out, err = await callboard("submit", "pair.yaml")
    group = out.strip()
    assert "warning[CB278]: the cluster lacks a device of type qemu (role left)" in err
    out, _ = await callboard("list")
    line = out.split("\n")[1]  # all of it: nobody's terminal is too narrow
    assert line.split()[:4] == [group[:8], "pair", "3", "queued"]
    assert line.rstrip().endswith("waiting for `callboard worker --nats URL`")
    await callboard.lead(group, code=1)
    assert (await callboard("list"))[0] == ""
    out, _ = await callboard("list", "--all")
    assert "ended" in out
    assert "complete, exit code 1" in out
    out, _ = await callboard("attach", group[:6], "-o", "again", code=1)
    assert "1 left: complete" in out
    assert "results in again" in out
    assert list(read_log(callboard.folder / "again/events.jsonl")) == events_of(
        callboard.definition, group, 1, RunEnded("complete", 1, 1.0)
    )
    names = {path.name for path in (callboard.folder / "again").iterdir()}
    assert names == {"events.jsonl", "results.yaml", "junit.xml", "jobs"}


async def test_documents_are_one_document_for_every_verb(callboard: Shell) -> None:
    made = json.loads((await callboard("submit", "pair.yaml", "--json", "--first-id", "7"))[0])
    group = made["group"]
    assert (made["name"], made["nodes"], made["first_id"]) == ("pair", 3, 7)
    assert [each["code"] for each in made["diagnostics"]] == ["CB278"]
    [listed] = json.loads((await callboard("list", "--json"))[0])["groups"]
    assert (listed["group"], listed["state"], listed["first_id"]) == (group, "queued", 7)
    assert "no worker that leads groups is there" in listed["waits_for"]
    ended = json.loads((await callboard("cancel", group, "--json", "--reason", "enough"))[0])
    assert ended == {"group": group, "name": "pair", "cancel": "enough"}
    [listed] = json.loads((await callboard("list", "--json"))[0])["groups"]
    assert (listed["state"], listed["cancel"]) == ("ending", "enough")
    await callboard.lead(group)
    again = json.loads((await callboard("attach", group, "--json"))[0])
    assert (again["group"], again["exit_code"], again["directory"]) == (group, 0, None)
    assert len(again["jobs"]) == 3
    logged = json.loads((await callboard("logs", group, "--json"))[0])
    assert logged["group"] == group
    assert [each["seq"] for each in logged["events"]] == list(range(1, 18))
    refused = json.loads((await callboard("cancel", group, "--json", code=2))[0])
    assert [each["code"] for each in refused["diagnostics"]] == ["CB281"]


async def test_a_log_is_printed_as_lines_or_events_of_all_or_one_role(callboard: Shell) -> None:
    group = (await callboard("submit", "pair.yaml", "-q"))[0].strip()
    _, err = await callboard("logs", group)
    assert "nothing has happened yet: no worker that leads groups is there" in err
    events = events_of(callboard.definition, group, 1)
    last = await write(callboard.cluster, group, events[:8])
    out, _ = await callboard("logs", group)
    assert [line.split(maxsplit=1)[1] for line in out.splitlines()] == [
        "1 left: warning: hello from 1",
        "1 left: complete",
    ]
    async with callboard.started("logs", group, "-f", "-v", "--role", "right") as process:
        await alter(callboard.cluster, group, state="running")
        await write(callboard.cluster, group, events[8:], last)
        printed, _ = await process.communicate()
    assert process.returncode == 0
    assert [line.split(maxsplit=1)[1] for line in printed.decode().splitlines()] == [
        line
        for job in (2, 3)
        for line in (
            f"{job} right: warning: hello from {job}",
            f"{job} right: | console of {job}",
            f"{job} right: complete",
        )
    ]
    (callboard.folder / "raw").write_text((await callboard("logs", group, "--raw"))[0])
    assert list(read_log(callboard.folder / "raw")) == events
    assert "there are: left, right" in (await callboard("logs", group, "--role", "x", code=2))[1]


async def test_a_run_is_recorded_here_as_if_it_had_run_here(callboard: Shell) -> None:
    options = ("-o", "out", "--deadlock-grace", "3", "--no-fail-fast", "--junit", "j.xml")
    async with callboard.started("run", "pair.yaml", *options) as process:
        group, record = await submitted(callboard.cluster)
        assert record.settings == Settings(fail_fast=False, deadlock_grace_s=3.0)
        await callboard.lead(group, code=1)
        out, err = await process.communicate()
    assert process.returncode == 1
    assert f"submitted as {group[:8]}" in err.decode()
    assert "results in out" in out.decode()
    folder = callboard.folder / "out"
    assert {each.name for each in folder.iterdir()} == {"events.jsonl", "results.yaml", "jobs"}
    assert (callboard.folder / "j.xml").exists()


async def test_an_interrupted_run_ends_the_group_and_waits_for_that(callboard: Shell) -> None:
    async with callboard.started("run", "pair.yaml", "--json", "-o", "out") as process:
        group, _ = await submitted(callboard.cluster)
        await line_with(process.stderr, "submitted as")
        process.send_signal(signal.SIGINT)
        assert await cancelled(callboard.cluster, group) == "interrupted by SIGINT"
        ended = RunEnded("canceled", 130, 1.0)
        await write(callboard.cluster, group, events_of(callboard.definition, group, 1, ended))
        out, err = await process.communicate()
    assert process.returncode == 130
    assert "ending the group in order" in err.decode()
    assert json.loads(out)["status"] == "canceled"


async def test_a_second_interrupt_leaves_a_group_that_goes_on_ending(callboard: Shell) -> None:
    async with callboard.started("run", "pair.yaml") as process:
        group, _ = await submitted(callboard.cluster)
        await line_with(process.stderr, "submitted as")
        process.send_signal(signal.SIGINT)
        await cancelled(callboard.cluster, group)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert "leaving the group, which goes on ending" in err.decode()
    assert not (callboard.folder / "callboard-runs").exists()


async def test_a_killed_run_takes_nothing_with_it(callboard: Shell) -> None:
    async with callboard.started("run", "pair.yaml") as process:
        group, _ = await submitted(callboard.cluster)
        process.kill()
        await process.communicate()
    events = events_of(callboard.definition, group, 1)
    last = await write(callboard.cluster, group, events[:4])
    async with callboard.started("attach", group[:8], "-v") as process:
        await write(callboard.cluster, group, events[4:], last)
        out, _ = await process.communicate()
    assert process.returncode == 0
    assert "hello from 3" in out.decode()


async def test_who_is_attached_can_leave_and_the_group_goes_on(callboard: Shell) -> None:
    group = (await callboard("submit", "pair.yaml", "-q"))[0].strip()
    await write(callboard.cluster, group, events_of(callboard.definition, group, 1)[:8])
    async with callboard.started("attach", group) as process:
        await line_with(process.stdout, "hello from 1")
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert "leaving the group, which goes on" in err.decode()
    assert '"ending"' not in (await callboard("list", "--json"))[0]


async def test_a_group_that_never_got_devices_is_no_run(callboard: Shell) -> None:
    async with callboard.started("run", "pair.yaml", "-o", "out") as process:
        group, _ = await submitted(callboard.cluster)
        problem = "no devices within 60 s"
        await alter(callboard.cluster, group, state="ended", problem=problem, exit_code=3)
        _, err = await process.communicate()
    assert process.returncode == 3
    assert "error[CB282]: no devices within 60 s" in err.decode()
    assert not (callboard.folder / "out").exists()
    assert problem in (await callboard("list", "--all"))[0]
    assert f"it has never run: {problem}" in (await callboard("logs", group))[1]


async def test_a_reader_that_goes_away_ends_a_log(callboard: Shell) -> None:
    group = (await callboard("submit", "pair.yaml", "-q"))[0].strip()
    await callboard.lead(group)
    read, write_end = os.pipe()
    os.close(read)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "callboard", "logs", group, "-f"),
            *("--nats", callboard.cluster.access.url),
            stdout=write_end,
            stderr=PIPE,
        )
        _, err = await process.communicate()
    finally:
        os.close(write_end)
    assert process.returncode != 0
    assert err == b""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["attach", "nobody"], 2, "error[CB276]: there is no group 'nobody' on the cluster at"),
        (["logs", "nobody"], 2, "error[CB276]"),
        (["cancel", "nobody"], 2, "error[CB276]"),
        (["attach", "x", "--junit", "j.xml"], 2, "--junit needs a run directory"),
        (["submit", "none.yaml"], 2, "none.yaml"),
        (["submit", "vlan.yaml"], 2, "error[CB277]: VLANs such as `one` are not made between"),
        (["submit", "circle.yaml"], 4, "the group can't finish, so nothing was started"),
        (["list", "--nats", "nats://127.0.0.1:1"], 3, "error[CB270]"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_what_can_not_be_done_is_refused_with_its_reason(
    callboard: Shell, arguments: list[str], code: int, message: str
) -> None:
    scenarios = Path(__file__).parents[2] / "scenarios"
    (callboard.folder / "circle.yaml").write_text((scenarios / "circle.yaml").read_text())
    vlan = PAIR.replace(
        "actions:", "  lava-vland: {left: {one: {tags: []}}, right: {one: {tags: []}}}\nactions:"
    )
    (callboard.folder / "vlan.yaml").write_text(vlan)
    assert message in (await callboard(*arguments, code=code))[1]
    assert json.loads((await callboard("list", "--all", "--json"))[0]) == {"groups": []}


async def test_a_verb_without_a_cluster_says_how_to_name_one(
    callboard: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBOARD_NATS", raising=False)
    callboard._environment.pop("CALLBOARD_NATS")
    for verb in (["list"], ["attach", "x"], ["logs", "x"], ["cancel", "x"]):
        assert "no cluster is named" in (await callboard(*verb, code=2))[1]


async def test_a_server_without_a_cluster_is_said_to_have_none(
    own_server: Server, callboard: Shell
) -> None:
    _, err = await callboard("list", "--nats", own_server.url, code=3)
    assert "error[CB283]: there is no callboard cluster on the NATS server" in err
    assert subjects.GROUPS not in err


async def test_a_run_waits_while_the_servers_are_away(callboard: Shell, server: Server) -> None:
    async with callboard.started("run", "pair.yaml") as process:
        group, _ = await submitted(callboard.cluster)
        events = events_of(callboard.definition, group, 1)
        last = await write(callboard.cluster, group, events[:8])
        await line_with(process.stdout, "hello from 1")
        server.kill()
        await line_with(process.stderr, "NATS is unreachable; everything waits")
        server.start()
        await line_with(process.stderr, "NATS is back")
        await write(callboard.cluster, group, events[8:], last)
        assert process.stdout is not None
        await process.stdout.read()
        await process.wait()
    assert process.returncode == 0
