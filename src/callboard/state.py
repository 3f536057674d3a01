"""What callboard keeps on this machine between runs, such as the counter of job ids."""

import fcntl
import os
from pathlib import Path

from callboard.home import own_folder

_COUNTER = "next-job-id"
_FIRST_ID = 1


def state_directory() -> Path:
    """Where state is kept: `$CALLBOARD_STATE`, root's `/var/lib/callboard`, or the user's own."""
    if named := os.environ.get("CALLBOARD_STATE"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/callboard")
    return own_folder("XDG_STATE_HOME", ".local/state")


def take_job_ids(count: int) -> int:
    """Take `count` consecutive job ids; no other run of this user gets any of them.

    Returns:
        The first of them.

    Raises:
        OSError: The counter can't be read or written.
        ValueError: The counter's file holds something else.
    """
    folder = state_directory()
    folder.mkdir(parents=True, exist_ok=True)
    counter = folder / _COUNTER
    descriptor = os.open(counter, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read().strip()
        if text and not text.isdecimal():
            raise ValueError(f"{counter} holds no number; remove it to count from {_FIRST_ID}")
        first = int(text) if text else _FIRST_ID
        file.seek(0)
        file.truncate()
        file.write(f"{first + count}\n")
    return first
