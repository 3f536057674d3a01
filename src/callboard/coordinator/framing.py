"""How LAVA's coordinator protocol puts messages on the wire.

A connection carries one request and one reply. Each is a header of 8 hexadecimal digits, the
number of characters that follow, and a JSON document. The client shuts its side down after the
request, the coordinator closes after the reply. LAVA: coordinator, transport.
"""

import json
from codecs import getincrementaldecoder
from collections.abc import Mapping
from io import StringIO

PORT = 3079
"""Where LAVA's coordinator listens unless it is told otherwise."""

HEADER_LENGTH = 8

_Utf8 = getincrementaldecoder("utf-8")

_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class FrameError(ValueError):
    """What came is no message; the text says why."""


def frame(document: Mapping[str, object]) -> bytes:
    """A document as it goes over the wire; it is ASCII, so that characters are bytes."""
    text = json.dumps(document).encode("ascii")
    return b"%08X%b" % (len(text), text)


def whole(data: bytes, limit: int) -> str | None:
    """The text of a message that has come in one piece, as most do.

    Args:
        data: All that has come.
        limit: The most characters that it may have.

    Returns:
        Its text; None if that is not all there is to it, which a `FrameReader` knows.
    """
    length = len(data) - HEADER_LENGTH
    if length > limit or data[:HEADER_LENGTH].upper() != b"%08X" % length or not data.isascii():
        return None
    return data[HEADER_LENGTH:].decode("ascii")


class FrameReader:
    """Puts a message together from the pieces in which it comes.

    Args:
        limit: The most characters that a message may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._header = b""
        self._length: int | None = None
        self._decoder = _Utf8()
        self._text = StringIO()
        self._count = 0

    @property
    def begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._header)

    def feed(self, data: bytes) -> str | None:
        """Take the next piece.

        Returns:
            The message's text once it is whole, before that None.

        Raises:
            FrameError: The header is no length, the length is above the limit, more came than
                was announced, or it is not UTF-8.
        """
        if self._length is None:
            missing = HEADER_LENGTH - len(self._header)
            self._header += data[:missing]
            self._length, data = self._announced(), data[missing:]
        if self._length is None:
            return None
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError:
            raise FrameError("it is not UTF-8") from None
        self._text.write(text)
        self._count += len(text)
        if self._count > self._length or (self._count == self._length and self._in_a_character):
            raise FrameError(f"more came than the {self._length} characters that were announced")
        return self._text.getvalue() if self._count == self._length else None

    @property
    def _in_a_character(self) -> bool:
        """Whether the rest of a character is still to come."""
        return bool(self._decoder.getstate()[0])

    def _announced(self) -> int | None:
        header = self._header
        if not _DIGITS.issuperset(header):
            raise FrameError(f"it begins with {header!r}, which is no length in hexadecimal digits")
        if len(header) < HEADER_LENGTH:
            return None
        length = int(header, 16)
        if length > self._limit:
            raise FrameError(f"it would have {length} characters; {self._limit} is the most")
        return length
