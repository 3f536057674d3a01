"""Tools of this machine as subprocesses: argument lists, limits, and nothing left of them."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import anyio
from attrs import define, field, frozen

_READ_BYTES = 65_536
_MOST_BYTES = 1_048_576
_GRACE_S = 2.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "http_proxy", "https_proxy", "no_proxy")

Said = Callable[[str], None]
"""Is given a line of what a tool prints; it must not wait."""


class ToolTimeout(OSError):
    """A tool did not end in time; it and what it had started are gone."""


@frozen
class Ran:
    """How a tool has ended.

    Attributes:
        status: Its exit status; where a signal ended it, the signal's number, negative.
        output: What it printed, the last mebibyte of it.
        errors: The same of its standard error.
    """

    status: int
    output: str
    errors: str


async def run_tool(
    argv: Sequence[str],
    *,
    limit_s: float,
    said: Said | None = None,
    stdin: bytes | int | None = None,
    variables: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] = "/",
    files: Sequence[int] = (),
) -> Ran:
    """Run a program of this machine to its end.

    It has a session of its own. When it has ended, those that it has left
    behind are not waited for, even if they hold its outputs; when it is cut short, by its limit
    or by cancellation, its process group ends with it.

    Args:
        argv: The program and its arguments; no shell sees them.
        limit_s: How long it may take, in seconds.
        said: Is given each line that it prints, as it comes.
        stdin: What it reads, or a descriptor that it reads from; None for nothing.
        variables: Its environment, besides its path, its locale and proxies.
        folder: Where it runs.
        files: Open files that it has under the same numbers.

    Raises:
        ToolTimeout: It did not end in time.
        OSError: It can't be started; FileNotFoundError where there is no such program.
    """
    with contextlib.ExitStack() as opened:
        process = subprocess.Popen(  # noqa: ASYNC220 - a fork, which is over in milliseconds
            argv,
            stdin=_source(stdin, opened),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment(variables or {}),
            start_new_session=True,
            pass_fds=files,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        pipes = [
            _Pipe(opened.enter_context(each).fileno(), said)
            for each in (process.stdout, process.stderr)
        ]
        ended = False
        try:
            with anyio.move_on_after(limit_s):
                await _follow(process, pipes)
                ended = True
        finally:
            if not ended:
                await _end(process)
        if not ended:
            raise ToolTimeout(f"{argv[0]} did not end within {limit_s:g} s")
        output, errors = (bytes(each.kept).decode(errors="replace") for each in pipes)
        return Ran(process.wait(), output, errors)


async def feed(argv: Sequence[str], write: Callable[[BinaryIO], None], *, limit_s: float) -> Ran:
    """Run a program that reads what `write` writes, in a thread and while it is read.

    Raises:
        Exception: What `write` raises; the program has ended then.
        ToolTimeout: The program did not end in time.
        OSError: It can't be started.
    """
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "wb")
    failures: list[Exception] = []
    ran: Ran | None = None

    def pour() -> None:
        try:
            with stream:
                write(stream)
        except BrokenPipeError:
            pass  # the program has ended, and says why
        except Exception as error:  # for the caller, as it is
            failures.insert(0, error)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, pour)
            try:
                ran = await run_tool(argv, limit_s=limit_s, stdin=reader)
            except OSError as error:
                failures.append(error)
            finally:
                os.close(reader)  # whoever still writes stops
    finally:
        stream.close()  # were there no thread for it
    if failures or ran is None:
        raise failures[0]
    return ran


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a tool of this machine needs of callboard's own environment, and `variables`."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {"PATH": _PATH, "LC_ALL": "C.UTF-8"} | kept | dict(variables)


def _source(stdin: bytes | int | None, files: contextlib.ExitStack) -> int:
    if stdin is None:
        return subprocess.DEVNULL
    if isinstance(stdin, int):
        return stdin
    source = files.enter_context(os.fdopen(os.memfd_create("input"), "w+b"))
    source.write(stdin)
    source.seek(0)
    return source.fileno()


async def _follow(process: "subprocess.Popen[bytes]", pipes: Sequence["_Pipe"]) -> None:
    """Take what a process prints, until it has ended."""
    descriptor = os.pidfd_open(process.pid)
    try:
        async with anyio.create_task_group() as followers:
            for pipe in pipes:
                followers.start_soon(pipe.follow)
            await anyio.wait_readable(descriptor)
            followers.cancel_scope.cancel()
    finally:
        os.close(descriptor)
    for pipe in pipes:
        pipe.drain()


async def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process with its group: politely, then for certain."""
    with anyio.CancelScope(shield=True):
        descriptor = os.pidfd_open(process.pid)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                with anyio.move_on_after(_GRACE_S):
                    await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        process.poll()  # one that the kernel holds even so is not waited for


@define(eq=False)
class _Pipe:
    """One of the two outputs of a tool."""

    descriptor: int
    said: Said | None
    kept: bytearray = field(factory=bytearray)
    _line: bytes = b""

    def __attrs_post_init__(self) -> None:
        os.set_blocking(self.descriptor, False)

    async def follow(self) -> None:
        """Take what comes, up to the end."""
        while True:
            await anyio.wait_readable(self.descriptor)
            if self._take() == b"":
                return

    def drain(self) -> None:
        """Take what is there, and end the last line."""
        while self._take():
            pass
        self._say(b"\n")

    def _take(self) -> bytes | None:
        """What is there: nothing at the end, None before."""
        try:
            data = os.read(self.descriptor, _READ_BYTES)
        except BlockingIOError:
            return None
        self.kept += data
        del self.kept[:-_MOST_BYTES]
        self._say(data)
        return data

    def _say(self, data: bytes) -> None:
        if self.said is None:
            return
        *lines, rest = (self._line + data).split(b"\n")
        self._line = rest[-_READ_BYTES:]
        for line in lines:
            if text := line.decode(errors="replace").rstrip():
                self.said(text)
