"""What a group is made of, as one archive: the definition's text and the fetched sources.

A client packs a bundle (`pack`), whoever leads the group restores the definition from it
(`restore`). A worker gets only the sources of its own jobs (`part`), unpacks them (`unfold`), and
tells its jobs where they lie (`settle`).

    bundle.json         a `Manifest`
    definition.yaml     the definition as written, secrets included
    trees/<n>/          what was fetched, each folder once
"""

import gzip
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from attrs import evolve, field, frozen

from callboard.actors.overlay.files import File, Link, tree
from callboard.actors.overlay.files import pack as pack_files
from callboard.cluster.errors import ClusterError
from callboard.cluster.records import decode, encode
from callboard.definition.job import read_text
from callboard.definition.model import Block, Definition, Fetched, NodeJob, TestSource
from callboard.sources import SourceError
from callboard.sources.archive import unpack
from callboard.sources.fetch import read_from

LIMIT_BYTES = 64 * 2**20
"""The largest bundle, compressed."""

TOO_LARGE = "CB275"
UNFIT = "CB277"
DAMAGED = "CB271"

_MANIFEST = "bundle.json"
_TEXT = "definition.yaml"
_TREES = "trees"


@frozen
class Bundle:
    """An archive of a group's definition, or of a part of its sources.

    Attributes:
        name: Names its content: equal files have an equal name.
        data: The archive: a tar file, compressed with gzip.
    """

    name: str
    data: bytes = field(repr=False)


@frozen
class Part:
    """What one worker needs of a group.

    Attributes:
        jobs: Its jobs; folders of their sources are relative to `sources` once unpacked.
        sources: The folders; None if the jobs need none.
    """

    jobs: tuple[NodeJob, ...]
    sources: Bundle | None


@frozen
class PackedSource:
    """What was fetched for one test source.

    Attributes:
        tree: Number of its folder; None for a definition written in line.
        commit: The commit that the folder is of.
        repositories: Numbers of more folders, by their place below the test's own.
    """

    tree: int | None
    commit: str | None
    repositories: tuple[tuple[str, int], ...]


@frozen
class Manifest:
    """What is in a bundle.

    Attributes:
        file: Name of the definition's file, as the user gave it.
        sources: One for each test source, in the order of the definition.
    """

    file: str
    sources: tuple[PackedSource, ...]


def pack(definition: Definition, limit_bytes: int = LIMIT_BYTES) -> Bundle:
    """Pack a definition whose sources have been fetched.

    Raises:
        ClusterError: It is larger than `limit_bytes`, or a source has a link that leads out of it.
        OSError: A source can't be read.
    """
    trees = _Trees()
    packed = tuple(_packed(source, trees) for source in _sources(definition))
    manifest = Manifest(definition.file, packed)
    own = [File(_MANIFEST, encode(manifest)), File(_TEXT, definition.text.encode())]
    return _archive([*own, *trees.files()], limit_bytes)


def restore(bundle: bytes, folder: Path) -> Definition:
    """The definition in a bundle, its sources unpacked into a new folder.

    Raises:
        ClusterError: It is no bundle, or has a member that must not be unpacked.
        OSError: The folder can't be written.
    """
    unfold(bundle, folder)
    try:
        manifest = decode((folder / _MANIFEST).read_bytes(), Manifest)
        text = (folder / _TEXT).read_bytes()
    except FileNotFoundError as error:
        raise _damaged(f"it has no {Path(error.filename).name}") from error
    definition, diagnostics = read_text(text, manifest.file)
    if definition is None:
        raise _damaged(str(diagnostics[0]))
    sources = list(_sources(definition))
    if len(sources) != len(manifest.sources):
        raise _damaged("its sources are not those of its definition")
    pairs = zip(sources, manifest.sources, strict=True)
    fetched = {source.place: _restored(source, packed, folder) for source, packed in pairs}
    return _with_fetched(definition, lambda source: fetched[source.place])


def part(jobs: Sequence[NodeJob], limit_bytes: int = LIMIT_BYTES) -> Part:
    """What a worker needs that runs these jobs, whose sources lie on this machine.

    The same jobs and files make the same archive, on any machine.

    Raises:
        ClusterError: It is larger than `limit_bytes`, or a source has a link that leads out of it.
        OSError: A source can't be read.
    """
    trees = _Trees()
    moved = tuple(
        _moved(job, lambda folder: Path(_TREES, str(trees.number(folder)))) for job in jobs
    )
    files = list(trees.files())
    return Part(moved, _archive(files, limit_bytes) if files else None)


def unfold(archive: bytes, folder: Path) -> None:
    """Unpack a bundle, or a part of one, into a new folder.

    Raises:
        ClusterError: It is no such archive, or has a member that must not be unpacked.
        OSError: The folder can't be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    packed = folder.with_name(f"{folder.name}.tar.gz")
    packed.write_bytes(archive)
    try:
        unpack(packed, folder)
    except SourceError as error:
        raise _damaged(error.message) from error
    finally:
        packed.unlink()


def settle(job: NodeJob, folder: Path) -> NodeJob:
    """A job of a `Part` with its folders where `unfold` has put them.

    Raises:
        ClusterError: A folder of its sources is not in there: that would give the node files of
            this machine.
    """

    def real(relative: Path) -> Path:
        parts = relative.parts
        if len(parts) != 2 or parts[0] != _TREES or not parts[1].isdecimal():
            raise _damaged(f"job {job.id} names the folder `{relative}`")
        return folder / relative

    return _moved(job, real)


class _Trees:
    """Folders on their way into an archive, each once."""

    def __init__(self) -> None:
        self._numbers: dict[Path, int] = {}

    def number(self, folder: Path) -> int:
        return self._numbers.setdefault(folder, len(self._numbers))

    def place(self, folder: Path) -> Path:
        """Where a folder lies in the archive."""
        return Path(_TREES, str(self.number(folder)))

    def files(self) -> Iterator[File]:
        for folder, number in self._numbers.items():
            below = f"{_TREES}/{number}"
            yield File(below, None)
            for file in tree(folder, below):
                if isinstance(file.content, Link):
                    _check_link(PurePosixPath(file.path), file.content.target)
                yield file


def _check_link(path: PurePosixPath, target: str) -> None:
    """Links stay in their folder: nobody who unpacks them could follow others safely."""
    led = PurePosixPath(os.path.normpath(path.parent / target))
    if led.is_relative_to(PurePosixPath(*path.parts[:2])):
        return
    name = PurePosixPath(*path.parts[2:])
    text = f"a source of the tests has the link `{name}`, which leads out of it to `{target}`"
    raise ClusterError(UNFIT, text, "put a file there, or run the group on one machine")


class _Writer:
    """Compresses what is written, digests it, and refuses to become too large."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._digest = hashlib.sha256()
        self._packed = io.BytesIO()
        self._zip = gzip.GzipFile(filename="", fileobj=self._packed, mode="wb", mtime=0)

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._zip.write(data)
        self._check()
        return len(data)

    def _check(self) -> None:
        if self._packed.tell() > self._limit_bytes:
            limit = f"{self._limit_bytes / 2**20:g} MiB"
            text = f"definition and sources are larger than {limit} together, compressed"
            cure = "`history: false` leaves out a repository's history; fetch large files in tests"
            raise ClusterError(TOO_LARGE, text, cure)

    def bundle(self) -> Bundle:
        self._zip.close()
        self._check()
        return Bundle(self._digest.hexdigest(), self._packed.getvalue())


def _archive(files: Iterable[File], limit_bytes: int) -> Bundle:
    writer = _Writer(limit_bytes)
    # A tar that is written as a stream asks for nothing but `write`.
    pack_files({"": files}, cast("BinaryIO", writer))
    return writer.bundle()


def _sources(definition: Definition) -> Iterable[TestSource]:
    """Every test source once, in the order of the definition."""
    found = {source.place: source for block in definition.blocks for source in block.definitions}
    return found.values()


def _packed(source: TestSource, trees: _Trees) -> PackedSource:
    fetched = source.fetched
    assert fetched is not None, "a definition is fetched before it is packed"
    return PackedSource(
        None if fetched.folder is None else trees.number(fetched.folder),
        fetched.commit,
        tuple((place, trees.number(folder)) for place, folder in fetched.repositories),
    )


def _restored(source: TestSource, packed: PackedSource, folder: Path) -> Fetched:
    def tree_of(number: int) -> Path:
        return folder / _TREES / str(number)

    definition = source.inline
    if definition is None:
        if packed.tree is None:
            raise _damaged(f"nothing was fetched for `{source.name}`")
        try:
            definition, diagnostics = read_from(source, tree_of(packed.tree))
        except SourceError as error:
            raise _damaged(error.message) from error
        if definition is None:
            raise _damaged(str(diagnostics[0]))
    return Fetched(
        definition,
        None if packed.tree is None else tree_of(packed.tree),
        packed.commit,
        tuple((place, tree_of(number)) for place, number in packed.repositories),
    )


def _moved(job: NodeJob, move: Callable[[Path], Path]) -> NodeJob:
    """The job with other folders for its sources."""

    def fetched(source: TestSource) -> Fetched | None:
        known = source.fetched
        if known is None:
            return None
        folder = None if known.folder is None else move(known.folder)
        repositories = tuple((place, move(other)) for place, other in known.repositories)
        return evolve(known, folder=folder, repositories=repositories)

    return evolve(job, blocks=_filled(job.blocks, fetched))


def _with_fetched(
    definition: Definition, fetched: Callable[[TestSource], Fetched | None]
) -> Definition:
    return evolve(definition, blocks=_filled(definition.blocks, fetched))


def _filled(
    blocks: Iterable[Block], fetched: Callable[[TestSource], Fetched | None]
) -> tuple[Block, ...]:
    return tuple(
        evolve(
            block,
            definitions=tuple(evolve(each, fetched=fetched(each)) for each in block.definitions),
        )
        for block in blocks
    )


def _damaged(why: str) -> ClusterError:
    text = f"the bundle of a group can't be used: {why}"
    return ClusterError(DAMAGED, text, "run the same callboard everywhere, and submit it again")
