"""The verbs of the command line for groups of a cluster, in processes of their own."""

import json
import signal
from pathlib import Path

import pytest
from tests.cluster.leaders import alter, cancelled, events_of, lead, submitted, write
from tests.cluster.server import Server
from tests.cluster.shell import Shell, line_with
from tests.commandline import nobody_reads

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


class Stage(Shell):
    """A folder with a definition, and a cluster.

    Attributes:
        cluster: The cluster.
    """

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder, cluster.access.url)
        self.cluster = cluster
        (folder / "pair.yaml").write_text(PAIR)
        self.definition = load(folder / "pair.yaml")

    async def lead(self, group: str, *, code: int = 0) -> None:
        """Lead a group to its end."""
        ended = RunEnded("complete", code, 1.0)
        await lead(self.cluster, group, events_of(self.definition, group, 1, ended), code)


@pytest.fixture
def callboard(cluster: Cluster, tmp_path: Path) -> Stage:
    return Stage(tmp_path, cluster)


async def test_a_submitted_group_is_listed_led_and_shown_again(callboard: Stage) -> None:
    out, err = await callboard("submit", "pair.yaml")
    group = out.strip()
    assert "warning[CB278]: the cluster lacks a device of type qemu (role left)" in err
    out, _ = await callboard("list")
    line = out.split("\n")[1]  # all of it: nobody's terminal is too narrow
    assert line.split()[:4] == [group[:8], "pair", "3", "queued"]
    assert line.rstrip().endswith("waiting for `callboard worker --nats URL`")
    await callboard.lead(group, code=1)
    assert (await callboard("list")).out == ""
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


async def test_a_group_that_runs_is_listed_with_what_it_waits_for(callboard: Stage) -> None:
    group = (await callboard("submit", "pair.yaml", "-q")).out.strip()
    await alter(callboard.cluster, group, state="running")
    waits = "no worker that leads groups is there; waiting for `callboard worker --nats URL`"
    assert waits in (await callboard("list")).out
    [listed] = json.loads((await callboard("list", "--json")).out)["groups"]
    assert (listed["state"], listed["waits_for"]) == ("running", waits)


async def test_documents_are_one_document_for_every_verb(callboard: Stage) -> None:
    made = json.loads((await callboard("submit", "pair.yaml", "--json", "--first-id", "7")).out)
    group = made["group"]
    assert (made["name"], made["nodes"], made["first_id"]) == ("pair", 3, 7)
    assert [each["code"] for each in made["diagnostics"]] == ["CB278"]
    [listed] = json.loads((await callboard("list", "--json")).out)["groups"]
    assert (listed["group"], listed["state"], listed["first_id"]) == (group, "queued", 7)
    assert "no worker that leads groups is there" in listed["waits_for"]
    ended = json.loads((await callboard("cancel", group, "--json", "--reason", "enough")).out)
    assert ended == {"group": group, "name": "pair", "cancel": "enough"}
    [listed] = json.loads((await callboard("list", "--json")).out)["groups"]
    assert (listed["state"], listed["cancel"]) == ("ending", "enough")
    await callboard.lead(group)
    again = json.loads((await callboard("attach", group, "--json")).out)
    assert (again["group"], again["exit_code"], again["directory"]) == (group, 0, None)
    assert len(again["jobs"]) == 3
    logged = json.loads((await callboard("logs", group, "--json")).out)
    assert logged["group"] == group
    assert [each["seq"] for each in logged["events"]] == list(range(1, 18))
    refused = json.loads((await callboard("cancel", group, "--json", code=2)).out)
    assert [each["code"] for each in refused["diagnostics"]] == ["CB281"]


async def test_a_log_is_printed_as_lines_or_events_of_all_or_one_role(callboard: Stage) -> None:
    group = (await callboard("submit", "pair.yaml", "-q")).out.strip()
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
    (callboard.folder / "raw").write_text((await callboard("logs", group, "--raw")).out)
    assert list(read_log(callboard.folder / "raw")) == events
    assert "there are: left, right" in (await callboard("logs", group, "--role", "x", code=2)).err


async def test_a_run_is_recorded_here_as_if_it_had_run_here(callboard: Stage) -> None:
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


async def test_an_interrupted_run_ends_the_group_and_waits_for_that(callboard: Stage) -> None:
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


async def test_a_second_interrupt_leaves_a_group_that_goes_on_ending(callboard: Stage) -> None:
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


async def test_a_killed_run_takes_nothing_with_it(callboard: Stage) -> None:
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


async def test_who_is_attached_can_leave_and_the_group_goes_on(callboard: Stage) -> None:
    group = (await callboard("submit", "pair.yaml", "-q")).out.strip()
    await write(callboard.cluster, group, events_of(callboard.definition, group, 1)[:8])
    async with callboard.started("attach", group) as process:
        await line_with(process.stdout, "hello from 1")
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
    assert process.returncode == 130
    assert "leaving the group, which goes on" in err.decode()
    assert '"ending"' not in (await callboard("list", "--json")).out


async def test_a_group_that_never_got_devices_is_no_run(callboard: Stage) -> None:
    async with callboard.started("run", "pair.yaml", "-o", "out") as process:
        group, _ = await submitted(callboard.cluster)
        problem = "no devices within 60 s"
        await alter(callboard.cluster, group, state="ended", problem=problem, exit_code=3)
        _, err = await process.communicate()
    assert process.returncode == 3
    assert "error[CB282]: no devices within 60 s" in err.decode()
    assert not (callboard.folder / "out").exists()
    assert problem in (await callboard("list", "--all")).out
    assert f"it has never run: {problem}" in (await callboard("logs", group)).err


@pytest.mark.parametrize("option", ["-v", "--follow", "--raw", "--json"])
async def test_a_reader_that_goes_away_ends_a_log(callboard: Stage, option: str) -> None:
    group = (await callboard("submit", "pair.yaml", "-q")).out.strip()
    await callboard.lead(group)
    with nobody_reads() as pipe:
        async with callboard.started("logs", group, option, stdout=pipe) as process:
            _, err = await process.communicate()
    assert (process.returncode, err) == (128 + signal.SIGPIPE, b"")


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
        (["list", "--creds", "pair.yaml"], 2, "error[CB284]: pair.yaml is no credentials file"),
        (["list", "--creds", "none"], 2, "error[CB284]: none (credentials file) can't be read"),
        (["list", "--tls-ca", "pair.yaml"], 2, "error[CB284]: pair.yaml can't be used"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
async def test_what_can_not_be_done_is_refused_with_its_reason(
    callboard: Stage, arguments: list[str], code: int, message: str
) -> None:
    scenarios = Path(__file__).parents[2] / "scenarios"
    (callboard.folder / "circle.yaml").write_text((scenarios / "circle.yaml").read_text())
    vlan = PAIR.replace(
        "actions:", "  lava-vland: {left: {one: {tags: []}}, right: {one: {tags: []}}}\nactions:"
    )
    (callboard.folder / "vlan.yaml").write_text(vlan)
    assert message in (await callboard(*arguments, code=code)).err
    assert json.loads((await callboard("list", "--all", "--json")).out) == {"groups": []}


async def test_a_verb_without_a_cluster_says_how_to_name_one(
    callboard: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLBOARD_NATS", raising=False)
    callboard.environment = {}
    for verb in (["list"], ["attach", "x"], ["logs", "x"], ["cancel", "x"]):
        assert "no cluster is named" in (await callboard(*verb, code=2)).err


async def test_a_server_without_a_cluster_is_said_to_have_none(
    own_server: Server, callboard: Stage
) -> None:
    _, err = await callboard("list", "--nats", own_server.url, code=3)
    assert "error[CB283]: there is no callboard cluster on the NATS server" in err
    assert subjects.GROUPS not in err


async def test_a_run_waits_while_the_servers_are_away(callboard: Stage, server: Server) -> None:
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
