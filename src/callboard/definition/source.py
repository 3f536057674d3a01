"""The bytes of a file as text, and what of it may be shown."""

import codecs
import os
import re
import stat
import unicodedata
from array import array
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path

from attrs import define, field, frozen

from callboard.definition.diagnostics import Diagnostic, Severity
from callboard.definition.model import Place

SIZE_LIMIT_BYTES = 4 * 1024 * 1024
SHOWN_COLUMNS = 160
_CUT = "…"
_SHORTEST_START = 3
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@frozen
class Excerpt:
    """A line as it may be printed, and the column under which the caret goes, from 1."""

    line: str
    caret: int


@define
class Source:
    """The text of one file; positions in it are offsets in characters.

    Attributes:
        file: Name of the file as the user gave it.
        text: Its text, without a byte order mark.
        hidden: Ranges of offsets whose lines are never shown, for they hold secrets.
        secrets: Values that are never shown, wherever they stand.
    """

    file: str
    text: str
    hidden: list[tuple[int, int]] = field(factory=list[tuple[int, int]])
    secrets: frozenset[str] = frozenset()
    _starts: "array[int] | None" = field(default=None, init=False, repr=False, eq=False)

    def place(self, offset: int) -> Place:
        """The line and column of `offset`, both from 1."""
        line = self._line(offset)
        return Place(self.file, line + 1, min(offset, len(self.text)) - self._starts_of()[line] + 1)

    def offset(self, place: Place) -> int:
        """The offset of a place in this file."""
        return self._starts_of()[place.line - 1] + place.column - 1

    def has(self, place: Place, text: str) -> bool:
        """Whether a text stands at a place as it is."""
        starts = self._starts_of()
        if not 1 <= place.line <= len(starts):
            return False
        return self.text.startswith(text, starts[place.line - 1] + place.column - 1)

    def excerpt(self, offset: int) -> Excerpt | None:
        """The line of `offset`, shortened around it; None when it must not be shown."""
        line = self._line(offset)
        starts = self._starts_of()
        first = starts[line]
        last = starts[line + 1] - 1 if line + 1 < len(starts) else len(self.text)
        if any(start < last + 1 and first < end for start, end in self.hidden):
            return None
        text = self.text[first:last].removesuffix("\r")
        if any(secret in text for secret in self.secrets):
            return None
        return _shortened(text, min(offset - first, len(text)))

    def masked(self, message: str) -> str:
        """The message with every secret replaced by `[MASKED]`, also one cut short by `…`."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            message = message.replace(secret, "[MASKED]")
            if _CUT in message:
                *parts, last = message.split(_CUT)
                message = _CUT.join([*(_without_start(each, secret) for each in parts), last])
        return message

    def diagnostic(
        self,
        code: str,
        severity: Severity,
        offset: int,
        message: str,
        hint: str | None = None,
        role: str | None = None,
    ) -> Diagnostic:
        """A finding at `offset`, with its line unless that is hidden."""
        excerpt = self.excerpt(offset)
        return Diagnostic(
            code=code,
            severity=severity,
            message=self.masked(message),
            place=self.place(offset),
            hint=None if hint is None else self.masked(hint),
            source=excerpt.line if excerpt else None,
            role=role,
            caret=excerpt.caret if excerpt else None,
        )

    def _line(self, offset: int) -> int:
        return bisect_right(self._starts_of(), min(offset, len(self.text))) - 1

    def _starts_of(self) -> "array[int]":
        if self._starts is None:
            lengths = (len(line) + 1 for line in self.text.split("\n"))
            self._starts = array("l", accumulate(lengths, initial=0))
            self._starts.pop()
        return self._starts


def _shortened(text: str, column: int) -> Excerpt:
    first, last = 0, len(text)
    if last > SHOWN_COLUMNS:
        room = SHOWN_COLUMNS - 2
        first = max(0, min(column - room // 2, last - room))
        last = min(last, first + room)
    before = "…" if first else ""
    after = "…" if last < len(text) else ""
    shown = "".join(_harmless(character) for character in text[first:last])
    line = (before + shown + after)[:SHOWN_COLUMNS]
    caret = len(before) + sum(map(_width, shown[: column - first])) + 1
    return Excerpt(line, caret)


def _harmless(character: str) -> str:
    """A character that can't move the cursor or change the terminal's state."""
    if character == "\t":
        return " "
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return "\ufffd"
    return character


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def read_source(path: str | os.PathLike[str], file: str | None = None) -> Source | Diagnostic:
    """The text of a file, or why it can't be used.

    At most 4 MiB are read, whatever the file is; pipes and terminals are read like files.

    Args:
        path: The file.
        file: What it is called in places, None for its path.
    """
    path = os.fspath(path)
    file = path if file is None else file
    nowhere = Place(file, 1, 1)
    try:
        with Path(path).open("rb") as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > SIZE_LIMIT_BYTES:
                return _too_large(nowhere, status.st_size)
            data = stream.read(SIZE_LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        return _unreadable(nowhere, error)
    if len(data) > SIZE_LIMIT_BYTES:
        return _too_large(nowhere, len(data))
    return decode(data, file)


def decode(data: str | bytes, file: str) -> Source | Diagnostic:
    """Text or UTF-8 bytes as a source, or why they can't be used."""
    if isinstance(data, bytes):
        if len(data) > SIZE_LIMIT_BYTES:
            return _too_large(Place(file, 1, 1), len(data))
        if data.startswith(_UTF_16):
            return Diagnostic(
                "CB003", "error", "the file is UTF-16", Place(file, 1, 1), "save it as UTF-8"
            )
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            readable = Source(file, data[: error.start].decode().removeprefix("\ufeff"))
            return Diagnostic(
                "CB003",
                "error",
                f"the byte 0x{data[error.start]:02x} is not UTF-8",
                readable.place(len(readable.text)),
                "save the file as UTF-8; if it isn't a text file, another one was meant",
            )
    else:
        text = data
    source = Source(file, text.removeprefix("\ufeff"))
    size_bytes = len(text.encode(errors="replace"))
    if size_bytes > SIZE_LIMIT_BYTES:
        return _too_large(Place(file, 1, 1), size_bytes)
    if found := _FORBIDDEN.search(source.text):
        return Diagnostic(
            "CB003",
            "error",
            f"the character U+{ord(found.group()):04X} is not allowed in YAML",
            source.place(found.start()),
            "remove it; if it isn't a text file, another one was meant",
        )
    return source


def _without_start(text: str, secret: str) -> str:
    """A text that was cut short, without the beginning of a secret at its end."""
    for length in range(min(len(secret), len(text)), _SHORTEST_START - 1, -1):
        if text.endswith(secret[:length]):
            return f"{text[:-length]}[MASKED]"
    return text


def _too_large(place: Place, size_bytes: int) -> Diagnostic:
    return Diagnostic(
        "CB002",
        "error",
        f"the file has {size_bytes:,} bytes or more; the limit is {SIZE_LIMIT_BYTES:,}",
        place,
        "put large test definitions into a repository and name it with `from: git`",
    )


def _unreadable(place: Place, error: OSError | ValueError) -> Diagnostic:
    message: str
    hint: str | None
    match error:
        case FileNotFoundError():
            message, hint = "there is no such file", "check the path"
        case IsADirectoryError():
            message, hint = "this is a directory", "name a file in it"
        case PermissionError():
            message, hint = "the file may not be read", "check its permissions"
        case OSError():
            message, hint = f"the file can't be read: {error.strerror}", None
        case _:
            message, hint = "this can't be the name of a file", "check the path"
    return Diagnostic("CB001", "error", message, place, hint)
