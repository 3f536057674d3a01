"""The cables of one node, as the driver that makes it sees them; each satisfies `Attachment`."""

import os

from attrs import define, field

from callboard.actors.drivers.network.group import GroupNetwork
from callboard.actors.drivers.network.naming import PRIMARY


@define(eq=False)
class Attached:
    """The cables of a node.

    Args:
        network: Where they lead.
        device: Name of the node's device.
        inside: What the node's interface in the network of the group is called.
    """

    _network: GroupNetwork
    _device: str
    _inside: str = PRIMARY
    _namespace: tuple[int, int] | None = field(default=None, init=False)

    async def attach(self, namespace: int) -> None:
        """Plug them in, unless they are in that namespace already; raises OSError."""
        status = os.fstat(namespace)
        found = (status.st_dev, status.st_ino)
        # The number of a namespace is given again when it has gone, but then so have the cables.
        if found == self._namespace and await self._network.is_joined(self._device):
            return
        await self._network.join(self._device, namespace, self._inside)
        self._namespace = found

    async def detach(self) -> None:
        """Unplug what is still there; it can't fail."""
        self._namespace = None
        await self._network.leave(self._device)

    async def reach(self, address: str) -> None:
        """Let the others reach the node at another address of it, too; raises OSError."""
        await self._network.route(self._device, address)

    @property
    def address(self) -> str:
        """The node's IPv4 address in the network of the group."""
        return str(self._network.plan[self._device].ipv4)

    @property
    def hosts(self) -> str:
        """Lines for the node's `/etc/hosts`: all nodes of the group."""
        return self._network.hosts

    @property
    def resolver(self) -> str | None:
        """The text of its resolver file; None where the machine's is good there."""
        return self._network.resolver
