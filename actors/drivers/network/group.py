"""The network of one run's group, made and changed by this machine's tools."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import anyio
from attrs import define, field

from callboard.actors.drivers.network.naming import BRIDGE, PRIMARY
from callboard.actors.drivers.network.plan import Cable, Plan
from callboard.actors.drivers.network.tools import Inside
from callboard.actors.drivers.network.wayout import Finder, Way, open_way
from callboard.actors.drivers.sandbox import wire
from callboard.actors.drivers.sandboxed import Sandbox
from callboard.actors.drivers.segment import Station, Welcome

_IPV6 = Path("/proc/sys/net/ipv6")


@define(eq=False)
class GroupNetwork:
    """A segment; satisfies `Segment`. It is made by `open_network`.

    Args:
        inside: The segment's namespace.
        plan: Who is to be in it.
    """

    inside: Inside
    _plan: Plan
    way: Way | None = field(default=None, init=False)
    """The way out of it, None where there is none."""
    _hook: Welcome | None = field(default=None, init=False)
    _stations: dict[str, Station] = field(factory=dict[str, Station], init=False)
    _plugged: dict[str, str] = field(factory=dict[str, str], init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)

    @property
    def bridge(self) -> str:
        """Name of the bridge that all stations are plugged into."""
        return BRIDGE

    @property
    def plan(self) -> Mapping[str, Station]:
        """All nodes that are to be in it, by the name of their device."""
        return self._plan.stations

    @property
    def stations(self) -> Mapping[str, Station]:
        """The nodes that are in it now, by the name of their device."""
        return self._stations

    @property
    def hosts(self) -> str:
        """Lines for `/etc/hosts`: all nodes of the group."""
        return self._plan.hosts

    @property
    def resolver(self) -> str | None:
        """The text of the nodes' resolver file; None leaves them the machine's."""
        return None if self.way is None else self.way.resolver

    def welcome(self, hook: Welcome | None) -> None:
        """Have `hook` called each time that a node comes."""
        self._hook = hook

    def port(self, device: str, interface: str) -> str:
        """What the segment's side of an interface's cable is called; raises KeyError."""
        return self._plan.cables[device][interface].link

    async def plug(self, device: str, interface: str, bridge: str | None) -> None:
        """Plug an interface into a bridge, now or when its node comes; raises KeyError, OSError."""
        link = self.port(device, interface)
        async with self._lock:
            before = self._plugged.pop(link, None)
            if bridge is not None:
                self._plugged[link] = bridge
            try:
                if device in self._stations:
                    await self.inside.ip(f"link set {link} {_master(bridge)}")
            except OSError:
                if not await self._is_there(link):
                    return  # it went with its node, which is started again or not
                self._plugged.pop(link, None)
                if before is not None:
                    self._plugged[link] = before
                raise

    async def execute(self, *command: str, given: str = "") -> str:
        """Run a tool in the segment's namespace; raises OSError."""
        return await self.inside.run(*command, given=given)

    async def join(self, device: str, namespace: int, inside: str) -> None:
        """Plug in the cables of a node, and give it its addresses.

        Args:
            device: Name of its device.
            namespace: Its network namespace, as an open file.
            inside: What its interface is called.

        Raises:
            OSError: A tool refuses it.
        """
        station = self._plan.stations[device]
        cables = [Cable(station.link, inside, station.mac), *self._plan.cables[device].values()]
        async with self._lock:
            await self._leave(device)
            plugged = {station.link: BRIDGE, **self._plugged}
            lines = [line for each in cables for line in _laid(each, plugged.get(each.link))]
            await self.inside.ip(*lines, file=namespace)
            self._stations[device] = station
        node = Inside(self.inside.sandbox, namespace)
        others = [f"link set {each.inside} up" for each in cables[1:]]
        await node.ip(*self._addresses(station, inside), *others)
        if self._hook is not None:
            await self._hook(station)

    async def is_joined(self, device: str) -> bool:
        """Whether the cables of a node are there; raises OSError."""
        return device in self._stations and await self._is_there(self.plan[device].link)

    async def route(self, device: str, address: str) -> None:
        """Lead to a node what is sent to another address of it; raises OSError and ValueError."""
        other = IPv4Address(address)
        via = self.plan[device].ipv4
        await self.inside.ip(f"route replace {other}/32 via {via} dev {BRIDGE}")

    async def leave(self, device: str) -> None:
        """Unplug the cables of a node; it can't fail."""
        async with self._lock:
            await self._leave(device)

    async def _leave(self, device: str) -> None:
        if self._stations.pop(device, None) is None:
            return
        links = [
            self.plan[device].link,
            *(each.link for each in self._plan.cables[device].values()),
        ]
        with contextlib.suppress(OSError):
            # some may be gone already: the kernel removes them with the node's namespace
            given = "".join(f"link delete {each}\n" for each in links)
            await self.inside.run("ip", "-force", "-batch", "-", given=given)

    def _addresses(self, station: Station, inside: str) -> list[str]:
        plan = self._plan
        lines = [
            "link set lo up",
            f"link set {inside} up",
            f"address add {station.ipv4}/{plan.ipv4.prefixlen} broadcast + dev {inside}",
        ]
        if inside == PRIMARY:
            lines.append(f"route add default via {plan.router[0]}")  # the way out has no IPv6
        if _has_ipv6():
            lines.append(f"address add {station.ipv6}/{plan.ipv6.prefixlen} dev {inside} nodad")
        return lines

    async def _is_there(self, link: str) -> bool:
        listed = await self.inside.run("ip", "-brief", "link", "show")
        return link in {line.split()[0].split("@")[0] for line in listed.splitlines()}

    async def make_bridge(self) -> None:
        """Make the bridge, with the router's addresses; raises OSError."""
        plan = self._plan
        router4, router6 = plan.router
        lines = [
            "link set lo up",
            f"link add {BRIDGE} type bridge",
            f"link set {BRIDGE} up",
            f"address add {router4}/{plan.ipv4.prefixlen} broadcast + dev {BRIDGE}",
        ]
        if _has_ipv6():
            lines.append(f"address add {router6}/{plan.ipv6.prefixlen} dev {BRIDGE} nodad")
        await self.inside.ip(*lines)


def _laid(cable: Cable, bridge: str | None) -> tuple[str, str]:
    """The lines for `ip` that lay a cable to a node, whose namespace it has as its file."""
    end = f"peer name {cable.inside} address {cable.mac} netns {wire.FILE}"
    return (
        f"link add {cable.link} type veth {end}",
        f"link set {cable.link} addrgenmode none {_master(bridge)} up",
    )


def _has_ipv6() -> bool:
    return _IPV6.exists()


def _master(bridge: str | None) -> str:
    return "nomaster" if bridge is None else f"master {bridge}"


@contextlib.asynccontextmanager
async def open_network(
    sandbox: Sandbox, plan: Plan, taken: Sequence[IPv4Network], find: Finder
) -> AsyncIterator[GroupNetwork]:
    """Make the network of a group; on leaving, this process lets go of it.

    Args:
        sandbox: Whose holder makes its namespace.
        plan: Who is to be in it.
        taken: IPv4 networks that are used on this machine.
        find: Finds the tools that make a way out.

    Raises:
        OSError: This machine refuses it, or a tool is missing.
    """
    network = await sandbox.make_segment()
    try:
        made = GroupNetwork(Inside(sandbox, network), plan)
        await made.make_bridge()
        async with open_way(made.inside, [*taken, plan.ipv4], plan.run, find) as way:
            made.way = way
            yield made
    finally:
        os.close(network)
