"""Locks that end with their process, and whose files are gone when nobody needs them."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import anyio

from callboard.actors.drivers.processes import lives

_FIRST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 0.2
_LOOKS = 200


class Lock:
    """A lock that is held; made by `try_lock` and `lock`.

    Args:
        path: Its file.
        descriptor: The open file, which holds it.
        shared: Whether others may hold it too; its file stays then.
    """

    def __init__(self, path: Path, descriptor: int, *, shared: bool) -> None:
        self._path = path
        self._descriptor = descriptor
        self._shared = shared

    def note(self, text: str) -> None:
        """Say in the file who holds it, in one line; raises OSError."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{text}\n{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give it back, and remove its file; releasing it twice is harmless."""
        if self._descriptor < 0:
            return
        # Before it is unlocked: who locks a file that has no name any more tries again.
        if not self._shared:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def try_lock(path: Path, *, shared: bool = False) -> Lock | None:
    """The lock, or None while somebody else holds it; raises OSError."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        if _is_at(path, descriptor):
            return Lock(path, descriptor, shared=shared)
        os.close(descriptor)


async def lock(
    path: Path, *, shared: bool = False, waiting: Callable[[], None] | None = None
) -> Lock:
    """The lock, as soon as nobody else holds it.

    Args:
        path: Its file.
        shared: Whether others may hold it too, if they all ask so.
        waiting: Called once when there is a wait.

    Raises:
        OSError: The file can't be made.
    """
    pause_s = _FIRST_PAUSE_S
    while (found := try_lock(path, shared=shared)) is None:
        if waiting is not None:
            waiting()
            waiting = None
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
    return found


async def lock_of_the_dead(path: Path) -> Lock | None:
    """The lock, or None while somebody who lives holds it; raises OSError.

    A process that was killed while it started another one leaves its locks to that, for the
    moment that it takes to become another program.
    """
    for _ in range(_LOOKS):
        found = try_lock(path)
        if found is not None or _holder_lives(path):
            return found
        await anyio.sleep(_FIRST_PAUSE_S)
    return None


def holder(path: Path) -> str:
    """What the holder of a lock has noted, nothing where that can't be read."""
    return next(iter(_noted(path)), "")


def _holder_lives(path: Path) -> bool:
    pid = [*_noted(path), "", ""][1]
    return pid.isdecimal() and lives(int(pid))


def _noted(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file still has its name."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def is_held(path: Path) -> bool:
    """Whether somebody holds a lock now; its file is left as it is. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
