"""Devices of a devices file belong to one run at a time."""

import datetime as dt
import itertools
import json
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from tests.system.harness import Callboard, Test, definition

from callboard.events import RunEnded, RunStarted, read_log

RACK = "devices: {desk/1: {type: qemu}, desk-2: {type: qemu}, other: {type: x15}}\n"
ENDLESS = Test("t", ["echo under way", "sleep 600"])
SHORT = Test("t", ["lava-test-case x --result pass"])


def write(callboard: Callboard, name: str, test: Test, roles: str = "ab") -> Path:
    """A definition of one node a role, two as a rule."""
    path = callboard.folder / f"{name}.yaml"
    path.write_text(definition({role: [test] for role in roles}))
    return path


@pytest.fixture
def rack(callboard: Callboard) -> Path:
    path = callboard.folder / "rack.yaml"
    path.write_text(RACK)
    return path


def start(
    callboard: Callboard, path: Path, rack: Path, output: str, *options: str
) -> "subprocess.Popen[str]":
    return callboard.start(
        "run", str(path), "--json", "--devices", str(rack), "-o", output, *options
    )


def line_of(process: "subprocess.Popen[str]", text: str) -> None:
    """Wait until a process has said `text` on standard error."""
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it never said {text!r}")


def under_way(
    callboard: Callboard, output: str, process: "subprocess.Popen[str]", nodes: int = 2
) -> None:
    """Wait until the nodes of a run are in their tests."""
    log = callboard.folder / output / "events.jsonl"
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().count('"text":"under way"') == nodes):
        assert process.poll() is None
        assert time.monotonic() < deadline
        select.select([], [], [], 0.02)  # the log is a file: there is no event to wait for


def started_and_ended(callboard: Callboard, output: str) -> tuple[float, float]:
    """When a run had its devices, in seconds since 1970, as its log says."""
    events = list(read_log(callboard.folder / output / "events.jsonl"))
    [started] = [each.body for each in events if isinstance(each.body, RunStarted)]
    [ended] = [each.body for each in events if isinstance(each.body, RunEnded)]
    began_s = dt.datetime.fromisoformat(started.started_at or "").timestamp()
    return began_s, began_s + ended.duration_s


def busy(callboard: Callboard, rack: Path) -> set[str]:
    process = callboard.start("devices", "--json", "--devices", str(rack))
    stdout, _ = process.communicate(timeout=30)
    return {each["name"] for each in json.loads(stdout)["devices"] if each["busy"]}


def test_a_second_run_waits_until_the_first_gives_the_devices_back(
    callboard: Callboard, rack: Path
) -> None:
    first = start(callboard, write(callboard, "endless", ENDLESS), rack, "first")
    under_way(callboard, "first", first)
    assert busy(callboard, rack) == {"desk/1", "desk-2"}
    short = write(callboard, "short", SHORT)
    second = start(callboard, short, rack, "second")
    line_of(second, "waiting for devices; busy: desk-2, desk/1")
    assert not (callboard.folder / "second/events.jsonl").exists()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    stdout, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert {job["device"] for job in json.loads(stdout)["jobs"]} == {"desk/1", "desk-2"}
    assert busy(callboard, rack) == set()


def test_a_group_takes_no_device_while_it_can_not_have_all_that_it_needs(
    callboard: Callboard, rack: Path
) -> None:
    first = start(callboard, write(callboard, "alone", ENDLESS, "a"), rack, "first")
    under_way(callboard, "first", first, nodes=1)
    taken = busy(callboard, rack)
    assert len(taken) == 1
    second = start(callboard, write(callboard, "both", SHORT), rack, "second")
    line_of(second, "waiting for devices")
    assert busy(callboard, rack) == taken
    third = start(callboard, write(callboard, "other", SHORT, "a"), rack, "third")
    stdout, _ = third.communicate(timeout=30)
    assert third.returncode == 0
    [job] = json.loads(stdout)["jobs"]
    assert {job["device"]} == {"desk/1", "desk-2"} - taken
    assert second.poll() is None
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    stdout, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert {job["device"] for job in json.loads(stdout)["jobs"]} == {"desk/1", "desk-2"}


def test_runs_that_start_at_the_same_time_never_share_a_device(
    callboard: Callboard, rack: Path
) -> None:
    meeting = Test("t", [f"lava-sync {number}" for number in range(5)])
    path = write(callboard, "group", meeting)
    outputs = ["first", "second", "third"]
    runs = [start(callboard, path, rack, output) for output in outputs]
    for run in runs:
        stdout, _ = run.communicate(timeout=60)
        assert run.returncode == 0
        assert {job["device"] for job in json.loads(stdout)["jobs"]} == {"desk/1", "desk-2"}
    spans = sorted(started_and_ended(callboard, output) for output in outputs)
    for (_, ended_s), (began_s, _) in itertools.pairwise(spans):
        assert ended_s <= began_s


def test_devices_of_a_run_that_is_killed_go_to_the_run_that_waits_for_them(
    callboard: Callboard, rack: Path
) -> None:
    first = start(callboard, write(callboard, "endless", ENDLESS), rack, "first")
    under_way(callboard, "first", first)
    second = start(callboard, write(callboard, "short", SHORT), rack, "second")
    line_of(second, "waiting for devices")
    first.kill()
    killed_s = time.time()
    first.communicate(timeout=30)
    stdout, _ = second.communicate(timeout=30)
    assert second.returncode == 0
    assert {job["device"] for job in json.loads(stdout)["jobs"]} == {"desk/1", "desk-2"}
    began_s, _ = started_and_ended(callboard, "second")
    assert began_s - killed_s < 5  # it looks five times a second; the rest is for a busy machine


def test_a_run_gives_up_when_its_queue_time_is_over(callboard: Callboard, rack: Path) -> None:
    first = start(callboard, write(callboard, "endless", ENDLESS), rack, "first")
    under_way(callboard, "first", first)
    data = yaml.safe_load(definition({"a": [ENDLESS], "b": [ENDLESS]}))
    data["timeouts"]["queue"] = {"seconds": 1}
    path = callboard.folder / "hurried.yaml"
    path.write_text(yaml.safe_dump(data))
    second = start(callboard, path, rack, "second")
    stdout, stderr = second.communicate(timeout=30)
    assert second.returncode == 3
    assert json.loads(stdout)["status"] == "failed"
    assert "no free devices within 1 s (timeouts.queue): desk-2, desk/1" in stderr
    assert not (callboard.folder / "second").exists()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)


def test_ctrl_c_ends_the_wait_for_devices(callboard: Callboard, rack: Path) -> None:
    path = write(callboard, "endless", ENDLESS)
    first = start(callboard, path, rack, "first")
    under_way(callboard, "first", first)
    second = start(callboard, path, rack, "second")
    line_of(second, "waiting for devices")
    second.send_signal(signal.SIGINT)
    stdout, _ = second.communicate(timeout=30)
    assert second.returncode == 130
    assert json.loads(stdout)["status"] == "canceled"
    assert not (callboard.folder / "second").exists()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)


def test_a_run_without_sandbox_that_is_killed_is_swept_up_by_the_next(
    callboard: Callboard, rack: Path
) -> None:
    detached = Test("t", ["setsid sh -c 'trap \"\" HUP; sleep 600' &", *ENDLESS.steps])
    endless = write(callboard, "endless", detached)
    first = start(callboard, endless, rack, "first", "--no-sandbox")
    under_way(callboard, "first", first)
    first.kill()
    first.communicate(timeout=30)
    assert list(callboard.processes())
    assert busy(callboard, rack) == set()
    short = write(callboard, "short", Test("t", ["true"]))
    second = start(callboard, short, rack, "second")
    second.communicate(timeout=30)
    assert second.returncode == 0
    # The fixture sees that nothing of either run is left.


def test_a_device_for_rehearsals_is_never_a_runs(callboard: Callboard, rack: Path) -> None:
    rack.write_text("devices: {model: {type: qemu, driver: simulated}, desk: {type: qemu}}\n")
    ran = callboard.run(write(callboard, "one", SHORT, "a").read_text(), "--devices", str(rack))
    assert ran.exit_code == 0, ran.document
    assert [job["device"] for job in ran.document["jobs"]] == ["desk"]
