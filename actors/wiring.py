"""Where the interfaces of a job's device are plugged in."""

from collections.abc import Mapping, Sequence

from attrs import field, frozen

from callboard.actors.drivers.switches import Port
from callboard.definition.interfaces import Interface, made_up, match
from callboard.definition.model import VlanInterface


@frozen
class Wiring:
    """The interfaces of a device, for one job.

    Attributes:
        interfaces: All of them, primary ones too, in the device's order; each with its hardware
            address and its folder in `/sys`, as far as they are known.
        ports: The port that is for each VLAN of the job, by the VLAN's name, in the order in which
            the job has them.
    """

    interfaces: tuple[Interface, ...] = ()
    ports: Mapping[str, Port] = field(factory=dict[str, Port])


UNWIRED = Wiring()
"""That of a job without VLANs: nobody asks for its interfaces."""


def made_for(device: str, vlans: Sequence[VlanInterface]) -> Wiring:
    """The wiring of a device that is made for its job: it has an interface for each VLAN."""
    interfaces = made_up(vlans)
    chosen = match(vlans, interfaces)
    assert chosen is not None, "there is one for each"
    return wire(device, interfaces, chosen)


def wire(device: str, interfaces: tuple[Interface, ...], chosen: Mapping[str, Interface]) -> Wiring:
    """The wiring of a device.

    Args:
        device: Its name.
        interfaces: All that it has.
        chosen: The interface of each VLAN.
    """
    ports = {
        vlan: Port(device, interface.label, interface.switch, interface.port)
        for vlan, interface in chosen.items()
    }
    return Wiring(interfaces, ports)
