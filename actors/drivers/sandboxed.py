"""Local nodes in a sandbox: throw-away views of this machine; see `drivers.sandbox`."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import anyio
from attrs import evolve, frozen

from callboard.actors.drivers import Console
from callboard.actors.drivers.local import COMMAND_LOOP, LocalNode, environment, home
from callboard.actors.drivers.sandbox import wire
from callboard.actors.drivers.sandbox.channel import Channel, nonsense, received, send, succeeded
from callboard.actors.drivers.sandbox.cures import cure
from callboard.actors.drivers.sandbox.limits import Limits
from callboard.actors.drivers.sandbox.wire import (
    Done,
    Ended,
    Made,
    MakeNode,
    MakeSegment,
    Message,
    OpenShell,
    RunTool,
    Started,
    Survey,
    Surveyed,
    Unpack,
)
from callboard.actors.drivers.segment import Attachment
from callboard.actors.overlay import Overlay, archive
from callboard.definition.devices import LocalLimits

_CACHE = "/tmp/lava_multi_node_cache.txt"
_MOST_MEMORY_BYTES = 4 * 2**30
_MOST_DISK_BYTES = 2**30
_LONGEST_END_S = 10.0
_HOLDER = "callboard.actors.drivers.sandbox.holder"


class SandboxUnavailable(Exception):
    """This machine can't make sandboxes; the text says which step it refused.

    Args:
        error: What it said.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.cure = cure(error)


@frozen
class Tool:
    """A tool that runs, or has ended.

    Args:
        peer: Where the holder says so.
    """

    _peer: socket.socket

    async def ended(self) -> int:
        """Wait for its end; returns its exit status, or a signal's number, negative."""
        message = (await received(self._peer)).message
        if not isinstance(message, Ended):
            raise nonsense()
        return message.status


class Sandbox:
    """What the sandboxed nodes of one run share: the process that holds them.

    Args:
        peer: The socket to the holder.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    async def make(self, request: MakeNode, *files: int) -> "Channel":
        """Have a node made; its channel says when it is ready. Raises OSError."""
        ours, theirs = wire.pair()
        ours.setblocking(False)
        with theirs:
            await send(self._peer, request, theirs.fileno(), *files)
        return Channel(ours)

    async def make_segment(self) -> int:
        """Make a network namespace that forwards, and that nothing but an open file holds.

        Returns:
            That file, which the caller has to close.

        Raises:
            OSError: This machine refuses it.
        """
        async with self._asked(MakeSegment()) as peer:
            (network,) = await _files(peer, Made)
        return network

    @contextlib.asynccontextmanager
    async def tool(
        self,
        command: Sequence[str],
        network: int,
        files: Sequence[int],
        *,
        inside: bool,
    ) -> AsyncIterator[Tool]:
        """Run a tool, with the right to change a network namespace; on leaving it has ended.

        Args:
            command: It and its arguments.
            network: The namespace.
            files: What it reads, what it prints to, and perhaps one more, which is `wire.FILE`.
            inside: Whether it runs in the namespace, or beside it and finds it at `wire.NETWORK`.

        Raises:
            OSError: It can't be started.
        """
        request = RunTool(tuple(command), inside)
        async with self._asked(request, network, *files) as peer:
            (process,) = await _files(peer, Started)
            try:
                yield Tool(peer)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                os.close(process)

    @contextlib.asynccontextmanager
    async def _asked(self, request: Message, *files: int) -> AsyncIterator[socket.socket]:
        """Ask the holder for something; the socket is for its answers."""
        ours, theirs = wire.pair()
        with ours:
            ours.setblocking(False)
            with theirs:
                await send(self._peer, request, theirs.fileno(), *files)
            yield ours

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


async def _files(peer: socket.socket, wanted: type[Message]) -> tuple[int, ...]:
    """The files of an answer; raises OSError."""
    answer = succeeded(await received(peer))
    if not isinstance(answer.message, wanted):
        raise nonsense()
    return answer.files


class SandboxedNode(LocalNode):
    """A throw-away view of this machine.

    Args:
        name: Name of the device; its host name, as far as hosts may have it.
        sandbox: Who holds it.
        limits: What it may use.
        attachment: Its cables to the network of the group; None leaves it in this machine's.
    """

    def __init__(
        self,
        name: str,
        sandbox: Sandbox,
        limits: LocalLimits,
        attachment: Attachment | None = None,
    ) -> None:
        super().__init__(name)
        self._attachment = attachment
        self._sandbox = sandbox
        self._limits = limits
        self._channel: Channel | None = None
        self.limited: frozenset[str] = frozenset()
        self.lacking: tuple[str, ...] = ()

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
        request = MakeNode(
            host_name(self.name), disk_bytes, Limits(limits.processes, memory_bytes), writable
        )
        if self._attachment is None:
            self._channel = await self._sandbox.make(request)
        else:
            cables = self._attachment
            connected = evolve(request, connected=True, resolver=cables.resolver)
            with os.fdopen(os.memfd_create("hosts"), "w") as hosts:
                hosts.write(cables.hosts)
                hosts.flush()
                self._channel = await self._sandbox.make(connected, hosts.fileno())
        done = await self._channel.ready()
        assert isinstance(done.message, Done)
        self.limited = frozenset(done.message.limited)
        self.lacking = done.message.lacking
        for namespace in done.files:
            try:
                if self._attachment is not None:
                    await self._attachment.attach(namespace)
            finally:
                os.close(namespace)

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
            raise nonsense()
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
        if self._attachment is not None:
            await self._attachment.detach()
        self.hang_up()


def host_name(device: str) -> str:
    """A device's name as a host may have it (hostname(7))."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", device)[:63].strip("-") or "node"


def _writable() -> tuple[Path, ...]:
    """What an ordinary user expects to be able to write to."""
    return home().resolve(), Path.cwd(), Path("/var/tmp")
