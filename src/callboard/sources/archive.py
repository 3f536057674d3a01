"""Trees in tar archives, downloaded or on this machine."""

import hashlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import anyio
from attrs import field, frozen

from callboard.sources.address import is_inside, local_path, shown
from callboard.sources.cache import Cache
from callboard.sources.errors import BAD_ARCHIVE, BAD_CHECKSUM, SourceError
from callboard.sources.git import Tree
from callboard.sources.transfer import Wanted, pour, transfer

DOWNLOAD_BYTES = 512 * 2**20
"""The largest archive."""

CONTENT_BYTES = 2 * 2**30
"""The most that an archive may hold."""

MEMBERS = 100_000
"""The most files that an archive may hold."""

HEADER_BYTES = 1_048_576
"""The largest header of a member; the library reads a header into memory as a whole."""

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
        await transfer(Wanted(request.url, DOWNLOAD_BYTES, request.headers), local, packed)
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
            pour(content, file, lambda _size_bytes: self._check())
        target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _too_much() -> SourceError:
    return SourceError(BAD_ARCHIVE, "the archive holds more than is allowed")


def _bad(name: str, what: str) -> SourceError:
    message = f"the archive's member `{name[:200]}` {what}"
    return SourceError(BAD_ARCHIVE, message, "nothing of it is used")
