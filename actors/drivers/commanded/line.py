"""The line to a device: a command on a terminal, whose output is the device's console."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import termios
import tty
from collections import deque
from collections.abc import Callable, Sequence

import anyio
import anyio.lowlevel

from callboard.actors.drivers import tool
from callboard.actors.drivers.commanded.matcher import Cleaner, Matcher
from callboard.actors.drivers.commanded.session import Session
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.signals import LineReader
from callboard.definition.masking import MASK, SHORTEST

_ROWS_AND_COLUMNS = (24, 512)
_GRACE_S = 2.0
_SHOWN_LINES = 6
_SHOWN_CHARACTERS = 160

Heard = Callable[[str], None]
"""Is given a line that the console shows; it must not wait."""


class Line:
    """A console while its command runs.

    Output goes to the session where one is open, else line by line to `heard`. While somebody
    watches, the matcher gets it too.

    Args:
        command: Gives the console; it leads a session of processes and has a raw terminal.
        heard: Is given each line that no session gets.

    Raises:
        OSError: The command can't be started.
    """

    def __init__(self, command: Sequence[str], heard: Heard) -> None:
        self.matcher = Matcher()
        self.watching = True
        self.ended = False
        self._heard = heard
        self._cleaner = Cleaner()
        self._lines = LineReader()
        self._partial = ""
        self._recent: deque[str] = deque(maxlen=_SHOWN_LINES)
        self._secret: str | None = None
        self._hidden: Callable[[str], bool] = lambda _line: False
        self._session: Session | None = None
        self._news = anyio.Event()
        self._process, self._terminal = _start(command)
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @property
    def session(self) -> Session | None:
        """The session that gets the output, None where none is open."""
        return self._session if self._session is not None and self._session.open else None

    def open_session(self) -> Session:
        """Give the output to a new session from now on; the one before ends."""
        if self._session is not None:
            self._session.close()
        for line in self._lines.feed(b""):
            self._hear(line)
        self._lines = LineReader()
        self._session = Session(self.send)
        if self.ended:
            self._session.heard(b"")
        return self._session

    def send(self, data: bytes) -> None:
        """Type something; see `Console.send`."""
        self._terminal.send(data)

    def watch(self) -> None:
        """Match what comes from now on."""
        self.matcher.clear()
        self.watching = True

    def hide(self, hidden: Callable[[str], bool] | None) -> None:
        """Keep the lines for which `hidden` holds out of the log; with None no line."""
        self._hidden = hidden or (lambda _line: False)

    def mask(self, secret: str | None) -> None:
        """Replace a text wherever the console shows it; with None nothing."""
        self._secret = secret if secret and len(secret) >= SHORTEST else None

    async def news(self) -> None:
        """Wait for more output, or for the end."""
        if not self.ended:
            await self._news.wait()

    def tail(self) -> str:
        """The last lines of the console, as a part of a sentence."""
        shown = [each for each in (*self._recent, self._partial.strip()) if each]
        if not shown:
            return "; the console has shown nothing"
        lines = " | ".join(self._masked(each)[:_SHOWN_CHARACTERS] for each in shown[-_SHOWN_LINES:])
        return f"; the last lines of the console: {lines}"

    def kill(self) -> None:
        """End the command at once."""
        self._signal(signal.SIGKILL)
        self._terminal.close()

    async def close(self) -> None:
        """Hang up, and wait until the command has ended; one that stays is killed."""
        self._terminal.close()
        self._reading.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([self._reading])
            descriptor = os.pidfd_open(self._process.pid)
            try:
                for number in (signal.SIGTERM, signal.SIGKILL):
                    self._signal(number)
                    with anyio.move_on_after(_GRACE_S):
                        await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process.returncode is not None:
            return
        for kill in (os.kill, os.killpg):  # it may not lead a group yet
            with contextlib.suppress(ProcessLookupError):
                kill(self._process.pid, number)

    async def _read(self) -> None:
        try:
            while data := await self._terminal.receive():
                self._received(data)
                if self._session is not None:
                    await self._session.room()
                # A console that floods would let nothing else run.
                await anyio.lowlevel.checkpoint()
        finally:
            self._received(b"")

    def _received(self, data: bytes) -> None:
        text = self._cleaner.feed(data)
        self._remember(text)
        if self.watching:
            self.matcher.feed(text)
        session = self.session
        if session is None:
            for line in self._lines.feed(data):
                self._hear(line)
        else:
            session.heard(data)
        self.ended = not data
        if self.watching or self.ended:
            self._news.set()
            self._news = anyio.Event()

    def _hear(self, line: str) -> None:
        if not self._hidden(line):
            self._heard(self._masked(line))

    def _masked(self, line: str) -> str:
        return line if self._secret is None else line.replace(self._secret, MASK)

    def _remember(self, text: str) -> None:
        *lines, rest = (self._partial + text).split("\n")
        self._partial = rest[-_SHOWN_CHARACTERS:]
        self._recent.extend(
            shown
            for line in lines[-_SHOWN_LINES:]
            if (shown := line.strip()) and not self._hidden(line)
        )


def _start(command: Sequence[str]) -> tuple["subprocess.Popen[bytes]", Terminal]:
    variables = tool.environment({"TERM": "dumb"})
    if shutil.which(command[0], path=variables["PATH"]) is None:
        raise FileNotFoundError(f"there is no program `{command[0]}`, which gives the console")
    master, slave = os.openpty()
    terminal = Terminal(master)
    try:
        # Nothing of what is typed is this terminal's to handle: the device's own does that.
        tty.setraw(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *_ROWS_AND_COLUMNS, 0, 0))
        process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd="/",
            env=variables,
        )
    except BaseException:
        terminal.close()
        raise
    finally:
        os.close(slave)
    return process, terminal
