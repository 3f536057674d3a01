"""Local nodes in a sandbox: throw-away views of this machine; see `drivers.sandbox`."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files
from pathlib import Path

import anyio

from callboard.actors.drivers import Console
from callboard.actors.drivers.local import COMMAND_LOOP, LocalNode, environment, home
from callboard.actors.drivers.sandbox import wire
from callboard.actors.drivers.sandbox.cures import cure
from callboard.actors.drivers.sandbox.limits import Limits
from callboard.actors.drivers.sandbox.wire import (
    Done,
    Failed,
    MakeNode,
    Message,
    OpenShell,
    Packet,
    Started,
    Survey,
    Surveyed,
    Unpack,
)
from callboard.actors.overlay import Overlay, archive
from callboard.definition.devices import LocalLimits

_CACHE = "/tmp/lava_multi_node_cache.txt"
_MOST_MEMORY_BYTES = 4 * 2**30
_MOST_DISK_BYTES = 2**30
_LONGEST_END_S = 10.0
_RETRY_S = 0.01
_HOLDER = "callboard.actors.drivers.sandbox.holder"


class SandboxUnavailable(Exception):
    """This machine can't make sandboxes; the text says which step it refused.

    Args:
        error: What it said.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.cure = cure(error)


class Sandbox:
    """What the sandboxed nodes of one run share: the process that holds them.

    Args:
        peer: The socket to the holder.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    async def make(self, request: MakeNode) -> "Channel":
        """Have a node made; its channel says when it is ready. Raises OSError."""
        ours, theirs = wire.pair()
        ours.setblocking(False)
        with theirs:
            await _send(self._peer, request, theirs.fileno())
        return Channel(ours)

    async def probe(self) -> frozenset[str]:
        """See whether a node can be made, by making one.

        Returns:
            What of the limits cgroups enforce: any of `pids` and `memory`.

        Raises:
            SandboxUnavailable: It can't.
        """
        node = SandboxedNode("probe", self, LocalLimits())
        try:
            await node.prepare()
        except OSError as error:
            raise SandboxUnavailable(error) from error
        finally:
            await node.release()
        return node.limited


@contextlib.asynccontextmanager
async def open_sandbox() -> AsyncIterator[Sandbox]:
    """Start the holder; on leaving, it ends all nodes and has ended itself.

    Raises:
        OSError: The holder can't be started.
    """
    ours, theirs = wire.pair()
    with theirs:
        holder = subprocess.Popen(  # noqa: ASYNC220 - a fork, which is over in milliseconds
            [sys.executable, "-P", "-m", _HOLDER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it outlives callboard by a moment, and readers wait
            env=_environment(),
            start_new_session=True,  # Ctrl-C is callboard's to handle
        )
    try:
        ours.setblocking(False)
        yield Sandbox(ours)
    finally:
        ours.close()
        with anyio.CancelScope(shield=True):
            await _wait_for(holder)


async def _wait_for(holder: "subprocess.Popen[bytes]") -> None:
    """Wait until the holder has ended its nodes; one that doesn't answer is killed with them."""
    descriptor = os.pidfd_open(holder.pid)
    try:
        with anyio.move_on_after(_LONGEST_END_S):
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)
    holder.kill()
    holder.wait()


def _environment() -> Mapping[str, str]:
    """The holder's variables; it must find the same callboard as this process."""
    package = str(Path(str(files("callboard"))).parent)
    known = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [package, known]))}


async def _send(peer: socket.socket, message: Message, *files: int) -> None:
    """Send a message, waiting while the peer has too many to read."""
    while True:
        try:
            wire.send(peer, message, *files)
        except BlockingIOError:
            # Not `wait_writable`: a socket has room for one task that waits, and nodes share it.
            await anyio.sleep(_RETRY_S)
        else:
            return


class Channel:
    """The socket to the first process of a node.

    Args:
        peer: It, not blocking; this object closes it.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._process: int | None = None
        self._lock = anyio.Lock()
        self._unanswered = 0

    async def ready(self) -> Done:
        """Wait until the node has been made; raises OSError when it can't be."""
        done: Done | None = None
        async with self._lock:
            # The holder and the node speak for themselves, so the node can be first.
            while done is None or self._process is None:
                answer = _succeeded(await self._receive())
                match answer.message:
                    case Started():
                        (self._process,) = answer.files
                    case Done():
                        done = answer.message
                    case _:
                        raise _nonsense()
        return done

    async def ask(self, request: Message, *files: int) -> Packet:
        """Have something done; returns the answer, whose files the caller has to close.

        Raises:
            ConnectionError: The node has ended.
            OSError: It can't be done.
        """
        async with self._lock:
            await _send(self._peer, request, *files)
            self._unanswered += 1
            while True:
                answer = await self._receive()
                self._unanswered -= 1
                if self._unanswered == 0:
                    return _succeeded(answer)
                # That was for one who was cancelled while waiting.
                for file in answer.files:
                    os.close(file)

    async def _receive(self) -> Packet:
        while True:
            try:
                packet = wire.receive(self._peer)
            except BlockingIOError:
                await anyio.wait_readable(self._peer)
                continue
            if packet is None:
                raise ConnectionResetError("the node's first process has ended")
            return packet

    def kill(self) -> None:
        """End every process of the node now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    async def close(self) -> None:
        """End every process of the node, and return when the last one has ended.

        Raises:
            TimeoutError: The kernel holds some of them.
        """
        with contextlib.suppress(OSError):  # the other side can be closed already
            self._peer.shutdown(socket.SHUT_RDWR)
        try:
            await self._end()
        finally:
            # Who still waits for an answer has to leave the socket first.
            with anyio.CancelScope(shield=True):
                async with self._lock:
                    self._peer.close()

    async def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            with anyio.fail_after(_LONGEST_END_S):
                await anyio.wait_readable(process)
        except ProcessLookupError:
            pass
        except TimeoutError as error:
            raise TimeoutError("processes of the node can't be ended") from error
        finally:
            os.close(process)


def _succeeded(answer: Packet) -> Packet:
    """The answer; raises OSError when it says that something can't be done."""
    if isinstance(answer.message, Failed):
        raise answer.message.error()
    return answer


def _nonsense() -> OSError:
    return OSError("the sandbox gave an answer that makes no sense")


class SandboxedNode(LocalNode):
    """A throw-away view of this machine.

    Args:
        name: Name of the device; its host name, as far as hosts may have it.
        sandbox: Who holds it.
        limits: What it may use.
    """

    def __init__(self, name: str, sandbox: Sandbox, limits: LocalLimits) -> None:
        super().__init__(name)
        self._sandbox = sandbox
        self._limits = limits
        self._channel: Channel | None = None
        self.limited: frozenset[str] = frozenset()

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache, where LAVA has it: the node has a /tmp of its own."""
        return _CACHE

    @property
    def _node(self) -> Channel:
        if self._channel is None:
            raise RuntimeError(f"the node {self.name} is not prepared")
        return self._channel

    def overlay_root(self, job_id: int) -> str:
        """The overlay lies where LAVA has it."""
        return f"/lava-{job_id}"

    async def prepare(self) -> None:
        """Make the node; raises OSError, whose text names the step that the machine refused."""
        limits = self._limits
        machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory_bytes = limits.memory_bytes or min(_MOST_MEMORY_BYTES, machine_bytes // 2)
        disk_bytes = limits.disk_bytes or min(_MOST_DISK_BYTES, machine_bytes // 4)
        writable = tuple(str(each) for each in _writable())
        self._channel = await self._sandbox.make(
            MakeNode(
                _host_name(self.name), disk_bytes, Limits(limits.processes, memory_bytes), writable
            )
        )
        self.limited = frozenset((await self._channel.ready()).limited)

    async def install(self, overlay: Overlay) -> None:
        """Put the overlay's files on the node; raises OSError and ValueError."""
        if overlay.access is not None and os.geteuid() != 0:
            text = f"{self.name} can't let guests in: they log in as root, and its files are root's"
            raise PermissionError(f"{text}; run callboard as root")
        with os.fdopen(os.memfd_create("overlay"), "wb") as stream:
            await anyio.to_thread.run_sync(archive, overlay, stream)
            stream.flush()
            stream.seek(0)
            await self._node.ask(Unpack(), stream.fileno())

    async def open_shell(self) -> Console:
        """Start a shell on a terminal of the node; raises OSError."""
        folder = str(home())
        command = ("/bin/sh", "-c", COMMAND_LOOP)
        answer = await self._node.ask(OpenShell(command, environment(home()), folder))
        (master,) = answer.files
        terminal = self.terminal(master)
        self._terminals.append(terminal)
        return terminal

    async def busy(self) -> bool:
        """Have the node's first process look; raises OSError."""
        if self._channel is None:
            return False
        try:
            answer = (await self._channel.ask(Survey())).message
        except ConnectionError:
            return False
        if not isinstance(answer, Surveyed):
            raise _nonsense()
        return answer.busy

    def kill(self) -> None:
        """Kill every process of the node."""
        if self._channel is not None:
            self._channel.kill()

    async def release(self) -> None:
        """End the node; what it was goes with its last process."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        self.hang_up()


def _host_name(device: str) -> str:
    """A device's name as a host may have it (hostname(7))."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", device)[:63].strip("-") or "node"


def _writable() -> tuple[Path, ...]:
    """What an ordinary user expects to be able to write to."""
    return home().resolve(), Path.cwd(), Path("/var/tmp")
