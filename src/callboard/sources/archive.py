"""Trees in tar archives, downloaded or on this machine."""

import hashlib
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO
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

_REDIRECTS = 10
_CHUNK_BYTES = 1_048_576


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
            await anyio.to_thread.run_sync(unpack, packed, tree, request.strip)
            found = cache.keep(tree, _name(request, digest))
        return Tree(found)


def _name(request: ArchiveRequest, digest: str) -> str:
    return f"archive-{digest}-{request.strip}"


def _copy(source: Path, target: Path, request: ArchiveRequest) -> None:
    try:
        if source.stat().st_size > DOWNLOAD_BYTES:
            raise _too_large(request)
        shutil.copyfile(source, target)
    except OSError as error:
        message = f"{shown(request.url)} can't be read: {error.strerror}"
        raise SourceError(MISSING, message) from error


async def _download(request: ArchiveRequest, target: Path) -> None:
    import httpx

    url, headers = request.url, dict(request.headers)
    try:
        async with httpx.AsyncClient(timeout=None) as client:
            for _ in range(_REDIRECTS):
                async with client.stream("GET", url, headers=headers) as response:
                    if response.is_redirect:
                        there = urljoin(url, response.headers["location"])
                        if urlsplit(there).scheme not in ("http", "https"):
                            message = f"{shown(request.url)} leads to {shown(there)}"
                            raise SourceError(REFUSED, f"{message}, which is not allowed")
                        if urlsplit(there)[:2] != urlsplit(url)[:2]:
                            headers = {}  # they may be secret, and are for one host
                        url = there
                        continue
                    if response.status_code != 200:
                        status = f"{response.status_code} {response.reason_phrase}"
                        message = f"{shown(request.url)} can't be fetched: {status}"
                        code = UNREACHABLE if response.status_code >= 500 else MISSING
                        raise SourceError(code, message, "check the URL and the headers")
                    await _save(request, response.aiter_bytes(_CHUNK_BYTES), target)
                    return
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise SourceError(REFUSED, f"{shown(request.url)} is no URL: {error}") from error
    except httpx.HTTPError as error:
        text = str(error) or type(error).__name__
        message = f"{shown(request.url)} can't be reached: {text}"
        raise SourceError(UNREACHABLE, message) from error
    raise SourceError(MISSING, f"{shown(request.url)} redirects in a circle")


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


def unpack(archive: Path, tree: Path, strip: int = 0) -> None:
    """Unpack a tar archive into a new folder.

    Owners, set-user-id bits and times are not taken over; files are never written through a
    link of the archive.

    Raises:
        SourceError: It is no tar archive, or has a member that must not be unpacked; part of
            it may have been unpacked then.
    """
    tree.mkdir()
    try:
        with tarfile.open(archive) as opened:
            for member, name in _allowed(opened, strip):
                _extract(opened, member, tree / name, tree, strip)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise SourceError(BAD_ARCHIVE, f"the archive can't be unpacked: {error}") from error
        hint = "it must be a tar archive: plain, or compressed with gzip, bzip2 or xz"
        raise SourceError(BAD_ARCHIVE, f"the archive can't be read: {error}", hint) from error
    for path in tree.rglob("*"):
        if path.is_symlink() and not is_inside(path, tree):
            raise _bad(str(path.relative_to(tree)), "is a link that leads out of it")


def _allowed(archive: tarfile.TarFile, strip: int) -> Iterator[tuple[tarfile.TarInfo, str]]:
    """The members to unpack with their names, checked."""
    links: set[PurePosixPath] = set()
    size_bytes = 0
    for number, member in enumerate(archive, start=1):
        name = _stripped(member.name, strip)
        size_bytes += member.size
        if number > MEMBERS or size_bytes > CONTENT_BYTES:
            raise SourceError(BAD_ARCHIVE, "the archive holds more than is allowed")
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            raise _bad(member.name, "is neither a file, nor a folder, nor a link")
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise _bad(member.name, "leads out of it")
        if any(parent in links for parent in (path, *path.parents)):
            raise _bad(member.name, "lies behind a link")
        if member.issym():
            if PurePosixPath(member.linkname).is_absolute():
                raise _bad(member.name, "is a link that leads out of it")
            links.add(path)
        if name:
            yield member, name


def _stripped(name: str, strip: int) -> str:
    return "/".join(PurePosixPath(name).parts[strip:])


def _extract(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, tree: Path, strip: int
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
        target.symlink_to(member.linkname)
    else:
        content: BinaryIO
        if member.islnk():
            linked = PurePosixPath(member.linkname)
            source = tree / _stripped(member.linkname, strip)
            outside = linked.is_absolute() or ".." in linked.parts
            if outside or source.is_symlink() or not source.is_file():
                raise _bad(member.name, "is a link to what is not in it")
            content = source.open("rb")
        else:
            extracted = archive.extractfile(member)
            assert extracted is not None, "regular files have content"
            content = extracted  # type: ignore[assignment] # a buffered reader of bytes
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _bad(name: str, what: str) -> SourceError:
    message = f"the archive's member `{name}` {what}"
    return SourceError(BAD_ARCHIVE, message, "nothing of it is used")
