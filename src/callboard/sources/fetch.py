"""Everything that the tests of one definition need, fetched in parallel, each thing once."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import anyio
from attrs import evolve, frozen

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import (
    Block,
    Definition,
    Fetched,
    GitRepo,
    Place,
    TestDefinition,
    TestSource,
)
from callboard.definition.source import SIZE_LIMIT_BYTES
from callboard.definition.tests import read_test_file
from callboard.sources.address import is_inside, shown
from callboard.sources.archive import ArchiveRequest, fetch_archive
from callboard.sources.cache import Cache, cache_directory
from callboard.sources.errors import (
    MISSING,
    REFUSED,
    UNREACHABLE,
    UNWRITABLE,
    SourceError,
    SourcesFailed,
)
from callboard.sources.git import GitRequest, Tree, fetch_tree

_AT_ONCE = 4
_LONG_S = 2.0

Request = GitRequest | ArchiveRequest


@frozen
class Policy:
    """How sources are fetched.

    Attributes:
        allow_local: Whether a definition may name files outside of its own folder.
        timeout_s: How long each source may take, in seconds; never longer than the job may.
    """

    allow_local: bool = False
    timeout_s: float = 120.0


async def fetch(
    definition: Definition, policy: Policy, note: Callable[[str], None] = lambda _text: None
) -> Definition:
    """Fetch what the tests of a definition need.

    Args:
        definition: A valid one.
        policy: Limits.
        note: Is told, in a line of text, when something has been fetched.

    Returns:
        The definition with `fetched` set in each of its test sources.

    Raises:
        SourcesFailed: Something can't be had; everything that can't is in it.
    """
    sources = {source.place: source for block in definition.blocks for source in block.definitions}
    limit_s = min(policy.timeout_s, definition.timeouts.job_s)
    folder = Path(definition.file).parent
    fetcher = _Fetcher(folder, evolve(policy, timeout_s=limit_s), note)
    async with anyio.create_task_group() as tasks:
        for source in sources.values():
            tasks.start_soon(fetcher.fetch, source)
    failures = [each for place in sources for each in fetcher.failures.get(place, ())]
    if failures:
        raise SourcesFailed(failures)
    return evolve(
        definition, blocks=tuple(_filled(block, fetcher.fetched) for block in definition.blocks)
    )


def _filled(block: Block, fetched: Mapping[Place, Fetched]) -> Block:
    sources = (evolve(each, fetched=fetched[each.place]) for each in block.definitions)
    return evolve(block, definitions=tuple(sources))


class _Fetcher:
    """One fetching of many sources; what several of them need is fetched once."""

    def __init__(self, folder: Path, policy: Policy, note: Callable[[str], None]) -> None:
        self._folder = folder
        self._policy = policy
        self._note = note
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._locks: dict[Request, anyio.Lock] = {}
        self._trees: dict[Request, Tree | SourceError] = {}
        self._cache: Cache | None = None
        self.fetched: dict[Place, Fetched] = {}
        self.failures: dict[Place, tuple[Diagnostic, ...]] = {}

    async def fetch(self, source: TestSource) -> None:
        """Fetch one source; what goes wrong is kept in `failures`."""
        try:
            tree = None
            definition = source.inline
            if definition is None:
                tree = await self._tree(_request(source))
                definition = self._read(source, tree)
                if definition is None:
                    return
            repositories = await self._repositories(source, definition)
            if repositories is None:
                return
            self.fetched[source.place] = Fetched(
                definition,
                tree.folder if tree else None,
                tree.commit if tree else None,
                tuple(repositories.items()),
            )
        except SourceError as error:
            found = Diagnostic(error.code, "error", error.message, source.place, error.hint)
            self.failures[source.place] = (found,)

    async def _repositories(
        self, source: TestSource, definition: TestDefinition
    ) -> dict[str, Path] | None:
        """Folders by their place; None when some can't be had, which are kept in `failures`."""
        if source.skip_install & {"git-repos", "all"}:
            return {}
        destinations = [each.destination for each in definition.install.git_repos]
        found: dict[str, Path] = {}
        failures: dict[int, Diagnostic] = {}

        async def get(number: int, repository: GitRepo) -> None:
            try:
                _check_free(repository.destination, destinations[:number])
                wanted = GitRequest(repository.url, repository.branch)
                found[repository.destination] = (await self._tree(wanted)).folder
            except SourceError as error:
                # In a file that was fetched, a place says nothing about who wanted it.
                place = repository.place if source.inline is not None else source.place
                failures[number] = Diagnostic(
                    error.code, "error", error.message, place or source.place, error.hint
                )

        async with anyio.create_task_group() as tasks:
            for number, repository in enumerate(definition.install.git_repos):
                tasks.start_soon(get, number, repository)
        self.failures[source.place] = tuple(failures[number] for number in sorted(failures))
        # In the order of the definition, not of their arrival.
        return None if failures else {each: found[each] for each in destinations}

    def _read(self, source: TestSource, tree: Tree) -> TestDefinition | None:
        """The definition's file; what is wrong with it is kept in `failures`."""
        definition, diagnostics = read_from(source, tree.folder)
        if definition is None:
            what = f"the definition `{source.name}` can't be used"
            here = Diagnostic(MISSING, "error", what, source.place, f"it is {_label(source)}")
            self.failures[source.place] = (here, *diagnostics)
        return definition

    async def _tree(self, request: Request) -> Tree:
        """A tree, fetched when it is asked for the first time."""
        async with self._locks.setdefault(request, anyio.Lock()):
            if request not in self._trees:
                async with self._limiter:
                    self._trees[request] = await self._attempt(request)
        tree = self._trees[request]
        if isinstance(tree, SourceError):
            raise tree
        return tree

    async def _attempt(self, request: Request) -> Tree | SourceError:
        began_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._announce, request)
            found = await self._within_limit(request)
            tasks.cancel_scope.cancel()
        if isinstance(found, Tree):
            commit = f" at {found.commit[:12]}" if found.commit else ""
            took_s = anyio.current_time() - began_s
            self._note(f"fetched {shown(request.url)}{commit} ({took_s:.1f} s)")
        return found

    async def _within_limit(self, request: Request) -> Tree | SourceError:
        timeout_s = self._policy.timeout_s
        try:
            with anyio.fail_after(timeout_s):
                return await self._get(request)
        except TimeoutError:
            message = f"{shown(request.url)} was not fetched within {timeout_s:g} s"
            hint = "the server hangs or is slow; --fetch-timeout gives it more time"
            return SourceError(UNREACHABLE, message, hint)
        except SourceError as error:
            return error
        except OSError as error:
            message = f"{shown(request.url)} can't be kept in the cache: {error}"
            return SourceError(UNWRITABLE, message, "$CALLBOARD_CACHE names another folder")

    async def _announce(self, request: Request) -> None:
        """Say what is being fetched when it begins to take long."""
        await anyio.sleep(_LONG_S)
        self._note(f"fetching {shown(request.url)}")

    def _get(self, request: Request) -> Awaitable[Tree]:
        if self._cache is None:
            self._cache = Cache(cache_directory())
        allow_local = self._policy.allow_local
        match request:
            case GitRequest():
                return fetch_tree(request, self._cache, self._folder, allow_local=allow_local)
            case ArchiveRequest():
                return fetch_archive(request, self._cache, self._folder, allow_local=allow_local)


def read_from(
    source: TestSource, folder: Path
) -> tuple[TestDefinition | None, tuple[Diagnostic, ...]]:
    """What a test runs, from the folder that was fetched for it; None if that has any error.

    Raises:
        SourceError: The folder has no such file, or it is too large.
        OSError: The file can't be read.
    """
    path = folder / source.path
    if not _is_file(path, folder):
        message = f"{shown(source.repository or '')} has no file `{source.path[:200]}`"
        raise SourceError(MISSING, message, _near(folder, source.path))
    if path.stat().st_size > SIZE_LIMIT_BYTES:
        message = f"{_label(source)} is larger than {SIZE_LIMIT_BYTES // 2**20} MiB"
        raise SourceError(MISSING, message, "it must be a test definition")
    return read_test_file(path, _label(source), source.name)


def _label(source: TestSource) -> str:
    return f"{shown(source.repository or '')}/{source.path}"


def _request(source: TestSource) -> Request:
    options = source.options
    url = source.repository or ""
    if source.origin == "url":
        headers = options.get("headers")
        strip = options.get("strip-components")
        named = headers.items() if isinstance(headers, dict) else ()
        return ArchiveRequest(
            url,
            {name: str(value) for name, value in named},
            _text(options.get("sha256sum")),
            strip if isinstance(strip, int) else 0,
        )
    return GitRequest(
        url,
        _text(options.get("branch")),
        _text(options.get("revision")),
        history=options.get("history") is not False,
        recursive=options.get("recursive") is True,
        shallow=options.get("shallow") is True,
    )


def _check_free(destination: str, taken: Iterable[str]) -> None:
    """Repositories lie beside each other: one's links could lead another one's files away."""
    wanted = PurePosixPath(destination)
    for other in map(PurePosixPath, taken):
        if wanted.is_relative_to(other) or other.is_relative_to(wanted):
            message = f"two of `git-repos` want the folder `{destination}`"
            raise SourceError(REFUSED, message, "give one of them a `destination` of its own")


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _is_file(path: Path, folder: Path) -> bool:
    """Whether a file lies there; what can't be the name of one does not."""
    try:
        return is_inside(path, folder) and path.is_file()
    except (OSError, ValueError):
        return False


def _near(folder: Path, path: str) -> str:
    """What might have been meant: files of the same name, else some definitions."""
    names = list(_definitions(folder))
    same = [name for name in names if Path(name).name == Path(path).name]
    listed = ", ".join(sorted(same or names)[:5])
    return f"it has {listed}" if listed else "it has no YAML files"


def _definitions(folder: Path) -> Iterator[str]:
    for found in folder.rglob("*.y*ml"):
        yield str(found.relative_to(folder))
