"""Containers whose job is dead are removed; those of living jobs and of others are left alone."""

import anyio
from attrs import define, field

from callboard.actors.drivers.lock import lock_of_the_dead
from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.bases import drop
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.removal import cgroups, halt, monitors, remove
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.tool import Said

_AT_ONCE = 4


@define
class Reclaimed:
    """What has been cleaned up, by name.

    Attributes:
        removed: Containers of dead jobs.
        stopped: Persistent containers of dead jobs, which are kept.
        bases: Bases that were never finished, or that nobody uses.
        left: What is to be removed, but can't be.
    """

    removed: list[str] = field(factory=list[str])
    stopped: list[str] = field(factory=list[str])
    bases: list[str] = field(factory=list[str])
    left: list[str] = field(factory=list[str])


async def reclaim(tools: Tools, said: Said, *, bases: bool = False) -> Reclaimed:
    """Clean up after jobs that were killed. Only root can.

    A container is a dead job's if it has callboard's label, or that of the base that it was to
    become a clone of, and nobody holds its lock. Its name alone says nothing. Where there is no
    configuration yet, a lock that was never given back tells whose it is.

    Args:
        tools: LXC's tools, for one store.
        said: Is told what goes wrong.
        bases: Whether finished bases without clones are removed, too.

    Raises:
        OSError: The store can't be looked at.
    """
    store = tools.store
    done = Reclaimed()
    if not store.exists():
        return done
    locked = set(store.locked_names())
    names = sorted({*store.names(), *locked, *_with_cgroups(tools)})
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def clean_up(name: ContainerName) -> None:
        async with limiter:
            try:
                await _reclaim(tools, name, said, done, was_locked=name in locked)
            except OSError as error:
                said(f"lxc container '{name}' can't be cleaned up: {error}")
                done.left.append(name.text)

    async with anyio.create_task_group() as tasks:
        for name in names:
            if not name.is_base:
                tasks.start_soon(clean_up, name)
    for name in names:
        if name.is_base and store.path(name).exists():
            try:
                if await drop(tools, name, said, ready=bases):
                    done.bases.append(name.text)
            except OSError as error:
                said(f"the base {name} can't be cleaned up: {error}")
                done.left.append(name.text)
    for found in (done.removed, done.stopped, done.left):
        found.sort()
    return done


async def _reclaim(
    tools: Tools, name: ContainerName, said: Said, done: Reclaimed, *, was_locked: bool
) -> None:
    held = await lock_of_the_dead(tools.store.lock(name))
    if held is None:
        return  # its job lives
    try:
        path = tools.store.path(name)
        found = configuration.find(tools.store, name)
        label = found.label if found else None
        if not path.exists():
            await halt(tools, name, said)
        elif label is not None and label.persistent and not (path / "partial").exists():
            if any(monitors(tools.store, name)):
                await halt(tools, name, said)
                done.stopped.append(name.text)
        elif label is not None or (found.is_unfinished if found else was_locked):
            await remove(tools, name, said)
            (done.left if path.exists() else done.removed).append(name.text)
    finally:
        held.release()


def _with_cgroups(tools: Tools) -> set[ContainerName]:
    """Containers of which at least a cgroup is left."""
    prefix = tools.store.cgroup_prefix
    found: set[ContainerName] = set()
    for folder in cgroups(f"{prefix}*"):
        try:
            found.add(ContainerName(folder.name.removeprefix(prefix)))
        except ValueError:
            continue
    return found
