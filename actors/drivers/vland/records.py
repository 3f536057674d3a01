"""What VLANd knows of switches, ports and VLANs, and the changes that it makes, with types.

The requests of LAVA's client are the known ones: creating and deleting a VLAN, moving and
restoring a port, finding a switch and a port (LAVA: VLANd protocol). How a port is, and which id
a VLAN's name has, are further queries; what a daemon doesn't answer is `Untold`, and nothing is
concluded from it.
"""

from attrs import frozen

from callboard.actors.drivers.switches import TAGS, Vlan
from callboard.actors.drivers.vland.client import Client, Refused
from callboard.actors.drivers.vland.frame import brief
from callboard.actors.errors import ConfigurationError, InfrastructureError
from callboard.definition.model import Plain


class Untold(Exception):
    """The daemon doesn't answer a query that it may not know."""


@frozen
class PortRecord:
    """How a port is.

    Attributes:
        current: Id of the VLAN that it is in.
        base: Id of the one that it is in when nobody uses it.
        locked: Whether the daemon changes nothing of it, as for the infrastructure of a lab.
        trunk: Whether it carries all VLANs, and is in none.
    """

    current: int
    base: int
    locked: bool
    trunk: bool


@frozen
class Records:
    """A daemon's records; each method raises what the client does."""

    client: Client

    async def switch_id(self, name: str) -> int:
        """What the daemon calls a switch; raises ConfigurationError for one it doesn't have."""
        found = await self.client.query("db.get_switch_id_by_name", {"name": name})
        if found is None:
            raise ConfigurationError(
                f"{self.client} has no switch `{name}`; register it there, or mend `switch` in the"
                " devices file"
            )
        return self._id(found, f"switch `{name}`")

    async def port_id(self, switch: str, switch_id: int, number: int) -> int:
        """What the daemon calls a port; raises ConfigurationError for one it doesn't have."""
        asked: dict[str, Plain] = {"switch_id": switch_id, "number": number}
        found = await self.client.query("db.get_port_by_switch_and_number", asked)
        if found is None:
            raise ConfigurationError(
                f"`{switch}` has no port {number}, says {self.client}; mend `port` in the devices"
                " file"
            )
        return self._id(found, f"port {number} of `{switch}`")

    async def port(self, port_id: int) -> PortRecord:
        """How a port is; raises Untold."""
        found = await self._told("db.get_port_by_id", {"port_id": port_id})
        if not isinstance(found, dict):
            raise Untold
        current, base = found.get("current_vlan_id"), found.get("base_vlan_id")
        if type(current) is not int or type(base) is not int:
            raise Untold
        return PortRecord(current, base, bool(found.get("is_locked")), bool(found.get("is_trunk")))

    async def vlan_id(self, name: str) -> int | None:
        """What the daemon calls a VLAN, None where it has none of that name; raises Untold."""
        found = await self._told("db.get_vlan_id_by_name", {"name": name})
        if found is None or type(found) is int:
            return found
        raise Untold

    async def create(self, name: str) -> Vlan:
        """Make a VLAN, with the next tag that is free."""
        asked: dict[str, Plain] = {"name": name, "tag": -1, "is_base_vlan": False}
        match await self.client.update("api.create_vlan", asked, repeated=False):
            case [int() as vlan_id, int() as tag] if tag in TAGS and vlan_id > 0:
                return Vlan(vlan_id, tag, name)
            case found:
                raise Refused(
                    f"{self.client} has made no VLAN `{name}`: it answers {brief(found)}",
                    brief(found),
                )

    async def delete(self, vlan_id: int) -> None:
        """Remove a VLAN."""
        self._done(
            await self.client.update("api.delete_vlan", {"vlan_id": vlan_id}, repeated=False),
            f"to delete VLAN {vlan_id}",
        )

    async def move(self, port_id: int, vlan_id: int) -> None:
        """Put a port into a VLAN."""
        asked: dict[str, Plain] = {"port_id": port_id, "vlan_id": vlan_id}
        done = await self.client.update("api.set_current_vlan", asked)
        self._done(done, f"to move port {port_id}")

    async def restore(self, port_id: int) -> None:
        """Put a port back into its base VLAN."""
        done = await self.client.update("api.restore_base_vlan", {"port_id": port_id})
        self._done(done, f"to restore port {port_id}")

    async def _told(self, command: str, asked: dict[str, Plain]) -> Plain:
        try:
            return await self.client.query(command, asked)
        except Refused:
            raise Untold from None

    def _id(self, found: Plain, what: str) -> int:
        if type(found) is int:
            return found
        raise InfrastructureError(
            f"{self.client} answers {brief(found)} when asked for {what}, which is no id; its log"
            " says why"
        )

    def _done(self, found: Plain, what: str) -> None:
        """See that a change was not refused; what else is said of it means nothing."""
        if found is False:
            raise Refused(f"{self.client} refuses {what}", "false")
