"""LXC's tools that outlive the callboard that started them, and go on with a container."""

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.processes import lives

_PROC = Path("/proc")
_TOOLS = ("lxc-attach", "lxc-copy", "lxc-create", "lxc-destroy", "lxc-start", "lxc-stop")
_LOOKS = 100
_LOOK_S = 0.02


async def end_stragglers(store: Store, name: ContainerName) -> None:
    """Kill the tools that work on a container, with all that they have started.

    Only who owns the name may do so: nobody else's tools work on it then.
    """
    await await_death(list(_killed(store, name)))


async def await_death(pids: Sequence[int]) -> None:
    """Wait until the kernel has ended killed processes; gives up after a while."""
    for _ in range(_LOOKS):
        if not any(map(lives, pids)):
            return
        await anyio.sleep(_LOOK_S)


def _killed(store: Store, name: ContainerName) -> Iterator[int]:
    sessions = {session for pid in _tools(store, name) if (session := _session(pid)) is not None}
    for pid in _pids():
        # Each tool leads a session, in which what a template has started stays.
        if sessions and _session(pid) in sessions - {os.getsid(0)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                yield pid


def _tools(store: Store, name: ContainerName) -> Iterator[int]:
    for pid in _pids():
        with contextlib.suppress(OSError):
            words = (_PROC / f"{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
            pairs = set(itertools.pairwise(words))
            named = not pairs.isdisjoint({("-n", name.text), ("-N", name.text)})
            if Path(words[0]).name in _TOOLS and named and ("-P", str(store.folder)) in pairs:
                yield pid


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdecimal())
