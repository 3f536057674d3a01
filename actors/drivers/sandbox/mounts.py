"""What is mounted on this machine, as far as a node should see it (proc(5): mountinfo)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

REPLACED = tuple(Path(path) for path in ("/proc", "/sys", "/dev", "/run", "/var/run", "/tmp"))
"""Folders that a node has of its own: nothing mounted there is shown."""

_NOT_FILES = frozenset(
    {
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "sysfs",
        "tracefs",
    }
)
"""Kinds of file systems that hold no files but the kernel's state."""

_OCTAL = re.compile(r"\\(\d{3})")


@frozen
class Mounts:
    """What is mounted in a namespace.

    Attributes:
        points: Where anything is mounted.
        real: Where file systems with files are mounted that a node sees; those that hold
            others first.
    """

    points: tuple[Path, ...]
    real: tuple[Path, ...]

    def below(self, folder: Path) -> bool:
        """Whether anything is mounted in a folder, at any depth."""
        return any(point != folder and point.is_relative_to(folder) for point in self.points)


def read_mounts() -> Mounts:
    """What is mounted in the namespace of this process."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = sorted({_point(line) for line in lines}, key=lambda point: point.parts)
    files = {_point(line) for line in lines if _kind(line) not in _NOT_FILES}
    # Not Path.exists: what this user may not look into is not there either.
    real = [each for each in points if each in files and os.path.exists(each)]  # noqa: PTH110
    return Mounts(tuple(points), tuple(each for each in real if not _replaced(each)))


def _point(line: str) -> Path:
    """Where a line of mountinfo says the mount is; white space stands there as octal numbers."""
    return Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4]))


def _kind(line: str) -> str:
    return line.partition(" - ")[2].split(" ")[0]


def _replaced(point: Path) -> bool:
    return any(point.is_relative_to(folder) for folder in REPLACED)


def way_to(folder: Path) -> Iterator[Path]:
    """The folders above `folder`, and itself, as far as this process may enter them."""
    for each in (*reversed(folder.parents), folder):
        if not each.is_dir() or not os.access(each, os.R_OK | os.X_OK):
            return
        yield each
