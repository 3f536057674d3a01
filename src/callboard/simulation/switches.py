"""A model of switches, for rehearsals and for tests."""

from collections.abc import Callable, Collection

from attrs import define, field

from callboard.actors.drivers.switches import TAGS, Port, Vlan
from callboard.actors.errors import InfrastructureError


@define
class SwitchModel:
    """Any number of switches that one hand moves; satisfies `Switches`.

    Args:
        locked: Ports that nobody is to move.
        fails: Called before each change with what it is, `create`, `move`, `restore` or `delete`,
            and whom it is about; raises what is to go wrong.

    Attributes:
        vlans: Those that are there, by id.
        places: By port, the id of the VLAN that it is in; ports that are where they were at first
            have none.
    """

    locked: Collection[Port] = ()
    fails: Callable[[str, Port | Vlan | str], None] = lambda _change, _what: None
    vlans: dict[int, Vlan] = field(factory=dict[int, Vlan], init=False)
    places: dict[Port, int] = field(factory=dict[Port, int], init=False)
    _made: int = field(default=0, init=False)

    async def create(self, name: str) -> Vlan:
        """Make a VLAN with the lowest tag that is free; raises InfrastructureError."""
        self.fails("create", name)
        taken = {vlan.tag for vlan in self.vlans.values()}
        tag = next((each for each in TAGS if each not in taken), None)
        if tag is None:
            raise InfrastructureError(f"{name} can't be made: all {len(TAGS):,} tags are taken")
        self._made += 1
        vlan = self.vlans[self._made] = Vlan(self._made, tag, name)
        return vlan

    async def move(self, port: Port, vlan: Vlan) -> None:
        """Put a port into a VLAN; raises InfrastructureError."""
        self.fails("move", port)
        self._unlocked(port)
        if self.vlans.get(vlan.id) != vlan:
            raise InfrastructureError(f"there is no VLAN {vlan.name} for {port}")
        self.places[port] = vlan.id

    async def restore(self, port: Port) -> None:
        """Put a port back, if it was moved; raises InfrastructureError."""
        self.fails("restore", port)
        if port in self.places:
            self._unlocked(port)
            del self.places[port]

    async def delete(self, vlan: Vlan) -> None:
        """Remove a VLAN in which no port is; raises InfrastructureError."""
        self.fails("delete", vlan)
        if inside := [str(port) for port, place in self.places.items() if place == vlan.id]:
            raise InfrastructureError(f"{', '.join(inside)} still use {vlan.name}")
        if self.vlans.pop(vlan.id, None) is None:
            raise InfrastructureError(f"there is no VLAN {vlan.name}")

    def _unlocked(self, port: Port) -> None:
        if port in self.locked:
            raise InfrastructureError(f"{port} is locked on its switch")
