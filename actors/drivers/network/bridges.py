"""VLANs without switches: a plain bridge for each, in the segment."""

from attrs import define, field

from callboard.actors.drivers.segment import Segment
from callboard.actors.drivers.switches import TAGS, Port, Vlan
from callboard.actors.errors import InfrastructureError


@define
class Bridges:
    """The switches of nodes that are made on this machine; satisfies `Switches`.

    Interfaces in VLANs are plugged in nowhere at first, and again when they are restored.

    Args:
        segment: Where the interfaces end.
    """

    _segment: Segment
    _vlans: dict[int, Vlan] = field(factory=dict[int, Vlan], init=False)
    _places: dict[Port, int] = field(factory=dict[Port, int], init=False)

    async def create(self, name: str) -> Vlan:
        """Make a VLAN, with the lowest tag that is free; raises InfrastructureError."""
        tag = next((each for each in TAGS if each not in self._vlans), None)
        if tag is None:
            raise InfrastructureError(
                f"VLAN {name} can't be made: all {len(TAGS):,} tags are taken"
            )
        vlan = self._vlans[tag] = Vlan(tag, tag, name)
        bridge = _bridge(vlan)
        try:
            await self._ip(
                f"link add {bridge} type bridge",
                f"link set {bridge} alias {name} addrgenmode none up",
            )
        except OSError as error:
            del self._vlans[tag]
            raise InfrastructureError(f"VLAN {name} can't be made: {error}") from error
        return vlan

    async def move(self, port: Port, vlan: Vlan) -> None:
        """Put an interface into a VLAN, whether traffic runs or not; raises InfrastructureError."""
        if self._vlans.get(vlan.tag) != vlan:
            raise InfrastructureError(f"{port} can't be in VLAN {vlan.name}, which is not there")
        await self._plug(port, _bridge(vlan), f"{port} can't be put into VLAN {vlan.name}")
        self._places[port] = vlan.tag

    async def restore(self, port: Port) -> None:
        """Plug an interface in nowhere; raises InfrastructureError."""
        if port in self._places:
            await self._plug(port, None, f"{port} can't be taken out of its VLAN")
            del self._places[port]

    async def delete(self, vlan: Vlan) -> None:
        """Remove a VLAN; raises InfrastructureError, also where an interface is in it."""
        if self._vlans.get(vlan.tag) != vlan:
            return
        if left := [str(port) for port, tag in self._places.items() if tag == vlan.tag]:
            raise InfrastructureError(f"VLAN {vlan.name} is still used by {', '.join(left)}")
        try:
            await self._ip(f"link delete {_bridge(vlan)}")
        except OSError as error:
            raise InfrastructureError(f"VLAN {vlan.name} can't be removed: {error}") from error
        del self._vlans[vlan.tag]

    async def _plug(self, port: Port, bridge: str | None, failure: str) -> None:
        try:
            await self._segment.plug(port.device, port.interface, bridge)
        except KeyError:
            text = f"{port} ends in no network of this machine"
            raise InfrastructureError(text) from None
        except OSError as error:
            raise InfrastructureError(f"{failure}: {error}") from error

    async def _ip(self, *lines: str) -> None:
        given = "".join(f"{each}\n" for each in lines)
        await self._segment.execute("ip", "-batch", "-", given=given)


def _bridge(vlan: Vlan) -> str:
    return f"vlan{vlan.tag}"
