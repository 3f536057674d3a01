"""Nodes that misbehave, and users who have had enough."""

import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from tests.commandline import CALLBOARD
from tests.system.harness import Callboard, Test, definition

from callboard.events import ConsoleOutput, JobEnded, RunEnded, TestCaseResult, read_log

PARENT = "ps -o ppid= -p"
CALM = Test("calm", ["lava-sync both", "lava-test-case fine --result pass"])


def test_binary_output_is_kept_apart_from_signals(callboard: Callboard) -> None:
    steps = [
        "head -c 200000 /dev/urandom",
        "printf '\\033[31m\\r\\033[K'",
        "lava-test-case coloured --result pass",
        "printf 'no line end'",
        "lava-test-case glued --result pass",
        "head -c 1000000 /dev/zero | tr '\\0' x",
        "lava-test-case after-a-megabyte --result pass",
        "lava-sync both",
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": [CALM]}))
    assert ran.exit_code == 0
    assert ran.results("a") == {
        "0_t/coloured": "pass",
        "0_t/glued": "pass",
        "0_t/after-a-megabyte": "pass",
        "0_t/multinode-sync-both": "pass",
    }
    for job in ran.document["jobs"]:
        yaml.load((ran.directory / f"jobs/{job['id']}/output.yaml").read_text(), yaml.CSafeLoader)


def test_a_flooded_console_keeps_its_signals_and_the_memory_bounded(callboard: Callboard) -> None:
    steps = [
        f"yes '{'flood ' * 6}' | head -c 10000000",
        "lava-test-case dry --result pass",
        "lava-sync both",
    ]
    path = callboard.write(definition({"a": [Test("t", steps)], "b": [CALM]}))
    # A process that has little memory itself, for a child counts what its parent had at the fork.
    measure = (
        "import resource, subprocess, sys\n"
        "ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
        "print(ended, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [*CALLBOARD, "run", str(path), "-q", "-o", str(callboard.folder / "run")]
    measured = subprocess.run(
        [sys.executable, "-c", measure, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=callboard.environment,
        timeout=90,
        check=True,
    )
    exit_code, peak_kib = map(int, measured.stdout.split())
    assert exit_code == 0
    assert peak_kib < 100 * 1024
    log = read_log(callboard.folder / "run/events.jsonl")
    cases = {each.body.case for each in log if isinstance(each.body, TestCaseResult)}
    assert {"dry", "fine"} <= cases


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        ("exec <&-; lava-wait never", None),
        (f"kill -9 $({PARENT} $PPID); sleep 30", "TestError"),
        ("kill -9 0", "InfrastructureError"),
        (f"kill -9 $({PARENT} $({PARENT} $PPID)); sleep 30", "InfrastructureError"),
    ],
    ids=["closed stdin", "killed runner", "killed group", "killed shell"],
)
def test_the_other_nodes_go_on_when_one_breaks(
    callboard: Callboard, step: str, kind: str | None
) -> None:
    ran = callboard.run(
        definition(
            {
                "a": [Test("t", ["lava-sync both", step])],
                "b": [CALM, Test("more", ["lava-test-case more --result pass"])],
            },
            limit_s=5,
            action_s=5,
        )
    )
    assert ran.exit_code in (1, 3)
    assert ran.suites("a").get("0_t") == "fail"
    assert ran.results("b") == {
        "0_calm/multinode-sync-both": "pass",
        "0_calm/fine": "pass",
        "1_more/more": "pass",
    }
    assert ran.jobs("b")[0]["health"] == "complete"
    if kind is not None:
        assert ran.jobs("a")[0]["error"]["type"] == kind


def test_background_processes_end_with_their_node(callboard: Callboard) -> None:
    steps = [
        "setsid sleep 4711 >/dev/null 2>&1 &",
        "nohup sh -c 'trap \"\" TERM HUP INT; sleep 4712' >/dev/null 2>&1 &",
        "(setsid sh -c 'sleep 4713 & wait' &)",
        "lava-background-process-start ticker --cmd 'sleep 4714'",
        "lava-test-case started --result pass",
    ]
    ran = callboard.run(definition({"a": [Test("t", steps)], "b": []}))
    assert ran.exit_code == 0
    assert ran.results("a") == {"0_t/started": "pass"}
    assert list(callboard.processes()) == []


def test_a_test_that_never_ends_is_ended_by_its_action(callboard: Callboard) -> None:
    ran = callboard.run(
        definition({"a": [Test("t", ["sleep 600"])], "b": [Test("t", ["true"])]}, action_s=2)
    )
    assert (ran.exit_code, ran.document["status"]) == (3, "incomplete")
    error = ran.jobs("a")[0]["error"]
    assert (error["type"], error["message"]) == (
        "TestError",
        "multinode-test did not end within 2 s",
    )
    assert ran.suites("a") == {"0_t": "fail"}
    assert ran.jobs("b")[0]["health"] == "complete"


# Interruptions


def _wait_until_under_way(log: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until both nodes of a run are in their endless steps."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if log.exists() and log.read_text().count('"text":"under way"') == 2:
            return
        assert process.poll() is None, process.communicate()
        select.select([], [], [], 0.02)  # the log is a file: there is no event to wait for
    raise AssertionError("the nodes never were under way")


def _endless(callboard: Callboard, step: str = "echo under way; sleep 600") -> tuple[Path, Path]:
    steps = ["lava-test-case before --result pass", step]
    path = callboard.write(definition({"a": [Test("t", steps)], "b": [Test("t", steps)]}))
    return path, callboard.folder / "run"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_torn_down_in_order(
    callboard: Callboard, number: signal.Signals
) -> None:
    path, directory = _endless(callboard)
    process = callboard.start("run", str(path), "--json", "-o", str(directory))
    _wait_until_under_way(directory / "events.jsonl", process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    assert (document["status"], document["exit_code"]) == ("canceled", 130)
    for job in document["jobs"]:
        assert job["health"] == "canceled"
        assert "before" in [each["case"] for each in job["results"]]
    assert (directory / "results.yaml").exists()
    events = list(read_log(directory / "events.jsonl"))
    assert isinstance(events[-1].body, RunEnded)
    assert sum(isinstance(each.body, JobEnded) for each in events) == 2


def test_a_second_ctrl_c_ends_the_run_now(callboard: Callboard) -> None:
    path, directory = _endless(callboard, "trap '' INT TERM HUP; echo under way; sleep 600")
    process = callboard.start("run", str(path), "--json", "-o", str(directory))
    _wait_until_under_way(directory / "events.jsonl", process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert json.loads(stdout)["exit_code"] == 130


def test_an_unwritable_directory_stops_before_anything_starts(callboard: Callboard) -> None:
    path, _ = _endless(callboard)
    (callboard.folder / "file").write_text("")
    process = callboard.start("run", str(path), "--json", "-o", "file/run")
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert json.loads(stdout)["status"] == "invalid"
    assert "Traceback" not in stderr


def test_a_disk_that_fills_ends_the_run_with_one_clear_error(callboard: Callboard) -> None:
    path, directory = _endless(callboard, "yes | head -c 20000000; sleep 600")
    limited = ["/bin/bash", "-c", 'trap "" XFSZ; ulimit -f 200; exec "$@"', "-"]
    process = subprocess.Popen(
        [*limited, *CALLBOARD, "run", str(path), "--json", "-o", str(directory)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=callboard.folder,
        env=callboard.environment,
        text=True,
    )
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, (stdout, stderr)
    assert "Traceback" not in stderr
    assert stderr.count("error:") == 1
    assert json.loads(stdout)["exit_code"] == 3


def test_the_log_names_what_every_node_printed(callboard: Callboard) -> None:
    ran = callboard.run(
        definition({"a": [Test("t", ["echo only a"])], "b": [Test("t", ["echo only b"])]})
    )
    printed = [each.body for each in ran.events(ConsoleOutput)]
    jobs = {each.text: each.job for each in printed if isinstance(each, ConsoleOutput)}
    assert jobs["only a"] == ran.jobs("a")[0]["id"]
    assert jobs["only b"] == ran.jobs("b")[0]["id"]
