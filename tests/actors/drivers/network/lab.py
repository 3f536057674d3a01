"""A network of a few nodes in a user namespace of its own, for tests of what acts on one."""

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from attrs import define, field

from callboard.actors.drivers.segment import Station, Welcome
from callboard.actors.drivers.tool import Ran, Said, run_tool

_LIMIT_S = 60.0


@define
class Lab:
    """A bridge with nodes around it; has of `Segment` what acts on links.

    Attributes:
        holder: The process that holds the network's namespaces.
        plan: All nodes.
        nodes: The processes that hold those of the nodes.
    """

    holder: "subprocess.Popen[bytes]"
    plan: Mapping[str, Station]
    nodes: "dict[str, subprocess.Popen[bytes]]" = field(factory=dict)
    bridge: str = "group0"

    @property
    def stations(self) -> Mapping[str, Station]:
        """Those that are there."""
        return {name: station for name, station in self.plan.items() if name in self.nodes}

    async def execute(self, *command: str, given: str = "") -> str:
        """Run a tool in the network's namespace; raises OSError when it fails."""
        ran = await self._run(self.holder.pid, command, given)
        if ran.status:
            raise OSError(f"{' '.join(command)}: {ran.errors.strip()}\n{given}")
        return ran.output

    async def on(self, device: str, *command: str, said: Said | None = None) -> Ran:
        """Run a program on a node."""
        return await self._run(self.nodes[device].pid, command, said=said)

    async def ping(self, device: str, other: str, count: int = 1) -> bool:
        """Whether any of so many echoes comes back, over IPv4 and over IPv6 alike.

        A node that has asked in vain where another one is asks again after a second, and what it
        sends before is lost, even if the link is whole by then.
        """
        heard = []
        for address in (self.plan[other].ipv4, self.plan[other].ipv6):
            words = ("ping", "-n", f"-c{count}", "-i0.5", "-W1", str(address))
            ran = await self.on(device, *words)
            heard.append(ran.status == 0)
        assert heard[0] == heard[1], heard
        return heard[0]

    async def join(self, device: str, welcome: Welcome | None = None) -> None:
        """Have a node come."""
        station = self.plan[device]
        enter = ("nsenter", "-t", f"{self.holder.pid}", *_ENTER)
        node = self.nodes[device] = _hold(*enter, "unshare", "-n")
        mask = station.ipv4.max_prefixlen - 16
        lines = [
            f"link add {station.link} type veth peer name eth0 netns {node.pid}",
            f"link set {station.link} master {self.bridge} up",
        ]
        await self.execute("ip", "-batch", "-", given="\n".join([*lines, ""]))
        if welcome is not None:
            await welcome(station)
        for command in (
            "ip link set lo up",
            f"ip addr add {station.ipv4}/{mask} dev eth0",
            f"ip addr add {station.ipv6}/64 dev eth0 nodad",
            f"ip link set eth0 address {station.mac} up",
        ):
            ran = await self.on(device, *command.split())
            assert ran.status == 0, (command, ran.errors)

    async def leave(self, device: str) -> None:
        """Have a node go."""
        _end(self.nodes.pop(device))
        # The kernel removes it as well, sooner or later.
        with contextlib.suppress(OSError):
            await self.execute("ip", "link", "delete", self.plan[device].link)

    @staticmethod
    async def _run(
        pid: int, command: "tuple[str, ...]", given: str = "", said: Said | None = None
    ) -> Ran:
        argv = ("nsenter", "-t", f"{pid}", *_ENTER, *command)
        return await run_tool(argv, limit_s=_LIMIT_S, stdin=given.encode(), said=said)


_ENTER = ("-U", "--preserve-credentials", "-n")
_READY = "import sys; print(flush=True); sys.stdin.read()"


@contextlib.asynccontextmanager
async def open_lab(*devices: str) -> AsyncIterator[Lab]:
    """A network with a router and these nodes."""
    plan = {
        name: Station(
            name,
            f"p{number}",
            f"02:00:00:00:00:{number:02x}",
            IPv4Address(f"10.77.0.{number + 1}"),
            IPv6Address(f"fd77::{number + 1:x}"),
        )
        for number, name in enumerate(devices, 1)
    }
    lab = Lab(_hold("unshare", "-Urn"), plan)
    try:
        lines = [
            f"link add {lab.bridge} type bridge",
            f"addr add 10.77.0.1/16 dev {lab.bridge}",
            f"addr add fd77::1/64 dev {lab.bridge} nodad",
            f"link set {lab.bridge} up",
            "link set lo up",
        ]
        await lab.execute("ip", "-batch", "-", given="\n".join([*lines, ""]))
        for device in devices:
            await lab.join(device)
        yield lab
    finally:
        for process in (*lab.nodes.values(), lab.holder):
            _end(process)


def _hold(*command: str) -> "subprocess.Popen[bytes]":
    """A process with namespaces of its own; they are there when it has said so."""
    process = subprocess.Popen(
        [*command, sys.executable, "-c", _READY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.communicate(b"")
