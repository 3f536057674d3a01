"""Removing a folder that somebody has filled who wants it to stay."""

import array
import contextlib
import fcntl
import os
import stat
import tempfile
from pathlib import Path

_GET_FLAGS = 0x80086601
_SET_FLAGS = 0x40086602
_LOCKING_FLAGS = 0x30
"""Immutable and append-only (ioctl_iflags(2))."""


def erase(folder: Path) -> None:
    """Remove a folder of this user's, however deep it is and whatever its files are locked with.

    Folders are moved to the top one by one, so that no path gets long and nothing is recursive;
    hence nothing that is mounted there is touched.

    Raises:
        OSError: Something can't be removed.
    """
    waiting = [str(folder)]
    while waiting:
        current = waiting[-1]
        _unlock(current)
        below = []
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                else:
                    _remove(entry.path)
        if not below:
            os.rmdir(waiting.pop())  # noqa: PTH106 - a path as text
        elif len(waiting) == 1:
            waiting += below
        else:
            waiting += [_moved(path, folder) for path in below]


def _moved(path: str, top: Path) -> str:
    """A folder, at another place."""
    new = tempfile.mkdtemp(prefix=".erased-", dir=top)
    _unlock(path)
    os.rename(path, new)  # noqa: PTH104 - a path as text
    return new


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - a path as text
    except PermissionError:
        _unlock(path)
        os.unlink(path)  # noqa: PTH108


def _unlock(path: str) -> None:
    """Clear the flags that keep even root from removing a file; not all file systems have them."""
    mode = os.lstat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return  # a device must not be opened: some act on that
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            flags = array.array("i", [0, 0])
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
            if flags[0] & _LOCKING_FLAGS:
                flags[0] &= ~_LOCKING_FLAGS
                fcntl.ioctl(descriptor, _SET_FLAGS, flags)
        finally:
            os.close(descriptor)
