"""The files that a coordinator's log is in, and what is written to which of them.

A segment begins with its own number and that of the first record in it. All before that record is
on the disk for certain; what the segment before has from that record on was never acknowledged,
and doesn't count. When older segments are removed, all that was written until then is certain, too:
the groups are nowhere else.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import evolve, frozen

from callboard.coordinator import records
from callboard.coordinator.directory import (
    Directory,
    Index,
    Rules,
    located,
    move_aside,
    settle,
    title,
    untitled,
    write,
)
from callboard.coordinator.errors import StateError

Sync = Callable[[int], None]
"""Returns once all that was written to a file is on the disk; raises OSError if it can't be."""

_GROUP = re.compile(rb'"(?:group_name|end|image":\{"name)":("(?:[^"\\]|\\.)*")')
_MOST_NAMED = 10


@frozen
class Lines:
    """What a record of the log says.

    Attributes:
        segment: The number of the segment that it is in.
        place: Where it is, for people.
        lines: What it says.
    """

    segment: int
    place: str
    lines: tuple[bytes, ...]


@frozen
class Rest:
    """The end of the log, where a record was never finished, and so never acknowledged.

    Attributes:
        place: Where it is, for people.
        text: What is missing of it.
        size: How many bytes there are.
    """

    place: str
    text: str
    size: int


@frozen
class _Segment:
    """A segment that is read: its file's bytes, where its records begin, and the first's number."""

    path: Path
    data: bytes
    begin: int
    first: int


class Segments:
    """Reads the log, and writes it; one call at a time.

    Args:
        directory: Where its files are.
        index: What the directory says of itself.
        sync: What makes the disk keep what was written.

    Attributes:
        index: What the directory says of itself by now.
        size: How many bytes of the newest segment are on the disk for certain.
    """

    def __init__(self, directory: Directory, index: Index, sync: Sync) -> None:
        self.index = index
        self.size = 0
        self._directory = directory
        self._sync = sync
        self._next = 1  # the number of the record that comes next
        self._used = True  # whether the newest segment has any record
        self._file: int | None = None

    @classmethod
    def open(cls, path: Path, rules: Rules, sync: Sync = os.fdatasync) -> "Segments":
        """Those of a directory; if it is new, it is made one of these rules.

        Raises:
            StateError: It is one of other rules, is used by another, or can't be read or written.
        """
        directory = Directory.claim(path)
        try:
            index = directory.index()
            if index is not None and index.rules != rules:
                raise StateError(
                    f"the groups in {path} work by the rules '{index.rules}', not '{rules}'",
                    f"write --semantics {index.rules}, or name another directory",
                )
            with located(path):
                if index is None:
                    index = Index(rules, 1, 0, 1)
                    directory.keep(index)
                directory.clear(index)
            return cls(directory, index, sync)
        except BaseException:
            directory.close()
            raise

    def close(self) -> None:
        """Let another server have the directory."""
        self._leave()
        self._directory.close()

    # Reading

    def read(self) -> Iterator[Lines | Rest]:
        """All that counts, from the beginning; before anything is written.

        Raises:
            StateError: It can't be read, or something of it is damaged.
        """
        following: _Segment | None = None
        for number in self.index.segments:
            segment = self._load(number) if following is None else following
            following = self._load(number + 1) if number < self.index.newest else None
            yield from self._read(number, segment, following)

    def _load(self, number: int) -> _Segment:
        path = self._directory.segment(number)
        if not path.exists():
            text = f"{path} is missing"
            raise StateError(text, f"get it from a backup, or {move_aside(self._directory.path)}")
        with located(path):
            if number == self.index.newest:
                settle(path)  # who was killed may have written more than the disk was made to keep
            data = path.read_bytes()
        begin = untitled(path, data)
        try:
            opening = records.read(data, begin, None)
        except records.DamageError as damage:
            raise self._damaged(path, begin, damage.text, data) from damage
        if opening.body != _opening(number):
            raise self._damaged(path, begin, f"it isn't segment {number}", data)
        return _Segment(path, data, opening.end, opening.number)

    def _read(
        self, number: int, segment: _Segment, following: _Segment | None
    ) -> Iterator[Lines | Rest]:
        path, data, offset = segment.path, segment.data, segment.begin
        self._next = segment.first
        certain = self.index.certain if following is None else following.first
        while following is None or self._next < certain:
            place = f"{path}: byte {offset}"
            if offset == len(data):
                if self._next >= certain:
                    return
                text = f"records {self._next} to {certain - 1} are missing"
                raise self._damaged(path, offset, text, following.data if following else b"")
            try:
                record = records.read(data, offset, self._next)
            except records.DamageError as damage:
                if damage.unfinished and self._next >= certain:
                    yield Rest(place, damage.text, len(data) - offset)
                    return
                raise self._damaged(path, offset, damage.text, data[offset:]) from damage
            self._next += 1
            offset = record.end
            yield Lines(number, place, tuple(record.body.splitlines()))
        if certain < self._next:
            text = f"it begins with record {following.first}, and that is an earlier one"
            raise self._damaged(following.path, 0, text, following.data)

    def _damaged(self, path: Path, offset: int, text: str, rest: bytes) -> StateError:
        names = sorted(_groups(rest))
        said = ", ".join(map(repr, names[:_MOST_NAMED]))
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        affected = f" (from there on it is about {said}{more})" if names else ""
        return StateError(
            f"{path}: byte {offset}: {text}{affected}",
            f"get the directory from a backup, or {move_aside(self._directory.path)}",
        )

    # Writing

    def begin(self) -> None:
        """Go on in a new segment.

        Raises:
            OSError: It can't be made; then there is none that can be written to.
        """
        self._leave()
        number = self.index.newest + 1 if self._used else self.index.newest
        data = title() + records.encode(self._next, _opening(number))
        file = self._directory.create(self._directory.segment(number).name, data)
        try:
            if number != self.index.newest:
                index = evolve(self.index, newest=number)
                self._directory.keep(index)
                self.index = index
        except BaseException:
            os.close(file)
            raise
        self._file, self._used, self.size = file, False, len(data)

    def append(self, lines: bytes) -> None:
        """Write a record, which is on the disk then.

        Raises:
            OSError: It can't be written, or nobody knows whether it is. Nothing can be appended
                until another segment is begun.
        """
        if self._file is None:
            raise RuntimeError("there is no segment to write to")
        data = records.encode(self._next, lines)
        try:
            write(self._file, data)
            self._sync(self._file)
        except BaseException:
            with suppress(OSError):  # it is to leave room; it doesn't count anyway
                os.ftruncate(self._file, self.size)
            self._leave()
            raise
        self._next += 1
        self._used = True
        self.size += len(data)

    def drop(self) -> None:
        """Remove all segments but the newest. Raises OSError."""
        old = range(self.index.oldest, self.index.newest)
        index = evolve(self.index, oldest=self.index.newest, certain=self._next)
        self._directory.keep(index)
        self.index = index
        for number in old:
            self._directory.segment(number).unlink(missing_ok=True)

    def _leave(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with suppress(OSError):
                os.close(file)


def _opening(number: int) -> bytes:
    return json.dumps({"segment": number}).encode() + b"\n"


def _groups(text: bytes) -> set[str]:
    """The groups that a text is about, which may be damaged anywhere."""
    found = set[str]()
    for name in _GROUP.findall(text):
        with suppress(ValueError):
            found.add(json.loads(name))
    return found
