"""One connection to a host, which every session of a node goes over (ssh_config: ControlMaster)."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import tempfile
import tty
from collections.abc import Mapping

import anyio
from attrs import frozen

from callboard.actors.drivers.processes import MARK
from callboard.actors.drivers.ssh.keyring import KeyRing
from callboard.actors.drivers.ssh.login import LONGEST_CONNECT_S, Login
from callboard.actors.drivers.ssh.refusal import Refusal, refusal
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.drivers.tool import Ran, run_tool
from callboard.definition.address import Address

_LONGEST_LOGIN_S = LONGEST_CONNECT_S + 20.0
_LONGEST_OPENING_S = 20.0
_LONGEST_END_S = 5.0
_MOST_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.1
_READ_BYTES = 65_536
_KEPT_BYTES = 4_096

# What stands in the environment of ssh here; the rest is none of the lab's.
_VARIABLES = ("HOME", "LOGNAME", "PATH", "SSH_AUTH_SOCK", "USER")

_GREETING = re.compile(rb"<callboard (\d) (\d) ([^\n]*)>\n")

# Tells what the host is like, and ends when nobody holds the other end of its input any more,
# so that the connection doesn't outlive callboard.
_GREET = """
root=0; if [ -w / ]; then root=1; fi
bash=0; if [ -x /bin/bash ]; then bash=1; fi
printf '\\n<callboard %s %s %s>\\n' "$root" "$bash" "$HOME"
while read -r _; do :; done
"""

_READY = b"<callboard shell>"


@frozen
class Host:
    """What a host says of itself.

    Attributes:
        open: Whether the user can make files in its root folder.
        bash: Whether it has `/bin/bash`.
        home: The user's home.
    """

    open: bool
    bash: bool
    home: str


class Link:
    """An open connection; `connect` makes it.

    Args:
        address: Where it goes.
        ring: Whose folder its socket is in.
        socket: The socket's name.
        process: The ssh that holds it.
        host: What the host is like.
    """

    def __init__(
        self,
        address: Address,
        ring: KeyRing,
        socket: str,
        process: "subprocess.Popen[bytes]",
        host: Host,
    ) -> None:
        self.address = address
        self.host = host
        self._ring = ring
        self._socket = socket
        self._process = process
        self._shells: list[subprocess.Popen[bytes]] = []

    @property
    def lives(self) -> bool:
        """Whether the connection stands, as far as is known here."""
        return self._process.poll() is None

    async def run(self, script: str, *, limit_s: float, stdin: int | None = None) -> Ran:
        """Run a script of `/bin/sh` on the host.

        Args:
            script: It.
            limit_s: Seconds that it may take.
            stdin: A file that it reads; None for nothing.

        Raises:
            OSError: It takes too long.
        """
        command = [*self._command(), "-T", "--", self.address.host, _remote(script)]
        return await run_tool(
            command,
            limit_s=limit_s,
            stdin=stdin,
            variables=_environment(self._ring),
            folder=self._ring.path,
        )

    async def open_shell(self, script: str) -> Terminal:
        """Start a script of `/bin/sh` on a terminal of the host.

        Args:
            script: It; what it prints is what the terminal gives, and nothing else.

        Raises:
            OSError: The host opens no session.
        """
        begin = f"stty sane -echo -opost 2>/dev/null\nprintf %s '{_READY.decode()}'\n"
        command = [*self._command(), "-tt", "--", self.address.host, _remote(begin + script)]
        master, slave = os.openpty()
        try:
            # Else an early ^C would end ssh itself, before it has taken its terminal over.
            tty.setraw(slave)
            terminal = Terminal(master)
            try:
                self._shells.append(_start(["setsid", "--ctty", *command], slave, self._ring))
            except BaseException:
                terminal.close()
                raise
        finally:
            os.close(slave)
        try:
            await self._ready(terminal)
        except BaseException:
            terminal.close()
            raise
        return terminal

    async def _ready(self, terminal: Terminal) -> None:
        said = b""
        with anyio.move_on_after(_LONGEST_OPENING_S):
            while data := await terminal.receive():
                said = (said + data)[-_KEPT_BYTES:]
                if said.endswith(_READY):
                    return
        reason = " ".join(said.decode(errors="replace").split()) or "it did not begin"
        raise OSError(f"{self.address} opens no shell: {reason}; look into the log of its server")

    def kill(self) -> None:
        """End the connection and its sessions now."""
        for process in (*self._shells, self._process):
            if process.poll() is None:
                process.kill()

    async def close(self) -> None:
        """End the connection and its sessions; returns when no process of it is left here."""
        for process in (*self._shells, self._process):
            await _end(process)
        self._shells.clear()

    def _command(self) -> list[str]:
        # If the connection is lost, ssh must not make another one: its proxy fails then.
        return [
            *("ssh", "-F", "none", "-S", self._socket, "-e", "none"),
            *("-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-o", "LogLevel=ERROR"),
        ]


async def connect(address: Address, login: Login, ring: KeyRing) -> Link:
    """Log in.

    A server that hangs up before the login, as it does when too many log in at once, or one that
    is not there yet, is asked again a few times within some three seconds.

    Raises:
        Refusal: It can't be done; an OSError that says why, and what to do.
        OSError: There is no ssh.
    """
    for attempt in range(_MOST_ATTEMPTS):
        try:
            return await _connect(address, login, ring)
        except Refusal as refused:
            if not refused.passing or attempt == _MOST_ATTEMPTS - 1:
                raise
        await anyio.sleep(_FIRST_PAUSE_S * 2**attempt)
    raise AssertionError("the last attempt returns or raises")


async def _connect(address: Address, login: Login, ring: KeyRing) -> Link:
    socket = ring.socket()
    options = [f"-o{name}={value}" for name, value in login.options().items()]
    if not login.configured:
        options[:0] = ["-F", "none"]
    where = ("-p", str(address.port), "-l", address.user, "-T", "--", address.host)
    ssh = [*login.inside, "ssh", *options, "-M", "-S", socket, "-oControlPersist=no"]
    command = [*ssh, *where, _remote(_GREET)]
    with tempfile.TemporaryFile() as errors:
        process = _start_piped(command, errors.fileno(), ring)
        try:
            host = await _greeting(process)
        except BaseException:
            await _end(process)
            raise
        if host is None:
            await _end(process)
            errors.seek(0)
            raise refusal(address, login, errors.read(_KEPT_BYTES).decode(errors="replace"))
    return Link(address, ring, socket, process, host)


async def _greeting(process: "subprocess.Popen[bytes]") -> Host | None:
    """What the host says first; None when it doesn't, or not in time."""
    assert process.stdout is not None, "it is a pipe"
    output = process.stdout.fileno()
    said = b""
    with anyio.move_on_after(_LONGEST_LOGIN_S):
        while True:
            await anyio.wait_readable(output)
            data = os.read(output, _READ_BYTES)
            if not data:
                return None
            said = (said + data)[-_READ_BYTES:]
            if found := _GREETING.search(said):
                root, bash, home = found.groups()
                return Host(root == b"1", bash == b"1", home.decode(errors="surrogateescape"))
    return None


def _remote(script: str) -> str:
    """A script as the one command that ssh hands to the user's shell, whatever that is."""
    return f"exec /bin/sh -c {shlex.quote(script)}"


def _environment(ring: KeyRing) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _VARIABLES if name in os.environ}
    return kept | {"LANG": "C.UTF-8", "TERM": "dumb", MARK: ring.mark}


def _start(command: list[str], terminal: int, ring: KeyRing) -> "subprocess.Popen[bytes]":
    """Start the leader of a session on a terminal; raises OSError."""
    return subprocess.Popen(
        command,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=ring.path,
        env=dict(_environment(ring)),
    )


def _start_piped(command: list[str], errors: int, ring: KeyRing) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own; raises OSError."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            cwd=ring.path,
            env=dict(_environment(ring)),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise FileNotFoundError("ssh is missing; install openssh-client") from error


async def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process, by force when it takes too long; returns when it has ended."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    with anyio.CancelScope(shield=True):
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
            try:
                process.send_signal(signal.SIGTERM)
                with anyio.move_on_after(_LONGEST_END_S):
                    await anyio.wait_readable(descriptor)
            finally:
                os.close(descriptor)
        process.kill()
        process.wait()
