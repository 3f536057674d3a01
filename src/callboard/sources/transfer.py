"""One file, from a server or from this machine, into a file of callboard's own."""

import re
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urljoin, urlsplit

import anyio
from attrs import field, frozen

from callboard.sources.address import shown
from callboard.sources.errors import BAD_ARCHIVE, MISSING, REFUSED, UNREACHABLE, SourceError

SAID_S = 10.0
"""How often it is said how far a file is, in seconds."""

_REDIRECTS = 10
_CHUNK_BYTES = 1_048_576
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@frozen
class Wanted:
    """A file that is wanted.

    Attributes:
        url: Where it is.
        limit_bytes: The most that it may have.
        headers: Sent with the request, to that host only; values may be secret.
        silence_s: How long a server may say nothing, in seconds; None is as long as it likes.
        said: Is told now and then how far it is, in a line of text.
    """

    url: str
    limit_bytes: int
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False, hash=False)
    silence_s: float | None = None
    said: Callable[[str], None] = lambda _text: None


async def transfer(wanted: Wanted, local: Path | None, target: Path) -> None:
    """Have a file; part of it may be there when this fails or is cancelled.

    Args:
        wanted: What is wanted.
        local: Where it is on this machine (`address.local_path`), None when it is elsewhere.
        target: Where to write it.

    Raises:
        SourceError: It can't be had.
        OSError: It can't be written.
    """
    if local is None:
        await _download(wanted, target)
    else:
        await anyio.to_thread.run_sync(_copy, local, target, wanted)


class Readable(Protocol):
    """What can be read piece by piece."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""
        ...


def pour(source: Readable, target: IO[bytes], check: Callable[[int], object]) -> None:
    """Copy what is in a stream; `check` is given the size of each piece, and may raise."""
    while data := source.read(_CHUNK_BYTES):
        check(len(data))
        target.write(data)


class Measure:
    """Counts the bytes of a file as they come.

    Args:
        wanted: The file.
        done: What is done with it, e.g. `fetched`.
    """

    def __init__(self, wanted: Wanted, done: str = "fetched") -> None:
        self._wanted = wanted
        self._done = done
        self._size_bytes = 0
        self._said_s = time.monotonic()

    def __call__(self, size_bytes: int) -> None:
        """So many more, in a thread; raises SourceError, or that its task is cancelled."""
        anyio.from_thread.check_cancelled()
        if line := self.count(size_bytes):
            anyio.from_thread.run_sync(self._wanted.said, line)

    def count(self, size_bytes: int) -> str | None:
        """So many more; returns what is to be said now, if anything.

        Raises:
            SourceError: They are too many.
        """
        self._size_bytes += size_bytes
        where, limit_bytes = shown(self._wanted.url), self._wanted.limit_bytes
        if self._size_bytes > limit_bytes:
            whole = limit_bytes % 2**30 == 0
            limit = f"{limit_bytes // 2**30} GiB" if whole else f"{limit_bytes // 2**20} MiB"
            raise SourceError(BAD_ARCHIVE, f"{where} is larger than {limit}")
        if time.monotonic() - self._said_s < SAID_S:
            return None
        self._said_s = time.monotonic()
        return f"{where}: {self._size_bytes / 2**20:.0f} MiB {self._done} so far"


def _copy(source: Path, target: Path, wanted: Wanted) -> None:
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(MISSING, f"{shown(wanted.url)} is no file")
        Measure(wanted).count(status.st_size)
        opened = source.open("rb")
    except OSError as error:
        message = f"{shown(wanted.url)} can't be read: {error.strerror}"
        raise SourceError(MISSING, message) from error
    with opened as read, target.open("wb") as written:
        pour(read, written, Measure(wanted))


async def _download(wanted: Wanted, target: Path) -> None:
    import httpx

    # A file is wanted as it lies there, for its checksum is that of the file.
    sent = _checked_headers(wanted) | {"Accept-Encoding": "identity"}
    url, headers = wanted.url, httpx.Headers(sent, encoding="latin-1")
    try:
        async with httpx.AsyncClient(timeout=wanted.silence_s) as client:
            for _ in range(_REDIRECTS):
                async with client.stream("GET", url, headers=headers) as response:
                    if response.has_redirect_location:
                        there = urljoin(url, response.headers["location"])
                        if urlsplit(there).scheme not in ("http", "https"):
                            message = f"{shown(wanted.url)} leads to {shown(there)}"
                            raise SourceError(REFUSED, f"{message}, which is not allowed")
                        if _server(there) != _server(url):  # headers may be secret
                            headers = httpx.Headers({"Accept-Encoding": "identity"})
                        elif "@" not in urlsplit(there).netloc:  # the login holds there too
                            login, at, _ = urlsplit(url).netloc.rpartition("@")
                            netloc = f"{login}{at}{urlsplit(there).netloc}"
                            there = urlsplit(there)._replace(netloc=netloc).geturl()
                        url = there
                        continue
                    if response.status_code != 200:
                        status = f"{response.status_code} {response.reason_phrase}"
                        message = f"{shown(wanted.url)} can't be fetched: {status}"
                        code = UNREACHABLE if response.status_code >= 500 else MISSING
                        raise SourceError(code, message, "check the URL and the headers")
                    await _save(wanted, response.aiter_raw(_CHUNK_BYTES), target)
                    return
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise SourceError(REFUSED, f"{shown(wanted.url)} is no URL: {error}") from error
    except httpx.HTTPError as error:
        text = str(error) or type(error).__name__
        message = f"{shown(wanted.url)} can't be reached: {text}"
        raise SourceError(UNREACHABLE, message) from error
    raise SourceError(MISSING, f"{shown(wanted.url)} redirects in a circle")


def _server(url: str) -> tuple[str, str | None, int | None]:
    """What headers are for."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, parts.port or default


def _checked_headers(wanted: Wanted) -> dict[str, str]:
    """The headers to send; one that can't be sent is named without its value."""
    for name, value in wanted.headers.items():
        if not (_HEADER.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            message = f"the header `{name[:60]}` for {shown(wanted.url)} can't be sent"
            hint = "names have ASCII letters, digits and `-`, and values no line breaks"
            raise SourceError(REFUSED, message, hint)
    return {name: value.strip() for name, value in wanted.headers.items()}


async def _save(wanted: Wanted, chunks: AsyncIterator[bytes], target: Path) -> None:
    measure = Measure(wanted)
    with target.open("wb") as file:
        async for chunk in chunks:
            if line := measure.count(len(chunk)):
                wanted.said(line)
            file.write(chunk)
