"""Whole groups of local nodes: how fast a sync is, and how much memory a large group takes."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

import anyio
import yaml
from attrs import define, field

from benchmarks.measurement import Measurement
from callboard.actors.drivers import Console
from callboard.actors.drivers.local import LocalNode
from callboard.actors.group import Group, Placement
from callboard.actors.messages import RunGroup
from callboard.definition import pipeline, read_text, split
from callboard.events import Journal, LogFile
from callboard.runtime import ActorSystem

_SYNC_NODES = 50
_SYNC_ROUNDS = 20
_LARGE_NODES = 200
_MIB = 1_048_576


def definition(nodes: int, steps: list[str]) -> str:
    """A definition of one role with so many nodes, each of which runs `steps`."""
    role = {"device_type": "qemu", "count": nodes}
    test = {
        "role": ["node"],
        "definitions": [
            {
                "from": "inline",
                "name": "bench",
                "path": "inline/bench.yaml",
                "repository": {
                    "metadata": {"format": "Lava-Test Test Definition 1.0", "name": "bench"},
                    "run": {"steps": steps},
                },
            }
        ],
    }
    deploy = {"role": ["node"], "to": "tmpfs", "images": {"rootfs": {"url": "file:///none"}}}
    boot = {"role": ["node"], "method": "qemu", "prompts": ["#"]}
    return yaml.safe_dump(
        {
            "job_name": "benchmark",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 30}, "action": {"minutes": 25}},
            "protocols": {"lava-multinode": {"roles": {"node": role}, "timeout": {"minutes": 10}}},
            "actions": [{"deploy": deploy}, {"boot": boot}, {"test": test}],
        }
    )


@define
class _Stopwatch:
    """When the signal of each sync was last read, and its reply last written."""

    read_s: dict[bytes, float] = field(factory=dict[bytes, float])
    written_s: dict[bytes, float] = field(factory=dict[bytes, float])
    asked: dict[int, bytes] = field(factory=dict[int, bytes])
    replies: defaultdict[bytes, int] = field(factory=lambda: defaultdict(int))


class _TimedConsole:
    """A console that notes when a sync passes."""

    def __init__(self, console: Console, stopwatch: _Stopwatch) -> None:
        self._console = console
        self._stopwatch = stopwatch
        self._tail = b""

    async def receive(self) -> bytes:
        data = await self._console.receive()
        now = time.perf_counter()
        seen = self._tail + data
        start = seen.rfind(b"<LAVA_MULTI_NODE> <LAVA_SYNC ")
        end = seen.find(b">", start + 20)
        if start >= 0 and end > start:
            sync = seen[start:end].split()[-1]
            self._stopwatch.read_s[sync] = now
            self._stopwatch.asked[id(self)] = sync
            seen = b""
        self._tail = seen[-200:]
        return data

    def send(self, data: bytes) -> None:
        self._console.send(data)
        if b"<LAVA_SYNC_COMPLETE" in data:
            sync = self._stopwatch.asked[id(self)]
            self._stopwatch.written_s[sync] = time.perf_counter()
            self._stopwatch.replies[sync] += 1

    def close(self) -> None:
        self._console.close()


class _TimedNode(LocalNode):
    def __init__(self, name: str, stopwatch: _Stopwatch) -> None:
        super().__init__(name)
        self._stopwatch = stopwatch

    async def open_shell(self) -> Console:
        return _TimedConsole(await super().open_shell(), self._stopwatch)


async def _sync_latencies(log: Path) -> list[float]:
    steps = [f"lava-sync round-{number}" for number in range(_SYNC_ROUNDS)]
    loaded, diagnostics = read_text(definition(_SYNC_NODES, steps))
    assert loaded is not None, diagnostics
    stopwatch = _Stopwatch()
    placements = tuple(
        Placement(job, pipeline(job), f"local-{job.id}", "local", _TimedNode("bench", stopwatch))
        for job in split(loaded, first_id=1, group="benchmark")
    )
    with contextlib.closing(LogFile(log)) as sink:
        journal = Journal(anyio.current_time, sinks=[sink])
        async with ActorSystem() as system:
            group = system.spawn(lambda: Group(placements, journal, {}), "group")
            await group.ask(RunGroup())
    assert set(stopwatch.replies.values()) == {_SYNC_NODES}, "every node got every reply"
    return [stopwatch.written_s[sync] - read for sync, read in stopwatch.read_s.items()]


async def _raw_barrier() -> float:
    """The same many shells on terminals, without actors, log or lines: a byte each way."""
    consoles: list[Console] = []
    nodes = [LocalNode("raw") for _ in range(_SYNC_NODES)]
    times: list[float] = []
    try:
        for node in nodes:
            await node.prepare()
            consoles.append(await node.open_shell())
        for number in range(_SYNC_ROUNDS):
            for console in consoles:
                console.send(b"echo ready; IFS= read -r go\n")
            async with anyio.create_task_group() as tasks:
                for console in consoles:
                    tasks.start_soon(console.receive)
            began = time.perf_counter()
            for console in consoles:
                console.send(b"%d\n" % number)
            times.append(time.perf_counter() - began)
    finally:
        for node in nodes:
            await node.release()
    return median(times)


def sync() -> Measurement:
    """From the last `lava-sync` that a console showed to the last reply line written."""
    with tempfile.TemporaryDirectory() as folder:
        figure = median(anyio.run(_sync_latencies, Path(folder) / "events.jsonl")) * 1000
    baseline = anyio.run(_raw_barrier) * 1000
    name = f"sync of {_SYNC_NODES} local nodes, last call to last reply"
    return Measurement(name, figure, baseline, "ms", baseline / figure, limit=20)


_RAW_SHELLS = """
import os, subprocess, sys
shells = []
for _ in range(int(sys.argv[1])):
    master, slave = os.openpty()
    shells.append((subprocess.Popen(["sh"], stdin=slave, stdout=slave, stderr=slave), master))
    os.close(slave)
for shell, master in shells:
    shell.kill()
    shell.wait()
"""


def _peak_mib(command: list[str], folder: str) -> float:
    """Peak resident memory of a command itself; its children are small shells."""
    environment = os.environ | {"CALLBOARD_STATE": folder}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return usage.ru_maxrss * 1024 / _MIB


def memory() -> Measurement:
    """Peak memory of `callboard run` with a large group, a sync and a wait-all."""
    steps = ["lava-send ready from=$(lava-self)", "lava-wait-all ready", "lava-sync done"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "group.yaml"
        path.write_text(definition(_LARGE_NODES, steps))
        run = [sys.executable, "-m", "callboard", "run", str(path), "-q", "-o", f"{folder}/run"]
        figure = _peak_mib(run, folder)
        shells = [sys.executable, "-c", _RAW_SHELLS, str(_LARGE_NODES)]
        baseline = _peak_mib(shells, folder)
    name = f"peak memory with {_LARGE_NODES} local nodes"
    return Measurement(name, figure, baseline, "MiB", baseline / figure, limit=200)
