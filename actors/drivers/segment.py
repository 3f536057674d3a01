"""The network that the nodes of a group have among themselves, as those see it who act on it."""

from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from attrs import frozen


@frozen
class Station:
    """A node in the network of its group.

    Attributes:
        device: Name of the node's device.
        link: What the interface at the network's side of its cable is called; it is called the
            same each time that the node comes.
        mac: Hardware address of the node's own end.
        ipv4: The node's address.
        ipv6: The same.
    """

    device: str
    link: str
    mac: str
    ipv4: IPv4Address
    ipv6: IPv6Address


Welcome = Callable[[Station], Awaitable[None]]
"""Does what is to be done for a node that has come, before anything runs there."""


class Segment(Protocol):
    """The network of a group."""

    @property
    def bridge(self) -> str:
        """Name of the bridge that all stations are plugged into."""
        ...

    @property
    def plan(self) -> Mapping[str, Station]:
        """All nodes that are to be in it, by the name of their device; known from the start."""
        ...

    @property
    def stations(self) -> Mapping[str, Station]:
        """The nodes that are in it now, by the name of their device."""
        ...

    def welcome(self, hook: Welcome | None) -> None:
        """Have `hook` called each time that a node comes, as a container does at every start.

        Its cable is a new one then: settings of the link are gone, rules that name it hold.
        """
        ...

    def port(self, device: str, interface: str) -> str:
        """What the network's side of another interface's cable is called.

        Args:
            device: Name of the node's device.
            interface: The interface's label; not of the one with which it is a station.

        Raises:
            KeyError: The node has no such interface here.
        """
        ...

    async def plug(self, device: str, interface: str, bridge: str | None) -> None:
        """Plug such an interface into a bridge, and again each time that its node comes.

        Args:
            device: Name of the node's device.
            interface: The interface's label.
            bridge: A bridge of the segment; None plugs it in nowhere, as it is at first.

        Raises:
            KeyError: The node has no such interface here.
            OSError: It can't be.
        """
        ...

    async def execute(self, *command: str, given: str = "") -> str:
        """Run a tool of this machine in the network's own namespace, with what it may do there.

        Args:
            command: The tool (`ip`, `tc`, `nft`, `bridge`) and its arguments.
            given: Its input.

        Returns:
            Its output.

        Raises:
            OSError: It fails, or isn't there; the text has its last line.
        """
        ...


class Attachment(Protocol):
    """The cables of one node."""

    async def attach(self, namespace: int) -> None:
        """Plug them in; where they are plugged in already, nothing happens.

        Args:
            namespace: An open network namespace, that of the node.

        Raises:
            OSError: They can't be; the text says what was refused.
        """
        ...

    async def detach(self) -> None:
        """Unplug what is still there; the node has ended, or is about to. It can't fail."""
        ...

    async def reach(self, address: str) -> None:
        """Let the others reach the node at an IPv4 address that it has in another network, too.

        Raises:
            OSError: A tool refuses it.
        """
        ...

    @property
    def address(self) -> str:
        """The node's IPv4 address in the network of the group."""
        ...

    @property
    def hosts(self) -> str:
        """Lines for the node's `/etc/hosts`: all nodes of the group."""
        ...

    @property
    def resolver(self) -> str | None:
        """The text of its resolver file; None where the machine's is good there."""
        ...
