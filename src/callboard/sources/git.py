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

from callboard.sources.address import local_path, shown
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
    "Network is unreachable",
    "No route to host",
    "Temporary failure in name resolution",
    "early EOF",
    "the remote end hung up",
)
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
        if value is not None and value.startswith("-"):
            raise SourceError(REFUSED, f"`{value}` can't be the name of a branch or revision")
    local = local_path(request.url, "git", folder, allow_local=allow_local)
    if shutil.which("git") is None:
        raise SourceError(UNREACHABLE, "git is not installed on this machine", "install git")
    git = _Git(request, str(local) if local else request.url, is_local=local is not None)
    commit = request.revision
    if commit is None or not _COMMIT.fullmatch(commit):
        commit = await git.newest() if request.revision is None else None
    if commit is not None and (found := cache.find(_name(request, commit))) is not None:
        return Tree(found, commit)
    with cache.making() as made:
        tree = made / "tree"
        commit = await git.clone(tree)
        if not request.history:
            shutil.rmtree(tree / ".git")
        return Tree(cache.keep(tree, _name(request, commit)), commit)


def _name(request: GitRequest, commit: str) -> str:
    """A commit names its whole content, but for submodules, which may be relative to the URL."""
    parts = [f"git-{commit}"]
    if request.history:
        # The history below a commit can be cut, and the folder knows where it is from.
        where = f"{request.url}\0{request.branch}\0{request.shallow}"
        parts.append(f"history-{_digest(where)}")
    if request.recursive:
        parts.append(f"modules-{_digest(request.url)}")
    return "-".join(parts)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _Git:
    """The program, for one request."""

    def __init__(self, request: GitRequest, url: str, *, is_local: bool) -> None:
        self._request = request
        self._url = url
        # A remote repository's submodules can't be files of this machine.
        transports = ["http", "https", "git", "ssh", *(["file"] if is_local else [])]
        self._environment = os.environ | {
            "GIT_ALLOW_PROTOCOL": ":".join(transports),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "SSH_ASKPASS": "true",
            "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }

    async def newest(self) -> str:
        """The commit of the branch, or of the repository's own choice."""
        branch = self._request.branch
        names = ["HEAD"] if branch is None else [f"refs/heads/{branch}", f"refs/tags/{branch}*"]
        lines = (await self._run(["ls-remote", "--", self._url, *names])).splitlines()
        found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        wanted = (f"refs/tags/{branch}^{{}}", f"refs/heads/{branch}", f"refs/tags/{branch}", "HEAD")
        for name in wanted:
            if name in found:
                return found[name]
        if branch is None:
            raise SourceError(MISSING, f"the repository {shown(self._request.url)} is empty")
        raise await self._no_branch(branch)

    async def _no_branch(self, branch: str) -> SourceError:
        lines = (await self._run(["ls-remote", "--heads", "--", self._url])).splitlines()
        names = [line.partition("refs/heads/")[2] for line in lines]
        hint = f"it has {', '.join(names[:10])}" if names else "it has no branches"
        message = f"the repository {shown(self._request.url)} has no branch or tag `{branch}`"
        return SourceError(MISSING, message, hint)

    async def clone(self, tree: Path) -> str:
        """Fetch the tree; returns its commit."""
        request = self._request
        command = ["clone", "--quiet", "--no-local"]
        if request.shallow:
            command += ["--depth", "1"]
        if request.branch is not None:
            command += ["--branch", request.branch]
        if request.revision is not None:
            command.append("--no-checkout")
        elif request.recursive:
            command.append("--recurse-submodules")
        await self._run([*command, "--", self._url, str(tree)])
        if request.revision is not None:
            await self._check_out(tree, request.revision)
        return (await self._run(["rev-parse", "HEAD"], tree)).strip()

    async def _check_out(self, tree: Path, revision: str) -> None:
        try:
            name = f"{revision}^{{commit}}"
            await self._run(["rev-parse", "--quiet", "--verify", "--end-of-options", name], tree)
        except SourceError as error:
            where = shown(self._request.url)
            message = f"the repository {where} has no revision `{revision}`"
            raise SourceError(MISSING, message, "name a commit of it, or a branch") from error
        await self._run(["checkout", "--quiet", "--detach", revision], tree)
        if self._request.recursive:
            await self._run(["submodule", "--quiet", "update", "--init", "--recursive"], tree)

    async def _run(self, arguments: Sequence[str], folder: Path | None = None) -> str:
        options = [word for option in _OPTIONS for word in ("-c", option)]
        command = ["git", *options, *arguments]
        code, output, errors = await run(command, folder, self._environment)
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
