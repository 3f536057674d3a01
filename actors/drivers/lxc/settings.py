"""What a devices file allows a container, as lines of its configuration."""

import re
from collections.abc import Sequence
from pathlib import Path

from callboard.definition.lxc_devices import LxcLimits, LxcMount

_CONTROLLERS = Path("/sys/fs/cgroup/cgroup.controllers")
_LIMIT_KEYS = (
    "lxc.cgroup.pids.max",
    "lxc.cgroup2.pids.max",
    "lxc.cgroup.memory.limit_in_bytes",
    "lxc.cgroup2.memory.max",
)

OWN_MOUNT = re.compile(r"\S+ \S+ none rbind,(?:ro|rw),create=(?:dir|file) 0 0")
"""The mounts of a devices file among those of a configuration."""


def settings(limits: LxcLimits, mounts: Sequence[LxcMount]) -> tuple[list[str], tuple[str, ...]]:
    """The lines for a container, and the keys that they replace."""
    lines: list[str] = []
    if limits.processes is not None:
        key = "lxc.cgroup2.pids.max" if _unified("pids") else "lxc.cgroup.pids.max"
        lines.append(f"{key} = {limits.processes}")
    if limits.memory_bytes is not None:
        unified = _unified("memory")
        key = "lxc.cgroup2.memory.max" if unified else "lxc.cgroup.memory.limit_in_bytes"
        lines.append(f"{key} = {limits.memory_bytes}")
    return [*lines, *map(_mount, mounts)], _LIMIT_KEYS


def _unified(controller: str) -> bool:
    """Whether this machine has a controller in the unified hierarchy (cgroups(7))."""
    try:
        return controller in _CONTROLLERS.read_text().split()
    except OSError:
        return False


def _mount(mount: LxcMount) -> str:
    kind = "dir" if Path(mount.source).is_dir() else "file"
    access = "rw" if mount.writable else "ro"
    target = mount.target.lstrip("/")
    return f"lxc.mount.entry = {mount.source} {target} none rbind,{access},create={kind} 0 0"
