"""Which network the nodes of a group are in, and when they can't be in it."""

from collections.abc import Iterator

from callboard.definition.devices import DevicesFile, LocalLimits
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.interfaces import Interface
from callboard.definition.lxc_devices import LxcDevice
from callboard.definition.model import Definition, VlanInterface
from callboard.definition.network import NetworkKind


def is_movable(interface: Interface) -> bool:
    """Whether an interface of a node that is made here is moved by this machine."""
    return not interface.primary and interface.switch is None


def kind_of(wanted: NetworkKind | None, devices: DevicesFile | None) -> NetworkKind | None:
    """The network that somebody asks for: the command line, else the devices file, else nobody."""
    return wanted or (devices.network.kind if devices is not None else None)


def network_problems(
    definition: Definition,
    devices: DevicesFile | None,
    wanted: NetworkKind | None,
    *,
    sandbox: bool,
) -> Iterator[Diagnostic]:
    """What of a definition contradicts the network that its nodes are to be in.

    Args:
        definition: The definition.
        devices: The devices to choose from; None gives every node a device of its own.
        wanted: What the command line says.
        sandbox: Whether local nodes are throw-away.
    """
    kind = kind_of(wanted, devices)
    found = (each for each in definition.vlans if _is_moved_here(definition, devices, each))
    vlan = next(found, None)
    if kind == "host" and vlan is not None:
        yield Diagnostic(
            "CB241",
            "error",
            f"`{vlan.vlan}` needs an interface of its own, but the network is to be this machine's",
            vlan.place,
            hint="leave out `--network host`, or `network: host` of the devices file",
            role=vlan.role,
        )
    if not sandbox and (kind == "group" or (kind is None and vlan is not None)):
        yield Diagnostic(
            "CB244",
            "error",
            "nodes without sandbox are in this machine's network, not in one of the group",
            None if vlan is None or kind == "group" else vlan.place,
            hint="leave out `--no-sandbox`",
        )


def _is_moved_here(
    definition: Definition, devices: DevicesFile | None, vlan: VlanInterface
) -> bool:
    """Whether a VLAN may be of a node that is made here, and whose interface is moved here."""
    role = next((each for each in definition.roles if each.name == vlan.role), None)
    if role is None or role.connection is not None:
        return False
    if devices is None:
        return True
    return any(
        isinstance(each.means, (LocalLimits, LxcDevice))
        and any(is_movable(found) for found in each.interfaces_for([vlan]))
        for each in devices.devices
        if each.type == role.device_type
    )
