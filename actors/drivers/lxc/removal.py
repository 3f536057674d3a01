"""Removing a container whatever state it is in: each step on its own, and all of them."""

import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio

from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.erasure import erase
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.stragglers import await_death, end_stragglers
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.processes import children
from callboard.actors.drivers.tool import Said
from callboard.actors.errors import ActionError

_ATTEMPTS = 3
_PAUSE_S = 0.2
_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_LOOKS = 100
_LOOK_S = 0.02


async def halt(tools: Tools, name: ContainerName, said: Said) -> None:
    """Stop a container and remove what it leaves in the kernel; what goes wrong is said.

    Safe to call at any moment and any number of times. A container without a folder is left to
    whoever has removed it.
    """
    await end_stragglers(tools.store, name)
    if tools.store.path(name).is_dir():
        await _attempt(tools.stop, name, said)
    await _finish_off(tools.store, name)
    await _remove_cgroups(tools.store, name)


async def remove(tools: Tools, name: ContainerName, said: Said) -> None:
    """Stop and destroy a container; what goes wrong is said, and done by hand where it can be.

    Safe to call at any moment and any number of times.
    """
    store = tools.store
    await halt(tools, name, said)
    path = store.path(name)
    if path.is_dir():
        for _ in range(_ATTEMPTS):
            if await _attempt(tools.destroy, name, said) and not path.exists():
                break
            await anyio.sleep(_PAUSE_S)
    if path.is_dir() and _is_ours(store, path):
        said(f"lxc container '{name}' is removed without LXC's tools")
        await anyio.to_thread.run_sync(_remove_by_hand, store, name, said)
    with contextlib.suppress(OSError):
        store.tools_lock(name).unlink(missing_ok=True)


async def _attempt(
    step: Callable[[ContainerName], Awaitable[None]], name: ContainerName, said: Said
) -> bool:
    try:
        await step(name)
    except (ActionError, OSError) as error:
        said(str(error))
        return False
    return True


def _is_ours(store: Store, path: Path) -> bool:
    return path.parent == store.folder and not path.is_symlink()


def _remove_by_hand(store: Store, name: ContainerName, said: Said) -> None:
    """What `lxc-destroy` does, for a container that it can't read."""
    base = None
    with contextlib.suppress(OSError):
        base = configuration.read(store.configuration(name)).base
    try:
        erase(store.path(name))
    except OSError as error:
        said(f"lxc container '{name}' can't be removed: {error}")
        return
    for other in [base] if base else [each for each in store.names() if each.is_base]:
        with contextlib.suppress(OSError):
            _forget(store, other, name)


def _forget(store: Store, base: ContainerName, name: ContainerName) -> None:
    """Take a clone that is gone from the list of its base, which else could never be removed."""
    path = store.path(base) / "lxc_snapshots"
    lines = path.read_text().splitlines()
    pairs = list(zip(lines[::2], lines[1::2], strict=False))
    kept = [pair for pair in pairs if pair != (str(store.folder), name.text)]
    if kept == pairs:
        return
    if not kept:
        path.unlink()
        return
    new = path.with_suffix(".new")
    new.write_text("".join(f"{folder}\n{clone}\n" for folder, clone in kept))
    new.replace(path)


async def _finish_off(store: Store, name: ContainerName) -> None:
    """Kill what is left of a container that LXC doesn't know any more."""
    for monitor in monitors(store, name):
        pids = [*children(monitor), monitor]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await await_death(pids)


def monitors(store: Store, name: ContainerName) -> Iterator[int]:
    """The processes of LXC that watch over a container, which they name in their titles."""
    title = f"[lxc monitor] {store.folder} {name}".encode()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes().rstrip(b"\0") == title:
                    yield int(entry.name)


async def _remove_cgroups(store: Store, name: ContainerName) -> None:
    """Remove the cgroups of a container; those with processes, about to end, a bit later."""
    for _ in range(_LOOKS):
        if _cgroups_are_gone(store.cgroup(name)):
            return
        await anyio.sleep(_LOOK_S)


def _cgroups_are_gone(name: str) -> bool:
    """Remove the empty ones of a name's cgroups; whether no other is left."""
    gone = True
    for top in cgroups(name):
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                gone = False
    return gone


def cgroups(pattern: str) -> Iterator[Path]:
    """The cgroups of that name in all hierarchies, unified or not (cgroups(7))."""
    yield from _CGROUPS.glob(pattern)
    yield from _CGROUPS.glob(f"*/{pattern}")
