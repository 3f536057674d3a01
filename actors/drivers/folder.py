"""The folder of a local node, which tells later runs when its owner has died."""

import fcntl
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from callboard.actors.drivers.processes import kill_all

_PREFIX = "callboard-"
_UNFINISHED = ".callboard-"
_OWNER = "owner"
_LONGEST_NAME = 40


class NodeFolder:
    """A folder of a node, in the machine's folder for temporary files.

    Its file `owner` names the mark of the node's processes and is locked as long as this process
    lives, so that `sweep` tells the folders of a callboard that was killed.

    Args:
        name: Part of the folder's name.

    Raises:
        OSError: The folder can't be made.
    """

    def __init__(self, name: str) -> None:
        self.mark = uuid.uuid4().hex
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:_LONGEST_NAME]
        made = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{safe}-"))
        self._lock = os.open(made / _OWNER, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(self._lock, self.mark.encode())
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        # Only now does it have the name that is swept, for only now does its lock protect it.
        self.path = made.rename(made.with_name(made.name.replace(_UNFINISHED, _PREFIX, 1)))
        for part in ("home", "tmp"):
            (self.path / part).mkdir()

    def remove(self) -> None:
        """Remove the folder with all that is in it; raises OSError."""
        shutil.rmtree(self.path)
        os.close(self._lock)


async def sweep() -> int:
    """End the processes and remove the folders of nodes whose callboard was killed.

    Only this user's; what can't be removed now is left for the next time.

    Returns:
        How many nodes were cleaned up.
    """
    swept = 0
    for folder in list(_orphans()):
        try:
            await kill_all([], (folder / _OWNER).read_text())
            shutil.rmtree(folder)
        except OSError:
            continue
        swept += 1
    return swept


def _orphans() -> Iterator[Path]:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.stat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / _OWNER, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
        except BlockingIOError:
            continue
        finally:
            os.close(lock)
