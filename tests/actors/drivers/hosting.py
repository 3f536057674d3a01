"""A throw-away host with a real ssh server, and guests for it."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Self

import anyio
import pytest
from attrs import define, evolve, field

from callboard.actors.drivers import Console
from callboard.actors.drivers.processes import marked
from callboard.actors.drivers.sandboxed import SandboxedNode, open_sandbox
from callboard.actors.drivers.ssh import Address, Guest, KeyRing, Login, Machine, open_key_ring
from callboard.actors.drivers.ssh.node import SshNode
from callboard.actors.members import Member
from callboard.actors.overlay import Overlay
from callboard.definition.devices import LocalLimits

HERE = "127.0.0.1"

needs_sshd = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/usr/sbin/sshd").exists(),
    reason="guests log in as root on a server of OpenSSH: run as root, and install openssh-server",
)
"""A test that starts an ssh server on a local node."""

_SSHD = (
    "/usr/sbin/sshd -f /dev/null -p {port} -o ListenAddress=127.0.0.1 -o PidFile=/tmp/sshd.pid "
    "-o PermitRootLogin=prohibit-password -E /tmp/sshd.log"
)
_END_ALL = (
    "for each in /proc/[0-9]*; do "
    'if [ "$(cat $each/comm)" = sshd ]; then kill -KILL ${each#/proc/}; fi; done 2> /dev/null'
)


async def read_until(console: Console, end: bytes) -> bytes:
    """The output of a console up to `end`, or to its own end."""
    output = b""
    with anyio.fail_after(60):
        while end not in output and (data := await console.receive()):
            output += data
    return output


async def ask(console: Console, command: str) -> str:
    """What a command prints."""
    console.send(f"{command}; echo '<'end'>'\n".encode())
    return (await read_until(console, b"<end>")).decode().partition("<end>")[0]


def overlay_for(node: SshNode | SandboxedNode, job: int) -> Overlay:
    """An overlay without tests."""
    return Overlay(
        job_id=job,
        root=node.overlay_root(job),
        shell=node.shell(None),
        role="guest",
        group=(Member(job, "guest"),),
        environment=(),
        secrets=(),
        cache=node.cache,
        stages=(),
    )


@define
class Host:
    """A local node whose root lets guests in once `serve` has been called.

    Attributes:
        node: It.
        ring: The run's keys.
        port: Where its ssh server listens.
        console: A shell of it.
        nodes: Logins that were made for it; they are released at the end.
    """

    node: SandboxedNode
    ring: KeyRing
    port: int
    console: Console
    nodes: list[SshNode] = field(factory=list[SshNode])

    async def serve(self) -> Self:
        """Start the server; it listens when this returns."""
        assert await self.ask(f"mkdir -p /run/sshd; {_SSHD.format(port=self.port)}") == ""
        return self

    async def ask(self, command: str) -> str:
        """What a command of the host's own shell prints."""
        return await ask(self.console, command)

    async def stop(self) -> None:
        """Kill the server and every session that it has."""
        await self.ask(_END_ALL)

    def login(self) -> Login:
        """How guests of the run log in."""
        return Login(self.ring.made_for("host"), self.ring.identity)

    def guest(self, login: Login | None = None) -> Guest:
        """A guest that has not logged in yet."""
        own = login or self.login()
        guest = Guest("guest", own, self.ring, port=self.port)
        self.nodes.append(guest)
        return guest

    async def reached(self, job: int = 7) -> Guest:
        """A guest that has logged in, with an overlay."""
        guest = self.guest()
        await guest.prepare()
        await guest.install(overlay_for(guest, job))
        await guest.reach(HERE)
        return guest

    def machine(self, keys: Sequence[str] = ()) -> Machine:
        """The host as a fixed machine, of which these host keys are known."""
        trust = self.ring.listed(keys) if keys else self.ring.first_seen()
        login = Login(trust, self.ring.identity, configured=True, key_cure="mend `host_key`")
        address = Address(HERE, self.port)
        machine = Machine("machine", address, login, self.ring)
        self.nodes.append(machine)
        return machine


@contextlib.asynccontextmanager
async def hosting() -> AsyncIterator[Host]:
    """A host with the keys of a run; at the end no process of ssh may be left."""
    async with open_sandbox() as sandbox, open_key_ring() as ring:
        node = SandboxedNode("host", sandbox, LocalLimits())
        await node.prepare()
        host = None
        try:
            access = await ring.access("host")
            await node.install(evolve(overlay_for(node, 1), access=access))
            host = Host(node, ring, _free_port(), await node.open_shell())
            yield host
        finally:
            for each in () if host is None else host.nodes:
                await each.release()
            assert list(marked(ring.mark)) == []
            await node.release()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((HERE, 0))
        port = found.getsockname()[1]
        assert isinstance(port, int)
        return port
