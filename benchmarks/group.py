"""Whole groups of local nodes: how fast a sync is, and how much memory a large group takes."""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import anyio
import yaml

from benchmarks.measurement import Measurement
from callboard.actors.drivers.sandboxed import Sandbox, SandboxedNode, open_sandbox
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.group import Group
from callboard.actors.job import post
from callboard.actors.messages import RunGroup
from callboard.actors.placement import Placement
from callboard.actors.post import Post
from callboard.definition import pipeline, read_text, split
from callboard.definition.devices import LocalLimits
from callboard.journal import Journal, LogFile
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


class _TimedTerminal(Terminal):
    """A terminal that notes when a sync is read from it, and when its reply has been written."""

    def __init__(self, master: int) -> None:
        super().__init__(master)
        self._tail = b""
        self._sync = b""
        self._answered = False
        self.read_s: dict[bytes, float] = {}
        self.written_s: dict[bytes, float] = {}

    async def receive(self) -> bytes:
        data = await super().receive()
        self._tail = (self._tail + data)[-500:]
        found = _SYNC.findall(self._tail)
        if found and found[-1] not in self.read_s:
            self._sync = found[-1]
            self.read_s[self._sync] = time.perf_counter()
        return data

    def send(self, data: bytes) -> None:
        self._answered = b"<LAVA_SYNC_COMPLETE>" in data
        super().send(data)

    def flush(self) -> None:
        super().flush()
        if self._answered:
            self._answered = False
            self.written_s[self._sync] = time.perf_counter()


_SYNC = re.compile(rb"<LAVA_MULTI_NODE> <LAVA_SYNC (\S+)>")


class _TimedNode(SandboxedNode):
    def __init__(self, name: str, sandbox: Sandbox, terminals: list[_TimedTerminal]) -> None:
        super().__init__(name, sandbox, LocalLimits())
        self._timed = terminals

    def terminal(self, master: int) -> Terminal:
        timed = _TimedTerminal(master)
        self._timed.append(timed)
        return timed


async def _sync_latencies(log: Path) -> list[float]:
    steps = [f"lava-sync round-{number}" for number in range(_SYNC_ROUNDS)]
    loaded, diagnostics = read_text(definition(_SYNC_NODES, steps))
    assert loaded is not None, diagnostics
    terminals: list[_TimedTerminal] = []
    async with open_sandbox() as sandbox:
        posts = tuple(
            post(
                Placement(
                    job,
                    pipeline(job),
                    f"local-{job.id}",
                    "local",
                    _TimedNode(f"bench-{job.id}", sandbox, terminals),
                )
            )
            for job in split(loaded, first_id=1, group="benchmark")
        )
        await _run_group(posts, log)
    return [
        max(each.written_s[sync] for each in terminals)
        - max(each.read_s[sync] for each in terminals)
        for sync in terminals[0].read_s
    ]


async def _run_group(posts: tuple[Post, ...], log: Path) -> None:
    with contextlib.closing(LogFile(log)) as sink:
        journal = Journal(anyio.current_time, sinks=[sink])
        over = anyio.Event()
        async with ActorSystem() as system:
            group = system.spawn(
                lambda: Group(posts, journal, {}, lambda _done: over.set()), "group"
            )
            await group.tell(RunGroup())
            await over.wait()


async def _raw_barrier() -> float:
    """As many shells on bare terminals: wait until all have said a line, then write one to each."""
    shells: list[tuple[subprocess.Popen[bytes], int]] = []
    loop_ = "while echo ready; IFS= read -r go; do :; done"
    for _ in range(_SYNC_NODES):
        master, slave = os.openpty()
        command = ["sh", "-c", f"stty -echo; {loop_}"]
        shell = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
            command, stdin=slave, stdout=slave, stderr=slave
        )
        shells.append((shell, master))
        os.close(slave)
    times: list[float] = []
    try:
        for _ in range(_SYNC_ROUNDS):
            async with anyio.create_task_group() as tasks:
                for _shell, master in shells:
                    tasks.start_soon(_read_line, master)
            began = time.perf_counter()
            for _shell, master in shells:
                os.write(master, b"go\n")
            times.append(time.perf_counter() - began)
    finally:
        for shell, master in shells:
            shell.kill()
            shell.wait()
            os.close(master)
    return median(times)


async def _read_line(master: int) -> None:
    data = b""
    while b"ready" not in data:
        await anyio.wait_readable(master)
        data += os.read(master, 4096)


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
