"""A shell in a container, on a terminal that is its controlling one."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence

import anyio

from callboard.actors.drivers.local import COMMAND_LOOP
from callboard.actors.drivers.lxc.complaint import last_words
from callboard.actors.drivers.processes import children
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.errors import InfrastructureError

_READY = b"\x1e"
_LIMIT_S = 30.0
_BURY_S = 2.0
_LONGEST_TEXT = 4_096

COMMAND = (
    "/bin/sh",
    "-c",
    # Two terminals lie between the shell and callboard; the outer one only passes on. The mark
    # is no output of the job: from there on nothing is echoed and nothing gets lost.
    f"stty -echo -opost || exit; cd /root 2>/dev/null || cd /; printf '\\036'; {COMMAND_LOOP}",
)
"""What runs in the container."""


class Session:
    """A shell in a container, which is a console; made by `open_session`.

    Args:
        terminal: What it runs on.
        attach: What holds it.
    """

    def __init__(self, terminal: Terminal, attach: subprocess.Popen[bytes]) -> None:
        self._terminal = terminal
        self._attach = attach

    async def receive(self) -> bytes:
        """The next output; see `Console.receive`."""
        return await self._terminal.receive()

    def send(self, data: bytes) -> None:
        """Send input without waiting; see `Console.send`."""
        self._terminal.send(data)

    def close(self) -> None:
        """End the shell, and with it the session; see `Console.close`.

        `lxc-attach` ends then, and closes the other side of the terminal. Were that hung up
        instead, `lxc-attach` would end before the shell, and nobody but this machine's init
        could bury that: until it does, the container can't end.
        """
        if (shell := self.shell) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(shell, signal.SIGKILL)

    @property
    def shell(self) -> int | None:
        """The host's id of the shell, None when it has ended."""
        if self._attach.poll() is not None:
            return None
        return next(reversed([*_direct(self._attach.pid)]), None)

    def kill(self) -> None:
        """Kill it now, and everything below it.

        `lxc-attach` ends by itself then. Killed with the rest it would leave a child that only
        this machine's init can bury, and until then the container can't end.
        """
        if self._attach.poll() is None:
            for pid in children(self._attach.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill it and hang up; returns when the process that held it has ended."""
        self.kill()
        await anyio.to_thread.run_sync(self._bury)
        self._terminal.close()

    def _bury(self) -> None:
        try:
            self._attach.wait(_BURY_S)
        except subprocess.TimeoutExpired:
            self._attach.kill()
            self._attach.wait()


async def open_session(name: str, command: Sequence[str]) -> Session:
    """Start a shell and wait until it reads commands.

    Args:
        name: The container's, for errors.
        command: The words that run `COMMAND` in the container.

    Raises:
        InfrastructureError: The container doesn't run, or its shell can't be started.
        OSError: There is no such tool.
    """
    setsid = shutil.which("setsid")
    if setsid is None:
        raise InfrastructureError("the program `setsid` is missing; install util-linux")
    master, slave = os.openpty()
    try:
        attach = subprocess.Popen(  # noqa: ASYNC220 - a fork, which is over in milliseconds
            [setsid, "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except BaseException:
        os.close(master)
        raise
    finally:
        os.close(slave)
    terminal = Terminal(master)
    session = Session(terminal, attach)
    try:
        await _ready(name, terminal)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await session.end()
        raise
    terminal.pass_on()  # lxc-attach has set the terminal its own way
    return session


async def _ready(name: str, terminal: Terminal) -> None:
    text = b""
    with anyio.move_on_after(_LIMIT_S):
        while not text.endswith(_READY):
            piece = await terminal.receive()
            if not piece:
                break
            text = (text + piece)[-_LONGEST_TEXT:]
        else:
            return
    reason = last_words(text.decode(errors="replace").splitlines()) or "it says nothing"
    raise InfrastructureError(f"no shell in lxc container '{name}': {reason}")


def _direct(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123
            return [int(word) for word in file.read().split()]
    except OSError:
        return []
