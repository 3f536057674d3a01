"""What moves the interfaces of nodes between VLANs: real switches, bridges, or a model of them."""

from typing import Protocol

from attrs import frozen

TAGS = range(1, 4095)
"""The numbers that a VLAN can have on the wire (IEEE 802.1Q)."""


@frozen
class Port:
    """Where an interface of a node is plugged in.

    Attributes:
        device: Name of the node's device.
        interface: The interface's label.
        switch: The switch's name or address; None where there is none, as for nodes made here.
        number: The port's number there; None as well.
    """

    device: str
    interface: str
    switch: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        where = f", port {self.number} of {self.switch}" if self.switch else ""
        return f"{self.interface} of {self.device}{where}"


@frozen
class Vlan:
    """A VLAN that is there.

    Attributes:
        id: What its switches call it.
        tag: Its number on the wire, from 1 to 4094.
        name: What it is called, 16 letters and digits at most.
    """

    id: int
    tag: int
    name: str


class Switches(Protocol):
    """All switches that the nodes of a group are plugged into.

    What goes wrong is an `ActionError`, which says who must act; nothing fails in silence.
    """

    async def create(self, name: str) -> Vlan:
        """Make a VLAN, with a tag that is free."""
        ...

    async def move(self, port: Port, vlan: Vlan) -> None:
        """Put a port into a VLAN, and see that it is there."""
        ...

    async def restore(self, port: Port) -> None:
        """Put a port back to where it was before it was first moved, if it was."""
        ...

    async def delete(self, vlan: Vlan) -> None:
        """Remove a VLAN in which no port is any more."""
        ...
