"""Runs a command as an ordinary user, in a mount namespace where that user can reach it.

Tests run as root in CI, with Python and the test's folder behind folders that only root may
enter. The namespace shows just these where they are; the machine itself stays as it is.

    unshare --mount --propagation private python ordinary.py FOLDER ... -- COMMAND ...
"""

import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
_STASH = Path("/mnt")


def open_way(folders: list[Path]) -> None:
    """Let everybody reach these folders, and nothing else behind the same doors."""
    _mount("-t", "tmpfs", "-o", "mode=755", "stash", str(_STASH))
    blocked: dict[Path, list[Path]] = {}
    for folder in dict.fromkeys(each.resolve() for each in folders):
        door = next((each for each in _above(folder) if not each.stat().st_mode & 0o001), None)
        if door is not None:
            blocked.setdefault(door, []).append(folder)
    for number, folder in enumerate(each for inside in blocked.values() for each in inside):
        (_STASH / str(number)).mkdir()
        _mount("--bind", str(folder), str(_STASH / str(number)))
    number = 0
    for door, inside in blocked.items():
        _mount("-t", "tmpfs", "-o", "mode=755", "door", str(door))
        for folder in inside:
            folder.mkdir(parents=True)
            _mount("--bind", str(_STASH / str(number)), str(folder))
            number += 1
    subprocess.run(["umount", "--recursive", str(_STASH)], check=True)


def _above(folder: Path) -> list[Path]:
    return [*reversed(folder.parents), folder]


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def main() -> None:
    """Open the way to the folders given, and become an ordinary user there."""
    split = sys.argv.index("--")
    open_way([Path(each) for each in sys.argv[1:split]])
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    os.execvp("setpriv", [*user, *sys.argv[split + 1 :]])


if __name__ == "__main__":
    main()
