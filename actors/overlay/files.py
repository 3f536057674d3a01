"""Files on their way to a node."""

import io
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from attrs import field, frozen

_DIRECTORY_MODE = 0o755


def _inside(_file: "File", _attribute: object, path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        raise ValueError(f"{path!r} leads out of the overlay")


@frozen
class Link:
    """A symbolic link; `target` is what it holds."""

    target: str


@frozen
class File:
    """A file of the overlay.

    Attributes:
        path: Where, relative to the overlay's root.
        content: What is in it; a path means what this machine has there, None a directory.
        mode: Its permissions.
    """

    path: str = field(validator=_inside)
    content: bytes | Path | Link | None
    mode: int = 0o644


def tree(folder: Path, below: str, *, without: Iterable[str] = ()) -> Iterator[File]:
    """The files of a folder of this machine, as files below a folder of the overlay.

    Args:
        folder: What is taken, with its links as they are.
        below: Where it lies in the overlay.
        without: Paths in it that are somebody else's to write: they are left out, what is
            below them too, and so are links on the way to them.
    """
    others = [PurePosixPath(each) for each in without]
    for path in sorted(folder.rglob("*")):
        name = PurePosixPath(path.relative_to(folder))
        link = path.is_symlink()
        in_the_way = link or not path.is_dir()
        if any(
            name.is_relative_to(each) or (in_the_way and each.is_relative_to(name))
            for each in others
        ):
            continue
        if link:
            yield File(f"{below}/{name}", Link(str(path.readlink())))
        elif path.is_dir():
            yield File(f"{below}/{name}", None)
        elif path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            yield File(f"{below}/{name}", path, mode)


def write(files: Iterable[File], folder: Path) -> None:
    """Write files below a folder of this machine; raises OSError."""
    made: set[Path] = set()
    for file in files:
        path = folder / file.path
        parent = path if file.content is None else path.parent
        if parent not in made:
            parent.mkdir(parents=True, exist_ok=True)
            made.add(parent)
        match file.content:
            case None:
                continue
            case Link(target):
                path.symlink_to(target)
            case Path():
                shutil.copyfile(file.content, path)
                path.chmod(file.mode)
            case bytes():
                # Nobody else's to read before it has its mode: it may hold a secret.
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as opened:
                    opened.write(file.content)
                    os.fchmod(descriptor, file.mode)


def pack(files: Mapping[str, Iterable[File]], archive: BinaryIO) -> None:
    """Write files, by their root, into a tar archive: the same bytes for the same files.

    Raises:
        OSError: A file of this machine can't be read, or the archive can't be written.
    """
    with tarfile.open(fileobj=archive, mode="w|") as opened:
        for root, file in ((root, file) for root, own in files.items() for file in own):
            entry = tarfile.TarInfo(f"{root}/{file.path}".strip("/"))
            entry.mode = file.mode
            match file.content:
                case None:
                    entry.type, entry.mode = tarfile.DIRTYPE, _DIRECTORY_MODE
                    opened.addfile(entry)
                case Link(target):
                    entry.type, entry.linkname = tarfile.SYMTYPE, target
                    opened.addfile(entry)
                case Path():
                    with file.content.open("rb") as content:
                        entry.size = os.fstat(content.fileno()).st_size
                        opened.addfile(entry, content)
                case bytes():
                    entry.size = len(file.content)
                    opened.addfile(entry, io.BytesIO(file.content))
