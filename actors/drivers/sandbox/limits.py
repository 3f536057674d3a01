"""What one node may use of the machine: cgroups where they can be made, else resource limits.

A node's cgroup is two folders deep: the limits stand at the outer one, and the node's processes
are in the inner one, which is all that they can see of it.
"""

import contextlib
import fcntl
import os
import resource
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

_PREFIX = "callboard-"
_CONTROLLERS = ("pids", "memory")
_V1_FILES = {"pids": "pids.max", "memory": "memory.limit_in_bytes"}
_V2_FILES = {"pids": "pids.max", "memory": "memory.max"}


@frozen
class Limits:
    """What one node may use.

    Attributes:
        processes: How many processes and threads may live at once.
        memory_bytes: Memory of all its processes together, its files in memory included; where
            cgroups can't be made, memory of one process that it shares with none.
    """

    processes: int
    memory_bytes: int

    def apply(self, limited: frozenset[str]) -> None:
        """Limit this process and its children by rlimits, as far as cgroups don't.

        Args:
            limited: The controllers that limit it already.
        """
        # A dump would be taken by a program of the machine; 1 keeps that from being started.
        _lower(resource.RLIMIT_CORE, 1)
        if "pids" not in limited:
            _lower(resource.RLIMIT_NPROC, self.processes)
        if "memory" not in limited:
            _lower(resource.RLIMIT_DATA, self.memory_bytes)

    @property
    def values(self) -> Mapping[str, int]:
        """The limit of each cgroup controller."""
        return {"pids": self.processes, "memory": self.memory_bytes}


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (limit, limit))


class Hierarchy:
    """A place in a mounted cgroup hierarchy where this process can make cgroups.

    Args:
        folder: The cgroup below which the nodes' cgroups are made.
        controllers: What it can limit.
        unified: Whether it is of cgroup version 2.
    """

    def __init__(self, folder: Path, controllers: frozenset[str], *, unified: bool) -> None:
        self.controllers = controllers
        self._files = _V2_FILES if unified else _V1_FILES
        self._unified = unified
        with _locked(folder):
            _sweep(folder)
            self._run = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
            self._lock = _open(self._run)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            self._enable(self._run)
        except OSError:
            self.close()
            raise

    def make(self, node: str, limits: Limits) -> None:
        """Make the cgroup of a node."""
        outer = self._run / node
        outer.mkdir()
        for controller in self.controllers:
            (outer / self._files[controller]).write_text(str(limits.values[controller]))
        (outer / "node").mkdir()

    def enter(self, node: str) -> None:
        """Put this process into the cgroup of a node."""
        (self._run / node / "node/cgroup.procs").write_text("0")

    def remove(self, node: str) -> None:
        """Remove the cgroup of a node whose processes have ended."""
        _remove(self._run / node)

    def close(self) -> None:
        """Remove what is left of all nodes."""
        _remove(self._run)
        os.close(self._lock)

    def _enable(self, folder: Path) -> None:
        if self._unified:
            names = " ".join(f"+{each}" for each in sorted(self.controllers))
            (folder / "cgroup.subtree_control").write_text(names)


class Cgroups:
    """The cgroups of one run's nodes, in as many hierarchies as it takes."""

    def __init__(self) -> None:
        self._hierarchies: list[Hierarchy] = []
        wanted = set(_CONTROLLERS)
        for folder, controllers, unified in _places():
            usable = frozenset(wanted & controllers)
            if usable:
                with contextlib.suppress(OSError):
                    self._hierarchies.append(Hierarchy(folder, usable, unified=unified))
                    wanted -= usable

    @property
    def controllers(self) -> frozenset[str]:
        """What can be limited by cgroups: any of `pids` and `memory`."""
        return frozenset(name for each in self._hierarchies for name in each.controllers)

    def make(self, node: str, limits: Limits) -> None:
        """Make the cgroups of a node."""
        for each in self._hierarchies:
            each.make(node, limits)

    def enter(self, node: str) -> None:
        """Put this process into the cgroups of a node."""
        for each in self._hierarchies:
            each.enter(node)

    def remove(self, node: str) -> None:
        """Remove the cgroups of a node whose processes have ended."""
        for each in self._hierarchies:
            each.remove(node)

    def close(self) -> None:
        """Remove what is left."""
        for each in self._hierarchies:
            each.close()


def _places() -> Iterator[tuple[Path, frozenset[str], bool]]:
    """Cgroups below which this process may make others, with what they can limit, nearest first."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    own = dict(_own_cgroups())
    for _, point, kind, options, *_rest in mounts:
        names = frozenset(options.split(","))
        if kind == "cgroup" and names & own.keys():
            cgroup = next(own[name] for name in names if name in own)
            yield from ((folder, names, False) for folder in _above(Path(point), cgroup))
        elif kind == "cgroup2" and "" in own:
            for folder in _above(Path(point), own[""]):
                yield folder, _delegated(folder), True


def _own_cgroups() -> Iterator[tuple[str, str]]:
    """The cgroup of this process in each hierarchy, by controller; version 2 has the name ""."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, cgroup = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, cgroup


def _above(point: Path, cgroup: str) -> Iterator[Path]:
    """The cgroup's folder and those above it, as far as this process may write there."""
    folder = point / cgroup.strip("/")
    for each in (folder, *folder.parents):
        if not each.is_relative_to(point):
            return
        if os.access(each, os.W_OK) and os.access(each / "cgroup.procs", os.W_OK):
            yield each


def _delegated(folder: Path) -> frozenset[str]:
    """What the cgroups below a folder can limit (cgroups(7): subtree control)."""
    try:
        return frozenset((folder / "cgroup.subtree_control").read_text().split())
    except OSError:
        return frozenset()


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Nobody else sweeps while a new cgroup has no lock of its own yet."""
    lock = _open(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _sweep(folder: Path) -> None:
    """Remove cgroups of runs whose holder was killed; a living one has a lock on its own."""
    for stale in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = _open(stale)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(stale)
            finally:
                os.close(lock)


def _remove(folder: Path) -> None:
    """Remove a cgroup and those in it; one that still has processes stays."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                _remove(path)
        folder.rmdir()
