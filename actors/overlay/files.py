"""Files on their way to a node."""

import gzip
import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from attrs import field, frozen

_DIRECTORY_MODE = 0o755


def _inside(_file: "File", _attribute: object, path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
        raise ValueError(f"{path!r} leads out of the overlay")


@frozen
class File:
    """A file of the overlay.

    Attributes:
        path: Where, relative to the overlay's root.
        content: What is in it; None makes a directory.
        mode: Its permissions.
    """

    path: str = field(validator=_inside)
    content: bytes | None
    mode: int = 0o644


def write(files: Iterable[File], folder: Path) -> None:
    """Write files below a folder of this machine; raises OSError."""
    made: set[Path] = set()
    for file in files:
        path = folder / file.path
        parent = path if file.content is None else path.parent
        if parent not in made:
            parent.mkdir(parents=True, exist_ok=True)
            made.add(parent)
        if file.content is not None:
            # Nobody else's to read before it has its mode: it may hold a secret.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(file.content)
                os.fchmod(descriptor, file.mode)


def tarball(files: Iterable[File], root: str) -> bytes:
    """The files below `root` as a .tar.gz; the same bytes for the same files."""
    content = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=content, mode="wb", mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for file in files:
            entry = tarfile.TarInfo(f"{root.strip('/')}/{file.path}")
            if file.content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, _DIRECTORY_MODE
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(file.content), file.mode
                archive.addfile(entry, io.BytesIO(file.content))
    return content.getvalue()
