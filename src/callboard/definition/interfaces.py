"""Network interfaces of devices, and which of them a job's VLANs take (LAVA: VLANd protocol)."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from callboard.definition.model import Place, VlanInterface


@frozen
class Interface:
    """One network interface of a device.

    Attributes:
        label: The name that the lab gave it, which need not be the kernel's.
        tags: What it can do, for definitions to ask for; without tags it is primary: the device
            is reached through it, and it is never moved.
        mac: Its hardware address in lower case with colons; None where it is made for the run.
        sysfs: The folder of the device's `/sys` that its kernel name lies in, with a `/` at the
            end; None where it is made for the run.
        switch: Name or address of the switch that it is plugged into; None without one.
        port: The number of its port there; None without a switch.
        place: Where it is written; None where it is made for the run.
    """

    label: str
    tags: tuple[str, ...] = ()
    mac: str | None = None
    sysfs: str | None = None
    switch: str | None = None
    port: int | None = None
    place: Place | None = None

    @property
    def primary(self) -> bool:
        """Whether it stays in the network it is in."""
        return not self.tags


_UNTAGGED = ("veth",)
"""The tag of an interface that is made for a VLAN which asks for none: with one it is movable."""

MADE_HERE = "/sys/devices/virtual/net/"
"""Where the kernel has interfaces that aren't hardware."""


def match(
    vlans: Sequence[VlanInterface], interfaces: Sequence[Interface]
) -> Mapping[str, Interface] | None:
    """An interface of its own for each VLAN, none of them primary, with every tag it asks for.

    Each VLAN takes the first that fits and that none before it has (LAVA: VLANd protocol,
    configure). Where that leaves one without, others give way (augmenting paths), so that there is
    an assignment whenever there can be one.

    Args:
        vlans: The VLANs of a job, in the order written.
        interfaces: Those of its device, in the device's order.

    Returns:
        The interface of each VLAN, in the order of `vlans`; None when they can't all have one.
    """
    holder: dict[str, str] = {}
    taken: dict[str, Interface] = {}
    asked = {vlan.vlan: vlan for vlan in vlans}

    def place(vlan: VlanInterface, tried: set[str]) -> bool:
        able = [each for each in interfaces if fits(vlan, each)]
        for interface in sorted(able, key=lambda each: each.label in holder):  # free ones first
            if interface.label in tried:
                continue
            tried.add(interface.label)
            other = holder.get(interface.label)
            if other is None or place(asked[other], tried):
                holder[interface.label] = vlan.vlan
                taken[vlan.vlan] = interface
                return True
        return False

    if all(place(vlan, set()) for vlan in vlans):
        return {name: taken[name] for name in asked}
    return None


def fits(vlan: VlanInterface, interface: Interface) -> bool:
    """Whether a VLAN can have an interface: it may be moved, and has every tag."""
    return not interface.primary and set(vlan.tags) <= set(interface.tags)


def made_up(vlans: Sequence[VlanInterface]) -> tuple[Interface, ...]:
    """The interfaces of a node that is made for its job: a primary one, and one a VLAN."""
    own = (
        Interface(f"eth{number}", vlan.tags or _UNTAGGED, sysfs=MADE_HERE)
        for number, vlan in enumerate(vlans, 1)
    )
    return (Interface("eth0", sysfs=MADE_HERE), *own)
