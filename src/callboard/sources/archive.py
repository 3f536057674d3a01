"""Trees in tar archives, downloaded or on this machine."""

import hashlib
import lzma
import re
import stat
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urljoin, urlsplit

import anyio
from attrs import field, frozen

from callboard.sources.address import is_inside, local_path, shown
from callboard.sources.cache import Cache
from callboard.sources.errors import (
    BAD_ARCHIVE,
    BAD_CHECKSUM,
    MISSING,
    REFUSED,
    UNREACHABLE,
    SourceError,
)
from callboard.sources.git import Tree

DOWNLOAD_BYTES = 512 * 2**20
"""The largest archive."""

CONTENT_BYTES = 2 * 2**30
"""The most that an archive may hold."""

MEMBERS = 100_000
"""The most files that an archive may hold."""

HEADER_BYTES = 1_048_576
"""The largest header of a member; the library reads a header into memory as a whole."""

_REDIRECTS = 10
_CHUNK_BYTES = 1_048_576
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


@frozen
class ArchiveRequest:
    """What is wanted of an archive (LAVA: test definitions from a URL).

    Attributes:
        url: Where it is.
        headers: Sent with the request, to that host only; values may be secret.
        sha256: What it must be, None when nobody says.
        strip: Leading folders to leave out of its names.
    """

    url: str
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False, hash=False)
    sha256: str | None = None
    strip: int = 0


async def fetch_archive(
    request: ArchiveRequest, cache: Cache, folder: Path, *, allow_local: bool
) -> Tree:
    """The content of the archive that a request means; raises SourceError."""
    local = local_path(request.url, "url", folder, allow_local=allow_local)
    if request.sha256 is not None:
        found = cache.find(_name(request, request.sha256.lower()))
        if found is not None:
            return Tree(found)
    with cache.making() as made:
        packed = made / "archive"
        if local is not None:
            await anyio.to_thread.run_sync(_copy, local, packed, request)
        else:
            await _download(request, packed)
        digest = await anyio.to_thread.run_sync(_sha256, packed)
        if request.sha256 is not None and digest != request.sha256.lower():
            message = f"{shown(request.url)} has the SHA-256 {digest}, not {request.sha256}"
            raise SourceError(BAD_CHECKSUM, message, "it has changed, or is not what was meant")
        if (found := cache.find(_name(request, digest))) is None:
            tree = made / "tree"
            check = anyio.from_thread.check_cancelled
            await anyio.to_thread.run_sync(unpack, packed, tree, request.strip, check)
            found = cache.keep(tree, _name(request, digest))
        return Tree(found)


def _name(request: ArchiveRequest, digest: str) -> str:
    return f"archive-{digest}-{request.strip}"


def _copy(source: Path, target: Path, request: ArchiveRequest) -> None:
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(MISSING, f"{shown(request.url)} is no file")
        if status.st_size > DOWNLOAD_BYTES:
            raise _too_large(request)
        with source.open("rb") as read, target.open("wb") as written:
            _pour(read, written, anyio.from_thread.check_cancelled)
    except OSError as error:
        message = f"{shown(request.url)} can't be read: {error.strerror}"
        raise SourceError(MISSING, message) from error


def _pour(source: IO[bytes], target: IO[bytes], check: Callable[[], object]) -> None:
    while data := source.read(_CHUNK_BYTES):
        check()
        target.write(data)


async def _download(request: ArchiveRequest, target: Path) -> None:
    import httpx

    # An archive is wanted as it lies there, for its checksum is that of the file.
    wanted = _checked_headers(request) | {"Accept-Encoding": "identity"}
    url, headers = request.url, httpx.Headers(wanted, encoding="latin-1")
    try:
        async with httpx.AsyncClient(timeout=None) as client:
            for _ in range(_REDIRECTS):
                async with client.stream("GET", url, headers=headers) as response:
                    if response.has_redirect_location:
                        there = urljoin(url, response.headers["location"])
                        if urlsplit(there).scheme not in ("http", "https"):
                            message = f"{shown(request.url)} leads to {shown(there)}"
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
                        message = f"{shown(request.url)} can't be fetched: {status}"
                        code = UNREACHABLE if response.status_code >= 500 else MISSING
                        raise SourceError(code, message, "check the URL and the headers")
                    await _save(request, response.aiter_raw(_CHUNK_BYTES), target)
                    return
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
        raise SourceError(REFUSED, f"{shown(request.url)} is no URL: {error}") from error
    except httpx.HTTPError as error:
        text = str(error) or type(error).__name__
        message = f"{shown(request.url)} can't be reached: {text}"
        raise SourceError(UNREACHABLE, message) from error
    raise SourceError(MISSING, f"{shown(request.url)} redirects in a circle")


def _server(url: str) -> tuple[str, str | None, int | None]:
    """What headers are for."""
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname, parts.port or default


def _checked_headers(request: ArchiveRequest) -> dict[str, str]:
    """The headers to send; one that can't be sent is named without its value."""
    for name, value in request.headers.items():
        if not (_HEADER.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
            message = f"the header `{name[:60]}` for {shown(request.url)} can't be sent"
            hint = "names have ASCII letters, digits and `-`, and values no line breaks"
            raise SourceError(REFUSED, message, hint)
    return {name: value.strip() for name, value in request.headers.items()}


async def _save(request: ArchiveRequest, chunks: AsyncIterator[bytes], target: Path) -> None:
    size_bytes = 0
    with target.open("wb") as file:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > DOWNLOAD_BYTES:
                raise _too_large(request)
            file.write(chunk)


def _too_large(request: ArchiveRequest) -> SourceError:
    limit = f"{DOWNLOAD_BYTES // 2**20} MiB"
    return SourceError(BAD_ARCHIVE, f"{shown(request.url)} is larger than {limit}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Member(tarfile.TarInfo):
    """A member whose header is of a sane size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # The one method that the library means to be overridden. Long names are read here.
        if self.type in _IN_MEMORY and self.size > HEADER_BYTES:
            raise SourceError(BAD_ARCHIVE, f"the archive has a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc] # untyped
        return found


_IN_MEMORY = {
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
}


def unpack(
    archive: Path, tree: Path, strip: int = 0, check: Callable[[], object] = lambda: None
) -> None:
    """Unpack a tar archive into a new folder.

    Owners, set-user-id bits and times are not taken over; files are never written through a
    link of the archive.

    Args:
        archive: The archive, which may be compressed.
        tree: The folder, which must not be there.
        strip: Leading folders to leave out of names.
        check: Called now and then; it may raise to end this.

    Raises:
        SourceError: It is no tar archive, or has a member that must not be unpacked; part of
            it may have been unpacked then.
    """
    tree.mkdir()
    try:
        with tarfile.open(archive, tarinfo=_Member) as opened:
            _Unpacking(opened, tree, strip, check).run()
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise SourceError(BAD_ARCHIVE, f"the archive can't be unpacked: {error}") from error
        said = str(error).partition("\n")[0].rstrip(":")
        hint = "it must be a tar archive: plain, or compressed with gzip, bzip2 or xz"
        raise SourceError(BAD_ARCHIVE, f"the archive can't be read: {said}", hint) from error


class _Unpacking:
    """Unpacking one archive. Its links are made when everything else has been written."""

    def __init__(
        self, archive: tarfile.TarFile, tree: Path, strip: int, check: Callable[[], object]
    ) -> None:
        self._archive = archive
        self._tree = tree
        self._strip = strip
        self._check = check
        self._links: dict[PurePosixPath, str] = {}
        self._size_bytes = 0

    def run(self) -> None:
        """Unpack everything."""
        for number, member in enumerate(self._archive, start=1):
            self._check()
            if number > MEMBERS:
                raise _too_much()
            self._count(member.size)
            self._take(member)
        self._read_to_the_end()
        for name, target in self._links.items():
            path = self._tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
        for name in self._links:
            if not is_inside(self._tree / name, self._tree):
                raise _bad(str(name), "is a link that leads out of it")

    def _read_to_the_end(self) -> None:
        # The checksum of what is compressed stands there.
        assert self._archive.fileobj is not None, "the archive is open"
        while data := self._archive.fileobj.read(_CHUNK_BYTES):
            self._check()
            self._count(len(data))

    def _count(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes > CONTENT_BYTES:
            raise _too_much()

    def _take(self, member: tarfile.TarInfo) -> None:
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            raise _bad(member.name, "is neither a file, nor a folder, nor a link")
        full = PurePosixPath(member.name)
        if full.is_absolute() or ".." in full.parts:
            raise _bad(member.name, "leads out of it")
        if member.issym() and PurePosixPath(member.linkname).is_absolute():
            raise _bad(member.name, "is a link that leads out of it")
        name = self._stripped(member.name)
        if any(parent in self._links for parent in (name, *name.parents)):
            raise _bad(member.name, "lies behind a link")
        if name == PurePosixPath():  # the tree itself, or above what is wanted
            if member.issym() and not full.parts:
                raise _bad(member.name, "is a link in place of a folder")
            return
        if member.issym():
            self._links[name] = member.linkname
        elif member.isdir():
            (self._tree / name).mkdir(parents=True, exist_ok=True)
        else:
            self._write(member, self._tree / name)

    def _stripped(self, name: str) -> PurePosixPath:
        return PurePosixPath(*PurePosixPath(name).parts[self._strip :])

    def _write(self, member: tarfile.TarInfo, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        if member.islnk():
            linked = PurePosixPath(member.linkname)
            source = self._tree / self._stripped(member.linkname)
            outside = linked.is_absolute() or ".." in linked.parts
            if outside or not source.is_file():
                raise _bad(member.name, "is a link to what is not in it")
            if source == target:
                return
            self._count(source.stat().st_size)  # it is copied
            content: IO[bytes] = source.open("rb")
        else:
            extracted = self._archive.extractfile(member)
            assert extracted is not None, "regular files have content"
            content = extracted
        with content, target.open("wb") as file:
            _pour(content, file, self._check)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _too_much() -> SourceError:
    return SourceError(BAD_ARCHIVE, "the archive holds more than is allowed")


def _bad(name: str, what: str) -> SourceError:
    message = f"the archive's member `{name[:200]}` {what}"
    return SourceError(BAD_ARCHIVE, message, "nothing of it is used")
