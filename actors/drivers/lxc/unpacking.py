"""Unpacks an archive within a container's files: a program of its own, confined to them.

    python -I -S unpacking.py ROOT
    unshare --mount --propagation private python -I -S unpacking.py ROOT UPPER LOWER WORK

The archive is a tar on standard input. ROOT is the container's root folder, `/proc/<pid>/root`
while it runs; with the folders of its overlay, that is mounted there first, where nobody else
sees it. Whatever links a container has made, nothing outside it is written; nor when the container
ends and its process's number becomes that of another one, of this machine.

It imports nothing of callboard's, so that it starts at once.
"""

import contextlib
import ctypes
import os
import sys
import tarfile
from pathlib import Path

_PIECE_BYTES = 1 << 20
_DIRECTORY_MODE = 0o755


def main() -> int:
    """Unpack; what goes wrong is one line on standard error."""
    try:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            _enter([Path(word) for word in sys.argv[1:]])
            for member in archive:
                _unpack(archive, member)
    except (OSError, tarfile.TarError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a program's own way to say it
        return 1
    return 0


def _enter(folders: list[Path]) -> None:
    """Make a container's root folder this process's own."""
    root, *overlay = folders
    if overlay:
        upper, lower, work = overlay
        _mount(root, f"lowerdir={lower},upperdir={upper},workdir={work}")
    try:
        os.chdir(root)
    except (FileNotFoundError, ProcessLookupError):
        raise OSError("the container has ended") from None
    if Path().samefile("/"):
        raise OSError("the container has ended")
    os.chroot(".")


def _mount(root: Path, options: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"overlay", os.fsencode(root), b"overlay", 0, os.fsencode(options)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mounting its overlay: {os.strerror(number)}")


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    path = Path("/", member.name)
    if member.isdir():
        path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    # Never through what is there: a link leads elsewhere, and a pipe has no end.
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if member.issym():
        path.symlink_to(member.linkname)
        return
    content = archive.extractfile(member)
    if content is None:
        raise OSError(f"{path} is neither a file nor a link in the archive")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := content.read(_PIECE_BYTES):
            file.write(piece)
        os.fchmod(descriptor, member.mode)


if __name__ == "__main__":
    sys.exit(main())
