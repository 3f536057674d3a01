"""Throw-away local nodes: how long it takes to make one and to remove it again."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median

import anyio

from benchmarks.measurement import Measurement
from callboard.actors.drivers.local import COMMAND_LOOP
from callboard.actors.drivers.sandboxed import Sandbox, SandboxedNode, open_sandbox
from callboard.actors.drivers.terminal import Terminal
from callboard.definition.devices import LocalLimits

_ONE_BY_ONE = 30
_AT_ONCE = 100
_ROOT = Path(__file__).parents[1]
_AS_USER = _ROOT / "tests/system/ordinary.py"


async def _node(sandbox: Sandbox, name: str) -> None:
    """Make a node, wait until its shell answers, and remove it."""
    node = SandboxedNode(name, sandbox, LocalLimits())
    try:
        await node.prepare()
        console = await node.open_shell()
        console.send(b"echo up\n")
        assert b"up" in await console.receive()
    finally:
        await node.release()


async def _shell() -> None:
    """Start a bare shell on a terminal, wait until it answers, and end it."""
    master, slave = os.openpty()
    process = await asyncio.create_subprocess_exec(
        "setsid", "--ctty", "/bin/sh", "-c", COMMAND_LOOP, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    terminal = Terminal(master)
    terminal.send(b"echo up\n")
    assert b"up" in await terminal.receive()
    process.kill()
    await process.wait()
    terminal.close()


async def _one_by_one() -> tuple[float, float]:
    """Median seconds of a node and of a bare shell."""
    nodes: list[float] = []
    shells: list[float] = []
    async with open_sandbox() as sandbox:
        await sandbox.probe()
        for number in range(_ONE_BY_ONE):
            began_s = time.perf_counter()
            await _node(sandbox, f"node-{number}")
            nodes.append(time.perf_counter() - began_s)
            began_s = time.perf_counter()
            await _shell()
            shells.append(time.perf_counter() - began_s)
    return median(nodes), median(shells)


async def _at_once() -> tuple[float, float]:
    """Seconds until all nodes have been made and removed, and the same with bare shells."""
    async with open_sandbox() as sandbox:
        await sandbox.probe()
        began_s = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for number in range(_AT_ONCE):
                tasks.start_soon(_node, sandbox, f"node-{number}")
        nodes_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(_AT_ONCE):
            tasks.start_soon(_shell)
    return nodes_s, time.perf_counter() - began_s


def _as_user(measured: str) -> tuple[float, float]:
    """The same in a process of an ordinary user; as it is when this is none of root's."""
    if os.geteuid() != 0:
        figure, baseline = anyio.run(_MEASURED[measured])
        return figure, baseline
    unshare = ["unshare", "--mount", "--propagation", "private", sys.executable, str(_AS_USER)]
    reached = [str(_ROOT), sys.base_prefix, sys.prefix]
    command = [*unshare, *reached, "--", sys.executable, "-m", "benchmarks.nodes", measured]
    printed = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT / "src")},
    ).stdout
    figure, baseline = map(float, printed.split())
    return figure, baseline


_MEASURED: dict[str, Callable[[], Coroutine[None, None, tuple[float, float]]]] = {
    "one": _one_by_one,
    "many": _at_once,
}


def node() -> Measurement:
    """One node after the other, as the user that runs this."""
    return _measurement("local node made and removed", *anyio.run(_one_by_one), limit=50)


def node_as_user() -> Measurement:
    """The same as an ordinary user."""
    return _measurement("the same as an ordinary user", *_as_user("one"), limit=50)


def nodes() -> Measurement:
    """Many at once."""
    return _measurement(f"{_AT_ONCE} local nodes at once", *anyio.run(_at_once), limit=5000)


def nodes_as_user() -> Measurement:
    """The same as an ordinary user."""
    return _measurement("the same as an ordinary user", *_as_user("many"), limit=5000)


def _measurement(name: str, figure_s: float, baseline_s: float, limit: float) -> Measurement:
    ratio = baseline_s / figure_s
    return Measurement(name, figure_s * 1000, baseline_s * 1000, "ms", ratio, limit=limit)


if __name__ == "__main__":
    print(*anyio.run(_MEASURED[sys.argv[1]]))
