"""Workers that leave, or die, while they have jobs."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cluster.server import Server
from tests.cluster.workers import a_worker, cluster_devices, make_cluster
from tests.commandline import callboard

LONG = """\
job_name: long
visibility: public
timeouts: {job: {minutes: 5}}
device_type: qemu
actions:
- deploy: {to: tmpfs}
- boot: {method: qemu, prompts: ['#']}
- test:
    definitions:
    - from: inline
      name: long
      path: long.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: long}
        run:
          steps:
          - lava-test-case begun --result pass
          - sleep SECONDS
          - lava-test-case done --result pass
"""


@pytest.fixture
def short(own_server: Server, tmp_path: Path) -> Server:
    """A server with a cluster whose lease is short."""
    make_cluster(own_server, tmp_path)
    return own_server


@contextmanager
def _group(server: Server, folder: Path, seconds: int) -> Iterator["subprocess.Popen[str]"]:
    """A group of one job that takes a while, when it has begun."""
    file = folder / "long.yaml"
    file.write_text(LONG.replace("SECONDS", str(seconds)))
    command = [sys.executable, "-m", "callboard", "run", "--nats", server.url, "-o"]
    process = subprocess.Popen(
        [*command, str(folder / "run"), "--color", "never", "-v", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if "begun: pass" in line:
                break
        else:
            raise AssertionError(said)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_worker_that_drains_finishes_its_jobs(short: Server, tmp_path: Path) -> None:
    with (
        a_worker(short, "--name", "bench") as worker,
        _group(short, tmp_path, seconds=4) as group,
    ):
        worker.popen.send_signal(signal.SIGTERM)
        worker.until("draining")
        states = {each["state"] for each in cluster_devices(short, tmp_path)["devices"]}
        assert states == {"busy", "draining"}
        group.communicate(timeout=60)
        assert group.returncode == 0
        worker.until("ended")
        assert worker.popen.wait(30) == 0


def test_a_second_signal_ends_the_jobs_in_order(short: Server, tmp_path: Path) -> None:
    with (
        a_worker(short, "--name", "bench") as worker,
        _group(short, tmp_path, seconds=100) as group,
    ):
        worker.popen.send_signal(signal.SIGTERM)
        worker.until("draining")
        worker.popen.send_signal(signal.SIGTERM)
        worker.until("ending")
        group.communicate(timeout=60)
        assert group.returncode != 0
        assert worker.popen.wait(30) == 130


def test_the_job_of_a_worker_that_was_killed_fails_and_nothing_is_left_of_it(
    short: Server, tmp_path: Path
) -> None:
    own = tmp_path / "nodes"
    own.mkdir()
    with (
        a_worker(short, "--name", "stage", "--nodes", "0") as stage,
        a_worker(short, "--name", "bench", "--no-lead", TMPDIR=str(own)) as bench,
    ):
        stage.until("ready")
        bench.until("ready")
        with _group(short, tmp_path, seconds=100) as group:
            bench.end(signal.SIGKILL)
            with a_worker(short, "--name", "bench", "--no-lead", TMPDIR=str(own)) as again:
                again.until("ready")
                said, _ = group.communicate(timeout=60)
                assert group.returncode == 3
                assert "bench" in said
                assert again.end(signal.SIGTERM) == 0
                assert not list(own.iterdir())
        assert stage.end(signal.SIGTERM) == 0


def test_a_worker_that_drains_leaves_groups_that_wait_to_others(
    short: Server, tmp_path: Path
) -> None:
    with (
        a_worker(short, "--name", "bench", "--nodes", "1") as worker,
        _group(short, tmp_path, seconds=2) as group,
    ):
        waiting = callboard(tmp_path, "submit", "--nats", short.url, "-q", "long.yaml")
        assert waiting.returncode == 0, waiting.stderr
        assert worker.end(signal.SIGTERM) == 0
        group.communicate(timeout=60)
        assert group.returncode == 0
        with a_worker(short, "--name", "rack", "--nodes", "1"):
            ran = callboard(tmp_path, "attach", "--nats", short.url, waiting.stdout.strip())
        assert ran.returncode == 0, ran.stderr


def test_a_second_signal_ends_a_worker_whose_groups_go_on_elsewhere(
    short: Server, tmp_path: Path
) -> None:
    with (
        a_worker(short, "--name", "bench", "--no-lead"),
        a_worker(short, "--name", "stage", "--nodes", "0") as stage,
        _group(short, tmp_path, seconds=8) as group,
    ):
        stage.popen.send_signal(signal.SIGTERM)
        stage.until("draining")
        assert stage.end(signal.SIGTERM) == 130
        with a_worker(short, "--name", "again", "--nodes", "0"):
            group.communicate(timeout=60)
        assert group.returncode == 0


def test_a_worker_ends_its_jobs_and_leaves_also_while_the_servers_are_away(
    short: Server, tmp_path: Path
) -> None:
    own = tmp_path / "nodes"
    own.mkdir()
    with a_worker(short, "--name", "bench", TMPDIR=str(own)) as worker:
        worker.until("ready")
        with _group(short, tmp_path, seconds=100):
            short.kill()
            worker.until("note", "unreachable")
            worker.popen.send_signal(signal.SIGTERM)
            worker.until("draining")
            worker.popen.send_signal(signal.SIGTERM)
            worker.until("ending")
            assert worker.popen.wait(60) == 130
            assert not list(own.iterdir())
