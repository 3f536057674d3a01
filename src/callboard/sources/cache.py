"""What has been fetched, by its content: the same commit or archive is never fetched twice."""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from callboard.home import own_folder

_UNFINISHED = ".new-"
_STALE_S = 60
_KEPT_S = 30 * 24 * 3600


def cache_directory() -> Path:
    """Where it is kept: `$CALLBOARD_CACHE`, root's `/var/cache/callboard`, or the user's own."""
    if named := os.environ.get("CALLBOARD_CACHE"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/cache/callboard")
    return own_folder("XDG_CACHE_HOME", ".cache")


class Cache:
    """Folders by name, each complete or not there.

    Args:
        folder: Where they are; made if it doesn't exist. Raises OSError.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._tidy()

    def find(self, name: str) -> Path | None:
        """The folder of that name; it counts as used now."""
        path = self._folder / name
        if not path.is_dir():
            return None
        os.utime(path)
        return path

    @contextlib.contextmanager
    def making(self) -> Iterator[Path]:
        """A new folder to work in, removed at the end unless it has been kept."""
        path = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
        # Held as long as this process lives, so that others know a folder that nobody finishes.
        lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)

    def keep(self, made: Path, name: str) -> Path:
        """Give a folder that is complete its name; another run may have been first."""
        path = self._folder / name
        with contextlib.suppress(OSError):
            made.rename(path)
        if not path.is_dir():
            raise FileNotFoundError(f"{path} could not be written")
        return path

    def _tidy(self) -> None:
        """Remove what killed runs left, and what nobody has used for a month."""
        now_s = time.time()
        for path in self._folder.iterdir():
            unfinished = path.name.startswith(_UNFINISHED)
            with contextlib.suppress(OSError):
                if now_s - path.stat().st_mtime > (_STALE_S if unfinished else _KEPT_S):
                    _remove(path)


def _remove(path: Path) -> None:
    """Remove a folder that no living process works in; raises BlockingIOError if one does."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
