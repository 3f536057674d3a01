"""Frames of VLANd's protocol: eight hexadecimal digits, then as many bytes of JSON."""

import json
import re
from collections.abc import Mapping

from callboard.definition.model import Plain

MOST_SENT = 65_534
"""Bytes of a request, at most; LAVA's client refuses longer ones."""

MOST_RECEIVED = 1_048_576
"""Bytes of a reply, at most; those to what callboard asks have some hundred."""

_HEADER = 8
_LENGTH = re.compile(rb"[0-9A-Fa-f]{8}")


class FrameError(ValueError):
    """Bytes are no frame, or no JSON; the text says what they are."""


def encode(message: Mapping[str, Plain]) -> bytes:
    """A message as a frame; raises FrameError where it is too long."""
    body = json.dumps(message).encode()
    if len(body) > MOST_SENT:
        raise FrameError(f"a request of {len(body):,} bytes is too long")
    return b"%08X" % len(body) + body


class Decoder:
    """Takes one frame from bytes that come in any pieces."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def started(self) -> bool:
        """Whether anything has come."""
        return bool(self._bytes)

    def feed(self, data: bytes) -> bool:
        """Take bytes; those behind the frame are left out.

        Returns:
            Whether the frame is complete.

        Raises:
            FrameError: There is no length where one must be, or too large a one.
        """
        self._bytes += data
        length = self._length()
        return length is not None and len(self._bytes) >= _HEADER + length

    def message(self) -> Plain:
        """What the complete frame holds; raises FrameError where it isn't JSON."""
        length = self._length()
        assert length is not None, "the frame is complete"
        body = bytes(self._bytes[_HEADER : _HEADER + length])
        try:
            found: Plain = json.loads(body)
        except (ValueError, RecursionError):
            raise FrameError(f"not JSON: {brief(body)}") from None
        return found

    def _length(self) -> int | None:
        """How long the body is; None before the header is complete."""
        header = bytes(self._bytes[:_HEADER])
        if not _LENGTH.fullmatch(header.ljust(_HEADER, b"0")):
            raise FrameError(f"no frame of VLANd: {brief(bytes(self._bytes))}")
        if len(header) < _HEADER:
            return None
        length = int(header, 16)
        if length > MOST_RECEIVED:
            raise FrameError(f"a reply of {length:,} bytes")
        return length


def brief(found: object) -> str:
    """What has come, short enough for a sentence."""
    text = found.decode(errors="replace") if isinstance(found, bytes) else json.dumps(found)
    text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return f"`{text}`" if len(text) <= 100 else f"`{text[:99]}…`"
