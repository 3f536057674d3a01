"""Thousands who say nothing, and a machine without descriptors: the others are answered."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import pytest
from tests.coordinator.hosting import document
from tests.coordinator.real import ask
from tests.coordinator.running import Coordinator

ROOT = Path(__file__).parents[2]
IDLE = 10_000
SPARE = 200
PROMPT_S = 0.1


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


def _rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def _waits_s(ours: Coordinator, count: int) -> list[float]:
    """How long each of so many requests took."""
    taken = []
    for _ in range(count):
        begun_s = time.monotonic()
        assert ask(ours.address, document("group_data"))["response"] == "wait"
        taken.append(time.monotonic() - begun_s)
    return taken


@pytest.mark.parametrize("addresses", [1, 20])
def test_ten_thousand_who_say_nothing_keep_nobody_waiting(tmp_path: Path, addresses: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(IDLE, hard - SPARE)
    sources = [f"127.0.1.{number}" for number in range(1, addresses + 1)]
    with Coordinator(tmp_path, ["--request-time", "60"]) as ours:
        _waits_s(ours, 10)
        before = _rss_bytes(ours.pid)
        with _idlers(ours, count, sources) as idlers:
            coming = _waits_s(ours, 100)
            assert idlers.stdout is not None
            assert idlers.stdout.readline() == b"there\n"
            there = _waits_s(ours, 100)
            grown = _rss_bytes(ours.pid) - before
        assert median(coming) < PROMPT_S
        assert median(there) < PROMPT_S
        assert grown < 100 << 20
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
