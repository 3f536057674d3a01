"""Finding and ending every process that a node has started, however it detached itself."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio

from callboard.actors.drivers import survey

_PROC = Path("/proc")
_ROUNDS = 200
_LONGEST_PAUSE_S = 0.05


MARK = "CALLBOARD_NODE"
"""The variable that stands in the environment of every process of a node, with its mark."""


def children(pid: int) -> Iterator[int]:
    """The processes below `pid`, children before their own children, as far as they live."""
    try:
        found = [int(word) for word in (_PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return
    for child in found:
        yield child
        yield from children(child)


def marked(mark: str) -> Iterator[int]:
    """The living processes that carry the mark of a node."""
    wanted = f"{MARK}={mark}".encode()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if wanted in environment.split(b"\0"):
                yield int(entry.name)


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended stays known until its parent has noticed."""
    return survey.process(pid) is not None


def kill(leaders: list[subprocess.Popen[bytes]], mark: str) -> set[int]:
    """Kill the leaders, everything below them and everything marked; returns what was found."""
    living = [leader.pid for leader in leaders if leader.poll() is None]
    found = {pid for leader in living for pid in children(leader) if lives(pid)}
    found |= {*living, *marked(mark)} - {os.getpid()}
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


async def kill_all(leaders: list[subprocess.Popen[bytes]], mark: str) -> None:
    """Kill until nothing is left; returns when the kernel has ended the last process.

    Raises:
        TimeoutError: Processes stay although they were killed, as those do that the kernel holds.
    """
    killed: set[int] = set()
    quiet = 0
    for round_ in range(_ROUNDS):
        found = kill(leaders, mark)
        killed = {pid for pid in killed | found if lives(pid)}
        # Twice, for a process that is just becoming another program has no environment.
        quiet = 0 if found or killed else quiet + 1
        if quiet == 2:
            return
        await anyio.sleep(min(0.001 * 2**round_, _LONGEST_PAUSE_S))
    raise TimeoutError(f"processes with {MARK}={mark} in their environment can't be killed")
