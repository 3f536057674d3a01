"""Downloads of LXC's Debian template that were cut short, which it would take for whole ones."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

CACHE = Path("/var/cache/lxc/debian")
LOCK = Path("/var/lock/subsys/lxc-debian")
"""Is locked by the template while it downloads."""

_MOUNTS = Path("/proc/self/mounts")


def drop_unfinished(cache: Path = CACHE, lock: Path = LOCK) -> None:
    """Remove downloads that nobody is at; raises OSError."""
    unfinished = sorted(cache.glob("partial-*"))
    if not unfinished or not lock.exists():
        return
    descriptor = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for folder in unfinished:
            _unmount(folder)
            shutil.rmtree(folder)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _unmount(folder: Path) -> None:
    """Unmount what is mounted below a folder; raises OSError if something stays."""
    for target in _mounted(folder):
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", "--lazy", "--", target], check=True, capture_output=True)
    if left := _mounted(folder):
        raise OSError(f"{left[0]} can't be unmounted, so {folder} can't be removed")


def _mounted(folder: Path) -> list[str]:
    """What is mounted below a folder, the innermost first."""
    targets = [line.split()[1] for line in _MOUNTS.read_text().splitlines()]
    return sorted((each for each in targets if Path(each).is_relative_to(folder)), reverse=True)
