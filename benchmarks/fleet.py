"""Whole groups on workers as a user starts them, on a server of this machine."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median

import anyio

from benchmarks.group import definition
from benchmarks.measurement import Measurement
from callboard.cluster import entries, history, subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.founding import ensure
from callboard.cluster.records import Lead, decode
from callboard.cluster.server import serving

_NODES = 1000
_WORKERS = 4
_STEPS = ["lava-sync begin", "lava-send ready", "lava-sync done"]

_LEASE_S = 2.0
_TURNS = 3
_SYNCS = "for i in $(seq 1000); do lava-sync meeting-$i || break; done"
_WARM = 20
_MIB = 1024


@asynccontextmanager
async def _cluster(lease_s: float) -> AsyncIterator[tuple[str, Cluster]]:
    """A server with a cluster on it: its URL, and a connection."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), 0) as server:
            access = Access(server.url)
            async with connect(access, name="benchmark", note=print, init=True) as cluster:
                await ensure(cluster.js, lease_s)
                yield server.url, cluster


@contextmanager
def _workers(
    url: str, plans: Mapping[str, list[str]]
) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Workers by name, each with these options; they can be used."""
    with tempfile.TemporaryDirectory() as folder:
        started: dict[str, subprocess.Popen[str]] = {}
        try:
            for name, options in plans.items():
                command = _callboard("worker", "--nats", url, "--name", name, "--json", *options)
                environment = os.environ | {"CALLBOARD_STATE": f"{folder}/{name}"}
                started[name] = subprocess.Popen(
                    command, stdout=subprocess.PIPE, text=True, env=environment
                )
            for each in started.values():
                _wait_for("ready", each)
            yield started
        finally:
            for each in started.values():
                each.terminate()
            for each in started.values():
                _wait_for("draining", each)
                each.terminate()  # now, not when its jobs have ended
                each.communicate()


def _wait_for(fact: str, worker: "subprocess.Popen[str]") -> None:
    """Return when a worker has said this, or has ended."""
    assert worker.stdout is not None
    while (line := worker.stdout.readline()) and json.loads(line)["fact"] != fact:
        pass


def _callboard(*words: str) -> list[str]:
    return [sys.executable, "-m", "callboard", *words]


def _run(path: Path, *options: str) -> float:
    """Seconds that `callboard run` takes."""
    command = _callboard("run", str(path), "-q", "-o", str(path.with_suffix("")), *options)
    began_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def _peak_mib(process: "subprocess.Popen[str]") -> float:
    """The most memory that a process has had, without its children's."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / _MIB


async def _thousand() -> tuple[float, float, float]:
    async with _cluster(10.0) as (url, _), anyio.TemporaryDirectory() as folder:
        path = Path(folder) / "group.yaml"
        path.write_text(definition(_NODES, _STEPS))

        def run() -> tuple[float, float]:
            plans = {f"w{n}": ["--nodes", str(_NODES // _WORKERS)] for n in range(_WORKERS)}
            with _workers(url, plans) as workers:
                took_s = _run(path, "--nats", url)
                return took_s, max(map(_peak_mib, workers.values()))

        took_s, peak_mib = await anyio.to_thread.run_sync(run)
        alone = path.with_name("alone.yaml")
        path.rename(alone)
        return took_s, peak_mib, await anyio.to_thread.run_sync(_run, alone)


def thousand() -> list[Measurement]:
    """A group of 1,000 local nodes on four workers; beside `callboard run` without a cluster."""
    took_s, peak_mib, alone_s = anyio.run(_thousand)
    name = f"a group of {_NODES:,} on {_WORKERS} workers"
    return [
        Measurement(name, took_s, alone_s, "s", alone_s / took_s),
        Measurement(f"{name}, memory of one", peak_mib, peak_mib, "MiB", 1.0, limit=300),
    ]


async def _takeover() -> float:
    """Seconds from a leader's end by `kill -9` to the first event after it."""
    async with _cluster(_LEASE_S) as (url, cluster), anyio.TemporaryDirectory() as folder:
        path = Path(folder) / "group.yaml"
        path.write_text(definition(2, [_SYNCS]))
        plans = {"a": ["--nodes", "0"], "b": ["--nodes", "0"], "host": ["--no-lead"]}
        with _workers(url, plans) as workers:
            submit = _callboard("submit", str(path), "--nats", url, "--json")
            said = await anyio.run_process(submit)
            group = json.loads(said.stdout)["group"]
            syncs, killed_s, led = 0, 0.0, False
            async with aclosing(history.read(cluster, group, follow=True)) as lines:
                async for line in lines:
                    syncs += b'"call-answered"' in line
                    if not killed_s and syncs == _WARM:
                        entry = await cluster.bucket(subjects.LEADERS).get(group)
                        workers[decode(entry.value or b"", Lead).worker].kill()
                        killed_s = time.perf_counter()
                    elif killed_s and entries.is_entry(line):
                        led |= isinstance(entries.decode(line), entries.Led)
                    elif led and b'"call-answered"' in line:
                        return time.perf_counter() - killed_s
    raise AssertionError("a log that is followed has no end")


def takeover() -> Measurement:
    """From `kill -9` of a group's leader to the next answer at a node; beside the lease."""
    took_s = median(anyio.run(_takeover) for _ in range(_TURNS))
    name = "a leader is killed, and another leads"
    return Measurement(name, took_s, _LEASE_S, "s", _LEASE_S / took_s, limit=2 * _LEASE_S)
