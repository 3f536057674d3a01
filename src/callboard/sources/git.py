"""Trees of git repositories, fetched with the program `git`."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from attrs import frozen

from callboard.sources.address import is_inside, local_path, login_of, shown
from callboard.sources.cache import Cache
from callboard.sources.errors import MISSING, REFUSED, UNREACHABLE, SourceError

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UNREACHABLE = (
    "Could not resolve host",
    "Couldn't connect",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Failed to connect",
    "unable to connect",
    "unable to look up",
    "Empty reply from server",
    "The requested URL returned error: 5",
    "Network is unreachable",
    "No route to host",
    "Temporary failure in name resolution",
    "early EOF",
    "the remote end hung up",
)
_FILTERS = r"^filter\..*\.(smudge|process|required)$"
_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""What git tells its hooks of their repository, in which callboard may have been started."""

_OPTIONS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "advice.detachedHead=false")


_GUARD = """
exec 3<&0 < /dev/null
"$@" 3<&- &
command=$!
{ read -r _ <&3; kill -9 0; } &
watch=$!
exec 3<&-
wait "$command"
status=$?
kill "$watch"
exit "$status"
"""
"""Ends a command's process group when nobody holds the other end of its input any more."""


@frozen
class GitRequest:
    """What is wanted of a repository (LAVA: test definitions from git).

    Attributes:
        url: Where it is.
        branch: Branch or tag; None for the repository's own choice.
        revision: Commit, or a name for one; None for the newest of the branch.
        history: Whether the tree keeps its `.git`.
        recursive: Whether submodules are fetched too.
        shallow: Whether only the newest commit is fetched.
    """

    url: str
    branch: str | None = None
    revision: str | None = None
    history: bool = True
    recursive: bool = False
    shallow: bool = False


@frozen
class Tree:
    """Files that were fetched.

    Attributes:
        folder: Where they are; nothing in it may be changed.
        commit: The commit of a git tree, None for an archive.
    """

    folder: Path
    commit: str | None = None


async def fetch_tree(request: GitRequest, cache: Cache, folder: Path, *, allow_local: bool) -> Tree:
    """The tree that a request means; raises SourceError."""
    for value in (request.branch, request.revision):
        if value is not None and (value.startswith("-") or not value.isprintable()):
            raise SourceError(REFUSED, f"`{value}` can't be the name of a branch or revision")
    local = local_path(request.url, "git", folder, allow_local=allow_local)
    if shutil.which("git") is None:
        raise SourceError(UNREACHABLE, "git is not installed on this machine", "install git")
    git = _Git(
        request,
        str(local) if local else request.url,
        is_local=local is not None,
        allow_local=allow_local,
    )
    if local is not None and not allow_local:
        await git.check_inside(local, folder)
    commit = request.revision
    if commit is None or not _COMMIT.fullmatch(commit):
        commit = await git.newest() if request.revision is None else None
    if (
        commit is not None
        and (found := cache.find(_name(request, commit, allow_local))) is not None
    ):
        return Tree(found, commit)
    with cache.making() as made:
        tree = made / "tree"
        commit = await git.clone(tree)
        if not request.history:
            shutil.rmtree(tree / ".git")
        else:
            await anyio.to_thread.run_sync(forget_login, tree / ".git", request.url)
        return Tree(cache.keep(tree, _name(request, commit, allow_local)), commit)


def _name(request: GitRequest, commit: str, allow_local: bool) -> str:
    """A commit names its whole content, but for submodules, which may be relative to the URL."""
    parts = [f"git-{commit}"]
    if request.history:
        # The history below a commit can be cut, and the folder knows where it is from.
        where = f"{request.url}\0{request.branch}\0{request.shallow}"
        parts.append(f"history-{_digest(where)}")
    if request.recursive:
        # What --allow-local has let in is not for runs without it.
        where = f"{request.url}\0{allow_local}"
        parts.append(f"modules-{_digest(where)}")
    return "-".join(parts)


def forget_login(folder: Path, url: str) -> None:
    """Take a login out of what git has noted: the folder is kept, and goes to nodes."""
    login = login_of(url)
    if not login:
        return
    for path in folder.rglob("config"):
        if path.is_file() and login in (text := path.read_text(errors="surrogateescape")):
            path.write_text(text.replace(f"{login}@", ""), errors="surrogateescape")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Git:
    """The program, for one request."""

    def __init__(self, request: GitRequest, url: str, *, is_local: bool, allow_local: bool) -> None:
        self._request = request
        self._url = url
        own = {name: value for name, value in os.environ.items() if name not in _REPOSITORY}
        self._environment = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes"} | own
        self._environment |= {
            "GIT_ALLOW_PROTOCOL": _transports(files=is_local),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }
        # A remote repository's submodules can't be files of this machine; a local one's could be
        # any, below the definition's folder or not.
        modules = {"GIT_ALLOW_PROTOCOL": _transports(files=is_local and allow_local)}
        self._modules_environment = self._environment | modules

    async def check_inside(self, path: Path, folder: Path) -> None:
        """See that a repository in a folder keeps its content there too.

        Raises:
            SourceError: It leads to another one, as that of a worktree does.
        """
        # Not one that is above it: git looks there too.
        ceiling = {"GIT_CEILING_DIRECTORIES": str(path.parent)}
        command = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
        command += ["--git-path", "objects"]
        try:
            code, output, _ = await run(command, path, self._environment | ceiling)
        except (FileNotFoundError, NotADirectoryError):
            return  # what is no repository fails later, and says so
        if code == 0 and not all(is_inside(Path(each), folder) for each in output.splitlines()):
            message = f"{shown(self._request.url)} keeps its content outside of the"
            hint = "name the repository that has it, and allow that with --allow-local"
            raise SourceError(REFUSED, f"{message} definition's folder", hint)

    async def newest(self) -> str:
        """The commit of the branch, or of the repository's own choice."""
        branch = self._request.branch
        names = ["HEAD"] if branch is None else [f"refs/heads/{branch}", f"refs/tags/{branch}*"]
        lines = (await self._run(["ls-remote", "--", self._url, *names])).splitlines()
        found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        # In the order of `git clone --branch`.
        wanted = (f"refs/heads/{branch}", f"refs/tags/{branch}^{{}}", f"refs/tags/{branch}", "HEAD")
        for name in wanted:
            if name in found:
                return found[name]
        raise await self._no_branch(branch)

    async def _no_branch(self, branch: str | None) -> SourceError:
        lines = (await self._run(["ls-remote", "--heads", "--", self._url])).splitlines()
        names = [line.partition("refs/heads/")[2] for line in lines]
        hint = f"it has {', '.join(names[:10])}" if names else "it has no branches"
        where = f"the repository {shown(self._request.url)}"
        message = f"{where} has no branch or tag `{branch}`"
        if branch is None and names:  # its HEAD names one that is not there
            message = f"{where} has no branch of its own choice; name a `branch`"
        elif branch is None:
            message = f"{where} is empty"
        return SourceError(MISSING, message, hint)

    async def clone(self, tree: Path) -> str:
        """Fetch the tree; returns its commit."""
        request = self._request
        disarmed = await self._without_filters()
        self._environment |= disarmed
        self._modules_environment |= disarmed
        command = ["clone", "--quiet", "--no-local"]
        if request.shallow:
            command += ["--depth", "1"]
        if request.branch is not None:
            command += ["--branch", request.branch]
        if request.revision is not None:
            command.append("--no-checkout")
        await self._run([*command, "--", self._url, str(tree)])
        if request.revision is not None:
            await self._check_out(tree, request.revision)
        if request.recursive:
            await self._fetch_modules(tree)
        return (await self._run(["rev-parse", "HEAD"], tree)).strip()

    async def _check_out(self, tree: Path, revision: str) -> None:
        for name in (revision, f"origin/{revision}"):  # a branch too, as `git checkout` takes it
            query = ["rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}"]
            try:
                commit = (await self._run(query, tree)).splitlines()[-1]
            except SourceError:
                continue
            await self._run(["checkout", "--quiet", "--detach", commit], tree)
            return
        message = f"the repository {shown(self._request.url)} has no revision `{revision}`"
        raise SourceError(MISSING, message, "name a commit of it, a tag or a branch")

    async def _without_filters(self) -> dict[str, str]:
        """Lets none of this user's filters run: a repository chooses what goes through them."""
        command = ["git", "config", "--null", "--name-only", "--get-regexp", _FILTERS]
        _, output, _ = await run(command, None, self._environment)
        given = self._environment.get("GIT_CONFIG_COUNT", "")
        count = int(given) if given.isdecimal() else 0
        changed: dict[str, str] = {}
        for number, name in enumerate(dict.fromkeys(output.split("\0")[:-1]), start=count):
            changed[f"GIT_CONFIG_KEY_{number}"] = name
            changed[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
            changed["GIT_CONFIG_COUNT"] = str(number + 1)
        return changed

    async def _fetch_modules(self, tree: Path) -> None:
        command = ["submodule", "--quiet", "update", "--init", "--recursive"]
        try:
            await self._run(command, tree, self._modules_environment)
        except SourceError as error:
            if "'file' not allowed" in error.message:
                error.hint = "only --allow-local lets a submodule of a local repository be a file"
            raise

    async def _run(
        self,
        arguments: Sequence[str],
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        options = [word for option in _OPTIONS for word in ("-c", option)]
        command = ["git", *options, *arguments]
        code, output, errors = await run(command, folder, environment or self._environment)
        if code == 0:
            return output
        raise self._error(errors)

    def _error(self, errors: str) -> SourceError:
        where = shown(self._request.url)
        lines = [line.strip() for line in errors.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith(("fatal:", "error:"))), "")
        said = shown(said.removeprefix("fatal: ").removeprefix("error: ")) or "git failed"
        if any(text in errors for text in _UNREACHABLE):
            return SourceError(UNREACHABLE, f"the repository {where} can't be reached: {said}")
        hint = "check the URL, and whether this user may read it"
        return SourceError(MISSING, f"the repository {where} can't be fetched: {said}", hint)


def _transports(*, files: bool) -> str:
    return ":".join(["http", "https", "git", "ssh", *(["file"] if files else [])])


async def run(
    command: Sequence[str], folder: Path | None, environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Run a program to its end.

    It and all that it has started are killed when this is cancelled, or this process is killed.
    """
    process = await anyio.open_process(
        ["/bin/sh", "-c", _GUARD, "guard", *command],
        stdin=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    printed: dict[str, bytes] = {"out": b"", "err": b""}

    async def read(name: str, stream: anyio.abc.ByteReceiveStream | None) -> None:
        if stream is not None:
            async for data in stream:
                printed[name] += data

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, "out", process.stdout)
            tasks.start_soon(read, "err", process.stderr)
        code = await process.wait()
    except BaseException:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return code, printed["out"].decode(errors="replace"), printed["err"].decode(errors="replace")
