"""Finding and ending every process that a node has started, however it detached itself."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio

_PROC = Path("/proc")
_ROUNDS = 200


def children(pid: int) -> Iterator[int]:
    """The processes below `pid`, children before their own children, as far as they live."""
    try:
        found = [int(word) for word in (_PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return
    for child in found:
        yield child
        yield from children(child)


def marked(marker: str) -> Iterator[int]:
    """The living processes whose environment holds the word `marker`, e.g. `NODE=7`."""
    wanted = marker.encode()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if wanted in environment.split(b"\0"):
                yield int(entry.name)


def kill_now(leaders: list[subprocess.Popen[bytes]], marker: str) -> bool:
    """Kill the leaders, everything below them and everything marked; whether any was left."""
    found = {pid for leader in leaders if leader.poll() is None for pid in children(leader.pid)}
    found |= {leader.pid for leader in leaders if leader.poll() is None}
    found |= set(marked(marker)) - {os.getpid()}
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return bool(found)


async def kill_all(leaders: list[subprocess.Popen[bytes]], marker: str) -> None:
    """Kill until nothing is left; returns when the kernel has ended the last process.

    Raises:
        TimeoutError: Processes stay although they were killed, as those do that the kernel holds.
    """
    for round_ in range(_ROUNDS):
        if not kill_now(leaders, marker):
            return
        await anyio.sleep(min(0.001 * 2**round_, 0.05))
    raise TimeoutError(f"processes with {marker} in their environment can't be killed")
