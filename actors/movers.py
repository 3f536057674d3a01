"""What moves the interfaces of a group between its VLANs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from attrs import frozen

from callboard.actors.allocation import wired
from callboard.actors.drivers.switches import Port
from callboard.actors.wiring import UNWIRED, Wiring, made_for, wire
from callboard.definition.devices import Device
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import NodeJob, VlanInterface

Mover = Literal["vland", "bridge"]
"""What moves interfaces: the daemon those that are plugged into switches, bridges all others."""

_UNMOVED, _DIVIDED = "CB247", "CB248"


@frozen
class Site:
    """Where a job with VLANs runs.

    Attributes:
        job: The job.
        name: Name of the device.
        device: What the devices file says of it; None where it is made for the job.
    """

    job: NodeJob
    name: str
    device: Device | None

    @property
    def wiring(self) -> Wiring:
        """The device's wiring; it serves the job, where it isn't made for it."""
        vlans = self.job.vlans
        if not vlans:
            return UNWIRED
        if self.device is None:
            return made_for(self.name, vlans)
        chosen = wired(self.device, self.job)
        assert chosen is not None, "devices are chosen by that"
        return wire(self.name, self.device.interfaces_for(vlans), chosen)


def movers(wirings: Iterable[Wiring]) -> Mapping[str, Mover]:
    """By the name of each VLAN, what moves the ports that are for it; none of them is divided."""
    return {
        vlan: "bridge" if port.switch is None else "vland"
        for wiring in wirings
        for vlan, port in wiring.ports.items()
    }


def unmoved(sites: Sequence[Site], *, daemon: bool) -> Iterator[Diagnostic]:
    """The VLANs that the interfaces of a choice of devices can't be moved into.

    Args:
        sites: Where the jobs of a group run.
        daemon: Whether there is one that moves ports of switches.
    """
    ports: dict[str, list[Port]] = {}
    wanted: dict[str, VlanInterface] = {}
    for site in sites:
        found = site.wiring.ports
        for vlan in site.job.vlans:
            wanted.setdefault(vlan.vlan, vlan)
            ports.setdefault(vlan.vlan, []).append(found[vlan.vlan])
    for name, vlan in wanted.items():
        plugged = [port for port in ports[name] if port.switch is not None]
        made = [port for port in ports[name] if port.switch is None]
        if plugged and not daemon:
            message = f"nobody moves {plugged[0]} into the VLAN `{name}`"
            hint = "name the daemon in the devices file, for instance `vland: {host: localhost}`"
            yield Diagnostic(_UNMOVED, "error", message, vlan.place, hint, role=vlan.role)
        if plugged and made:
            message = f"nothing connects {plugged[0]} with {made[0]} in the VLAN `{name}`"
            hint = "give a `switch` to all interfaces that are for the VLAN, or to none of them"
            yield Diagnostic(_DIVIDED, "error", message, vlan.place, hint, role=vlan.role)
