"""How the log of a coordinator stands in its files: as text, in numbered records with checksums.

A record is what was written to the disk in one go: a line that announces it, and its body, which
is JSON documents, one a line. The next one is begun only when the one before is on the disk for
certain. So only the last can be unfinished, and it can be told from a damaged one: its file ends
too early, or lacks a sector that the disk was never given, which then reads as zeros, and of
which JSON has none. Whatever else is not as it was written is damage, and never passed over.
"""

import re
import zlib

from attrs import frozen

_HEADER = re.compile(rb"([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8})\n")
"""Number, length and checksum of the body, checksum of the three."""

_HEADER_BYTES = 16 + 3 * 9 + 1
_CHECKED = 16 + 2 * 9

_SECTOR_BYTES = 512
"""What a disk writes whole or not at all; to be precise, the least that any disk does."""


@frozen
class Record:
    """What was written in one go.

    Attributes:
        number: Its place in the whole log.
        body: Its lines.
        end: Where it ends in its file, in bytes.
    """

    number: int
    body: bytes
    end: int


class DamageError(Exception):
    """What is there was not written like this.

    Attributes:
        text: What is wrong.
        unfinished: Whether it is only the rest of a record that was never finished.
    """

    def __init__(self, text: str, *, unfinished: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.unfinished = unfinished


def encode(number: int, body: bytes) -> bytes:
    """A record as it is written; the body ends with a line break."""
    announced = b"%016x %08x %08x" % (number, len(body), zlib.crc32(body))
    return b"%b %08x\n%b" % (announced, zlib.crc32(announced), body)


def read(data: bytes, offset: int, number: int | None) -> Record:
    """Read a record.

    Args:
        data: All of a file.
        offset: Where the record begins, in bytes.
        number: Which one has to be there; None for any.

    Raises:
        DamageError: It isn't there as it was written.
    """
    announced = _announced(data, offset)
    if announced is None:
        short = len(data) - offset < _HEADER_BYTES
        unfinished = short or _is_last(data, offset, len(data))
        raise DamageError(f"{_name(number)} was expected, and is damaged", unfinished=unfinished)
    found, length, checksum = announced
    if number not in (found, None):
        raise DamageError(f"{_name(number)} was expected, and {_name(found)} is there")
    end = offset + _HEADER_BYTES + length
    body = data[offset + _HEADER_BYTES : end]
    if len(body) < length:
        text = f"{_name(found)} ends after {len(body)} of its {length} bytes"
        raise DamageError(text, unfinished=True)
    if zlib.crc32(body) != checksum:
        text = f"{_name(found)} has not the checksum that it was written with"
        raise DamageError(text, unfinished=_is_last(data, offset, end))
    return Record(found, body, end)


def _name(number: int | None) -> str:
    return "a record" if number is None else f"record {number}"


def _announced(data: bytes, offset: int) -> tuple[int, int, int] | None:
    """Number, length and checksum of the record there, if its header is as it was written."""
    match = _HEADER.match(data, offset)
    if match is None or zlib.crc32(match[0][:_CHECKED]) != int(match[4], 16):
        return None
    return int(match[1], 16), int(match[2], 16), int(match[3], 16)


def _is_last(data: bytes, offset: int, end: int) -> bool:
    """Whether what is there lacks a sector, and no record was written after its beginning."""
    following = _HEADER.finditer(data, offset + 1)
    if any(_announced(data, match.start()) is not None for match in following):
        return False
    return any(
        not data[max(sector, offset) : min(sector + _SECTOR_BYTES, end)].strip(b"\0")
        for sector in range(offset - offset % _SECTOR_BYTES, end, _SECTOR_BYTES)
    )
