"""The worker's process: it comes, is seen, drains, dies, and comes back."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from attrs import evolve
from tests.cluster.server import Server
from tests.cluster.workers import a_worker, cluster_devices, make_cluster
from tests.commandline import callboard

from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.records import Registration, decode, encode


@pytest.fixture
def short(own_server: Server, tmp_path: Path) -> Server:
    """A server with a cluster whose lease is short."""
    make_cluster(own_server, tmp_path)
    return own_server


def test_a_worker_offers_devices_of_a_file_and_leaves_when_it_is_told(
    short: Server, tmp_path: Path
) -> None:
    file = tmp_path / "devices.yaml"
    file.write_text("devices: {rack-1: {type: qemu, driver: local, tags: [usb]}}\n")
    with a_worker(short, "--name", "bench", "--no-lead", "--devices", str(file)) as worker:
        ready = worker.until("ready")
        assert ready["text"].endswith(f"offers 1 device of {file}, leads no groups")
        found = cluster_devices(short, tmp_path)
        assert [each["name"] for each in found["workers"]] == ["bench"]
        assert found["devices"] == [
            {
                "worker": "bench",
                "name": "rack-1",
                "type": "qemu",
                "driver": "local",
                "tags": ["usb"],
                "state": "free",
                "group": None,
                "jobs": [],
            }
        ]
        assert worker.end(signal.SIGTERM) == 0
        assert cluster_devices(short, tmp_path)["workers"] == []


def test_without_a_file_it_offers_throw_away_nodes_of_any_type(
    short: Server, tmp_path: Path
) -> None:
    with a_worker(short, "--name", "bench", "--no-lead", "--nodes", "2") as worker:
        worker.until("ready", "offers 2 throw-away nodes")
        found = cluster_devices(short, tmp_path)["devices"]
        local = [each for each in found if each["driver"] == "local"]
        assert [(each["name"], each["type"]) for each in local] == [
            ("local-1", None),
            ("local-2", None),
        ]
        table = callboard(tmp_path, "devices", "--nats", short.url).stdout.splitlines()
        [row] = [line.split() for line in table if "local" in line]
        assert row == ["bench", "local-1..2", "2", "any", "local", "-", "free", "-"]


def test_a_second_worker_of_the_machine_and_name_is_refused(short: Server, tmp_path: Path) -> None:
    with a_worker(short, "--name", "bench", "--no-lead") as worker:
        worker.until("ready")
        ran = callboard(tmp_path, "worker", "--nats", short.url, "--name", "bench", "--no-lead")
        assert ran.returncode == 2
        assert "error[CB273]: a worker called bench runs on this machine already" in ran.stderr


def test_a_worker_of_that_name_on_another_machine_is_refused(short: Server, tmp_path: Path) -> None:
    with a_worker(short, "--name", "bench", "--no-lead") as worker:
        worker.until("ready")
        elsewhere = str(tmp_path / "elsewhere")
        with a_worker(short, "--name", "bench", "--no-lead", CALLBOARD_STATE=elsewhere) as second:
            second.until("note", "waiting to see whether it lives")
            assert second.popen.wait(30) == 2
            assert "error[CB273]: another worker is called bench, and lives" in second.rest()


def test_a_worker_in_the_background_of_a_script_is_ended_by_sigterm_alone(short: Server) -> None:
    background = ("sh", "-c", '"$@" & echo $!; wait $!', "sh")  # which has it ignore SIGINT
    with a_worker(short, "--name", "back", prefix=background) as worker:
        assert worker.popen.stdout is not None
        pid = int(worker.popen.stdout.readline())
        try:
            worker.until("ready")
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
            assert worker.until("draining")["text"].startswith("SIGTERM: ")
            worker.until("ended")
            assert worker.popen.wait(30) == 0
        finally:
            if worker.popen.poll() is None:  # so that the shell's child is there, too
                os.kill(pid, signal.SIGKILL)
    assert "ending" not in {each["fact"] for each in worker.facts}


def test_a_worker_that_was_killed_takes_its_entry_back_at_once(
    short: Server, tmp_path: Path
) -> None:
    with a_worker(short, "--name", "bench", "--no-lead") as worker:
        worker.until("ready")
        before = cluster_devices(short, tmp_path)["workers"][0]["incarnation"]
        worker.end(signal.SIGKILL)
    with a_worker(short, "--name", "bench", "--no-lead") as worker:
        worker.until("ready")
        assert worker.facts[:-1] == []  # it has watched nobody
        after = cluster_devices(short, tmp_path)["workers"][0]["incarnation"]
        assert after != before


def test_a_worker_outlives_its_server(short: Server, tmp_path: Path) -> None:
    with a_worker(short, "--name", "bench", "--no-lead") as worker:
        worker.until("ready")
        short.kill()
        worker.until("note", "NATS is unreachable; everything waits")
        short.start()
        worker.until("note", "NATS is back")
        assert [each["name"] for each in cluster_devices(short, tmp_path)["workers"]] == ["bench"]
        assert worker.end(signal.SIGTERM) == 0
        assert "Traceback" not in worker.rest()


async def _usurp(server: Server) -> None:
    """Write another worker's entry over that of `bench`."""
    async with connect(Access(server.url), name="test", note=print) as cluster:
        bucket = cluster.bucket(subjects.WORKERS)
        entry = decode((await bucket.get("bench")).value or b"", Registration)
        await bucket.put("bench", encode(evolve(entry, incarnation="2", machine="another")))


@pytest.mark.parametrize("lead", [[], ["--no-lead"]])
def test_a_worker_whose_name_was_taken_ends_and_says_so(short: Server, lead: list[str]) -> None:
    with a_worker(short, "--name", "bench", *lead) as worker:
        worker.until("ready")
        asyncio.run(_usurp(short))
        assert worker.popen.wait(30) == 2
        said = worker.rest()
        assert "error[CB273]: another worker has taken the name bench" in said
        assert "Traceback" not in said


def test_a_worker_whose_server_stands_still_waits_for_it(short: Server) -> None:
    with a_worker(short, "--name", "bench") as worker:
        worker.until("ready")
        short.pause()
        worker.until("note", "NATS is unreachable; everything waits")
        short.resume()
        worker.until("note", "NATS is back")
        assert worker.end(signal.SIGTERM) == 0
        assert "Traceback" not in worker.rest()


def test_a_worker_can_leave_while_its_server_is_away(short: Server) -> None:
    with a_worker(short, "--name", "bench") as worker:
        worker.until("ready")
        short.kill()
        worker.until("note", "NATS is unreachable; everything waits")
        assert worker.end(signal.SIGTERM) == 0
        assert "Traceback" not in worker.rest()


def test_a_worker_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    ran = callboard(tmp_path, "worker", "--nats", "nats://127.0.0.1:1")
    assert ran.returncode == 3
    assert "error[CB270]: NATS can't be reached at nats://127.0.0.1:1" in ran.stderr
    assert "callboard cluster dev" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no cluster is named"),
        (["--nats", "nats://127.0.0.1:1", "--name", "a.b"], "'a.b' can't be a worker's name"),
        (["--nats", "nats://127.0.0.1:1", "--name", ".."], "'..' can't be a worker's name"),
        (["--nats", "nats://127.0.0.1:1", "--nodes", "0", "--no-lead"], "there is nothing to do"),
        (["--nats", "nats://127.0.0.1:1", "--devices", "none.yaml"], "none.yaml"),
        (["--nats", "nats://127.0.0.1:1", "--nodes", "-1"], "-1"),
    ],
)
def test_what_can_be_no_worker_is_refused(arguments: list[str], said: str, tmp_path: Path) -> None:
    ran = callboard(tmp_path, "worker", *arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
