"""Thousands who say nothing, and a machine without descriptors: the others are answered."""

import resource
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

import pytest
from tests.coordinator.hosting import document
from tests.coordinator.real import ask
from tests.coordinator.running import Coordinator

from callboard.coordinator.terms import Terms

ROOT = Path(__file__).parents[2]
IDLE = 10_000
SPARE = 200
PROMPT_S = 0.1
SHARED_S = 5 * PROMPT_S
"""What 99 of 100 may take where other tests have the cores at times."""

PAUSE_S = 0.001
"""Between two requests of those who are to be answered, for a machine remembers connections."""


@contextmanager
def _idlers(
    ours: Coordinator, count: int, sources: list[str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """So many connections from these addresses, on which nothing is said."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.coordinator.idlers", str(ours.port), str(count), *sources],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _status(pid: int, name: str) -> int:
    """What the kernel says of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def _wait_s(ours: Coordinator) -> float:
    """How long a request takes."""
    begun_s = time.monotonic()
    assert ask(ours.address, document("group_data"))["response"] == "wait"
    return time.monotonic() - begun_s


def _slowest(waits_s: list[float]) -> float:
    """What 99 of 100 take at most."""
    return quantiles(waits_s, n=100, method="inclusive")[-1]


def test_no_client_waits_for_the_kernel_to_make_room_for_more_of_them(tmp_path: Path) -> None:
    with Coordinator(tmp_path) as ours:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert _status(ours.pid, "FDSize") >= min(Terms().connections, hard - SPARE)


@pytest.mark.parametrize("addresses", [1, 20])
def test_ten_thousand_who_say_nothing_keep_nobody_waiting(tmp_path: Path, addresses: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, hard - SPARE)
    sources = [f"127.0.1.{number}" for number in range(1, addresses + 1)]
    with Coordinator(tmp_path, ["--request-time", "60"]) as ours:
        _wait_s(ours)
        before = _status(ours.pid, "VmRSS")
        with _idlers(ours, count, sources) as idlers:
            assert idlers.stdout is not None
            coming = [_wait_s(ours)]
            while not select.select([idlers.stdout], [], [], PAUSE_S)[0]:
                coming.append(_wait_s(ours))
            there = [_wait_s(ours) for _ in range(100)]
            grown = _status(ours.pid, "VmRSS") - before
        for waits_s in (coming, there):
            assert median(waits_s) < PROMPT_S
            assert _slowest(waits_s) < SHARED_S
        assert grown < 100 << 10
        assert ours.stop() == 0
        log = ours.log.splitlines()
    if addresses == 1:
        assert any("127.0.1.1:" in line and "gave way" in line for line in log)
    assert len(log) < 50


def test_a_process_without_descriptors_serves_as_soon_as_it_has_one() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.coordinator.shortage"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said = ran.stdout.splitlines()
    assert said[0] == "at most 136 connections, not 16384: more files can't be open"
    assert len([line for line in said if "Too many open files" in line]) == 1
