"""What a directory may look like after a crash: each call that changes it is watched.

The calls are the real ones. Of what they do a crash leaves all that the disk was made to keep,
and a part of the rest: of the changes of names the first so many, of what was done to a file too,
and the last of that may be cut anywhere, or lack a sector.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest
from attrs import frozen

SECTOR = 512
_CALLS = ("open", "write", "fsync", "fdatasync", "ftruncate", "rename", "unlink", "close")


@frozen
class Named:
    """From now on `names` lead to these files; None is for a name that is no more."""

    names: tuple[tuple[str, int | None], ...]


@frozen
class Written:
    file: int
    data: bytes


@frozen
class Cut:
    file: int
    size: int


@frozen
class Kept:
    """All that was done to a file before is certain; None is for the directory's names."""

    file: int | None


Fault = Literal["error", "kill"]
Done = Named | Written | Cut | Kept
Files = dict[str, bytes]


class Killed(BaseException):
    """The process does nothing any more."""


class Disk:
    """Watches a directory that is empty.

    Args:
        path: The directory.

    Attributes:
        done: All that was done to it.
    """

    def __init__(self, path: Path) -> None:
        self.done: list[Done] = []
        self._faults: dict[int, Fault] = {}
        self._attempts = 0
        self._killed = False
        self._marks: list[tuple[int, int]] = []
        self._path = path
        self._files = 0
        self._names: dict[str, int] = {}
        self._open: dict[int, int | None] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The time in which what is done is seen."""
        calls = {name: getattr(self, f"_on_{name}") for name in _CALLS}
        with pytest.MonkeyPatch.context() as patch:
            for name, call in calls.items():
                patch.setattr(os, name, partial(call, getattr(os, name)))
            yield

    def arm(self, faults: Mapping[int, Fault]) -> None:
        """Have these faults happen, counted from now on; a killed process lives again."""
        self._faults, self._attempts, self._killed = dict(faults), 0, False

    def mark(self, value: int) -> None:
        """Until the next mark `marked` says this."""
        self._marks.append((len(self.done), value))

    def marked(self, moment: int) -> int:
        """What had been marked last at a moment."""
        return [value for place, value in self._marks if place <= moment][-1]

    # What a crash leaves

    def left(self, moment: int, random: Random) -> Files:
        """What one crash leaves of the first so many things that were done."""
        how_much = random.choice(["least", "some", "most"])

        def taken(certain: int, possible: int) -> int:
            if how_much == "some":
                return random.randint(certain, possible)
            return certain if how_much == "least" else possible

        naming = [each for each in self._about(None, moment) if isinstance(each, Named)]
        names: dict[str, int | None] = {}
        for change in naming[: taken(self._certain(None, moment), len(naming))]:
            names.update(change.names)
        files = Files()
        for name, file in names.items():
            if file is not None:
                certain, steps = self._certain(file, moment), self._about(file, moment)
                count = taken(certain, len(steps))
                files[name] = _content(steps[:count])
                if how_much == "some" and count > certain:
                    files[name] = _damaged(files[name], len(_content(steps[: count - 1])), random)
        return files

    def _about(self, file: int | None, moment: int) -> list[Named | Written | Cut]:
        return [
            each
            for each in self.done[:moment]
            if (isinstance(each, Named) and file is None)
            or (isinstance(each, Written | Cut) and each.file == file)
        ]

    def _certain(self, file: int | None, moment: int) -> int:
        kept = [index for index in range(moment) if self.done[index] == Kept(file)]
        return len(self._about(file, kept[-1])) if kept else 0

    # The calls

    def _fail(self) -> None:
        """Raises what is to go wrong with the next thing that is done."""
        fault = self._faults.get(self._attempts)
        self._attempts += 1
        self._killed |= fault == "kill"
        if self._killed:
            raise Killed
        if fault == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def _is_ours(self, path: Any) -> bool:
        return not isinstance(path, int) and Path(path).parent == self._path

    def _on_open(self, real: Any, path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and self._is_ours(path):
            self._fail()
        descriptor: int = real(path, flags, *rest, **more)
        if not isinstance(path, int) and Path(path) == self._path:
            self._open[descriptor] = None
        elif self._is_ours(path):
            name = Path(path).name
            if name not in self._names:
                self._files += 1
                self._name({name: self._files})
            self._open[descriptor] = file = self._names[name]
            if flags & os.O_TRUNC:
                self.done.append(Cut(file, 0))
        return descriptor

    def _on_write(self, real: Any, descriptor: int, data: Any) -> int:
        file = self._open.get(descriptor)
        if file is None:
            count: int = real(descriptor, data)
            return count
        try:
            self._fail()
        except BaseException:
            half = data[: len(data) // 2]
            self.done.append(Written(file, bytes(half)))
            real(descriptor, half)
            raise
        self.done.append(Written(file, bytes(data)))
        return int(real(descriptor, data))

    def _on_ftruncate(self, real: Any, descriptor: int, size: int) -> None:
        file = self._open.get(descriptor)
        if file is not None:
            self._fail()
            self.done.append(Cut(file, size))
        real(descriptor, size)

    def _on_fsync(self, real: Any, descriptor: int) -> None:
        if descriptor in self._open:
            self._fail()
            self.done.append(Kept(self._open[descriptor]))
        real(descriptor)

    _on_fdatasync = _on_fsync

    def _on_rename(self, real: Any, source: Any, target: Any, **more: Any) -> None:
        if self._is_ours(source):
            self._fail()
            file = self._names[Path(source).name]
            self._name({Path(source).name: None, Path(target).name: file})
        real(source, target, **more)

    def _on_unlink(self, real: Any, path: Any, **more: Any) -> None:
        if self._is_ours(path) and Path(path).name in self._names:
            self._fail()
            self._name({Path(path).name: None})
        real(path, **more)

    def _on_close(self, real: Any, descriptor: int) -> None:
        real(descriptor)
        self._open.pop(descriptor, None)

    def _name(self, names: dict[str, int | None]) -> None:
        self.done.append(Named(tuple(names.items())))
        for name, file in names.items():
            if file is None:
                del self._names[name]
            else:
                self._names[name] = file


def _content(steps: Sequence[Named | Written | Cut]) -> bytes:
    content = b""
    for each in steps:
        if isinstance(each, Written):
            content += each.data
        elif isinstance(each, Cut):
            content = content[: each.size]
    return content


def _damaged(content: bytes, begin: int, random: Random) -> bytes:
    """What is left where the last that was written, from `begin` on, was not finished."""
    if begin >= len(content):
        return content
    if random.random() < 0.5:
        return content[: random.randint(begin, len(content))]
    sector = random.randrange(begin // SECTOR, (len(content) - 1) // SECTOR + 1) * SECTOR
    first, last = max(sector, begin), min(sector + SECTOR, len(content))
    return content[:first] + bytes(last - first) + content[last:]
