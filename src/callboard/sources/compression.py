"""Files that are compressed (LAVA: compression)."""

import bz2
import gzip
import importlib
import lzma
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from callboard.sources.address import shown
from callboard.sources.errors import BAD_ARCHIVE, REFUSED, SourceError
from callboard.sources.transfer import Measure, Readable, Wanted, pour

Opener = Callable[[Path], AbstractContextManager[Readable]]
"""Opens a compressed file for reading what is in it."""

_OPENERS: Mapping[str, Opener] = {
    "gz": gzip.open,
    "bz2": bz2.open,
    "xz": lzma.open,
}
_ZSTD = ("compression.zstd", "zstandard")
"""Modules that read it: Python's own from 3.14 on, and one that can be installed."""


def opener_of(compression: str) -> Opener:
    """What opens files of a compression; raises SourceError where nothing does."""
    if compression == "zstd":
        return _zstd()
    try:
        return _OPENERS[compression]
    except KeyError:
        message = f"callboard can't unpack the compression `{compression[:60]}`"
        hint = f"it unpacks {', '.join(_OPENERS)} and zstd; without `compression` the file stays"
        raise SourceError(REFUSED, message, f"{hint} as it is") from None


def _zstd() -> Opener:
    for name in _ZSTD:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        opener: Opener = module.open
        return opener
    message = "this Python can't unpack the compression `zstd`"
    raise SourceError(REFUSED, message, "install the package zstandard for it, or compress with xz")


def expand(packed: Path, target: Path, opener: Opener, wanted: Wanted) -> None:
    """Write what is in a compressed file into another one, in a thread.

    Args:
        packed: The compressed file.
        target: The other one.
        opener: What opens the compressed file.
        wanted: What it was fetched as; its limit is also that of what comes out.

    Raises:
        SourceError: It isn't compressed like that, or too much comes out of it.
        OSError: The file can't be written.
    """
    with target.open("wb") as written:
        try:
            with opener(packed) as source:
                pour(source, written, Measure(wanted, "unpacked"))
        except (EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise _bad(wanted, error) from error
        except OSError as error:
            if error.errno is not None:  # not what is in the file, but this machine
                raise
            raise _bad(wanted, error) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # a class of whichever module there is
                raise
            raise _bad(wanted, error) from error


def _bad(wanted: Wanted, error: Exception) -> SourceError:
    message = f"{shown(wanted.url)} can't be unpacked: {error}"
    return SourceError(BAD_ARCHIVE, message, "see whether `compression` is what it has")
