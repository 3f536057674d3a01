"""The devices file: which devices a group may use, and how each is driven."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, assert_never, get_args

from attrs import field, frozen

from callboard.definition.cabling import (
    Cable,
    Wire,
    check_cables,
    has_scattered_tags,
    read_cables,
)
from callboard.definition.command_devices import CommandDevice, read_command_device
from callboard.definition.commands import Command, read_commands
from callboard.definition.composer import compose
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.findings import Findings
from callboard.definition.interfaces import Interface, made_up
from callboard.definition.lxc_devices import LxcDevice, read_lxc_device
from callboard.definition.masking import hide_passwords
from callboard.definition.model import Place, VlanInterface
from callboard.definition.network import Network, read_network
from callboard.definition.reader import Section
from callboard.definition.source import Source, read_source
from callboard.definition.ssh_devices import (
    SSH_PORT,
    SshDevice,
    read_ssh_device,
    read_ssh_port,
)
from callboard.definition.tree import MapNode, Node, kind
from callboard.definition.vland import Daemon, read_daemon

Driver = Literal["local", "lxc", "ssh", "command", "simulated"]

_DRIVERS: Mapping[str, Driver] = {each: each for each in get_args(Driver)}
_MIB = 2**20
_EXAMPLE = "write for instance `devices: {rack-1: {type: qemu, driver: local}}`"


@frozen
class LocalLimits:
    """What one local node may use of this machine.

    Attributes:
        processes: How many processes and threads may live at once.
        memory_bytes: Memory of all its processes, and of the files that it has written; None
            for 4 GiB, but at most half of the machine's.
        disk_bytes: How much it can write; None for 1 GiB, but at most a quarter of the
            machine's memory, where these files are.
    """

    processes: int = 1024
    memory_bytes: int | None = None
    disk_bytes: int | None = None


@frozen
class SimulatedDevice:
    """A device for rehearsals alone; its further keys are read by nobody."""


Means = LocalLimits | LxcDevice | SshDevice | CommandDevice | SimulatedDevice
"""What a driver needs to know to make a node of a device, a class for each driver."""

_DRIVEN: Mapping[type[Means], Driver] = {
    LocalLimits: "local",
    LxcDevice: "lxc",
    SshDevice: "ssh",
    CommandDevice: "command",
    SimulatedDevice: "simulated",
}

_WIRES: Mapping[Driver, Wire] = {
    "local": "made",
    "lxc": "made",
    "ssh": "laid",
    "command": "laid",
    "simulated": "modelled",
}


@frozen
class Device:
    """A device that a node can run on.

    Attributes:
        type: What a role's `device_type` must equal.
        means: How callboard reaches it.
        tags: Those that a role may ask for.
        ssh_port: At which port guests log in on the device.
        pre_power_command: Run for `pre-power-command` of a boot or of the LXC protocol.
        pre_os_command: The same for `pre-os-command`.
        interfaces: Its network interfaces, in its order; none where the file lists none.
    """

    name: str
    type: str
    place: Place
    means: Means = LocalLimits()
    tags: frozenset[str] = frozenset()
    ssh_port: int = SSH_PORT
    pre_power_command: tuple[Command, ...] = ()
    pre_os_command: tuple[Command, ...] = ()
    interfaces: tuple[Interface, ...] = ()

    @property
    def driver(self) -> Driver:
        """What makes a node of it."""
        return _DRIVEN[type(self.means)]

    def interfaces_for(self, vlans: Sequence[VlanInterface]) -> tuple[Interface, ...]:
        """Its interfaces; where none are listed, and nodes are made, those that a job asks for."""
        if self.interfaces or _WIRES[self.driver] == "laid":
            return self.interfaces
        return made_up(vlans)


@frozen
class DevicesFile:
    """The devices of a file, in its order.

    Attributes:
        file: Its name.
        devices: The devices.
        network: The network that the nodes are to be in.
        vland: The daemon that moves the ports of its switches; None without one.
    """

    file: str
    devices: tuple[Device, ...]
    network: Network = field(factory=Network)
    vland: Daemon | None = None


def read_devices(
    path: str | os.PathLike[str],
) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    """The devices in a file, None if it has any error, and all that is wrong with it."""
    source = read_source(path)
    return (None, (source,)) if isinstance(source, Diagnostic) else _read(source)


def _read(source: Source) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    findings = Findings(source)
    root = compose(source, findings)
    hide_passwords(root, source)
    found: DevicesFile | None = None
    if isinstance(root, MapNode):
        found = _read_file(Section(root, findings, "the devices file"))
    elif not findings.errors:
        what = "the file is empty" if root is None else f"the file holds {kind(root)}, not a map"
        findings.error("CB014", root or 0, what, _EXAMPLE)
    return (None if findings.errors else found), findings.diagnostics()


def _read_file(section: Section) -> DevicesFile:
    devices = section.required("devices", _EXAMPLE)
    network = read_network(section)
    vland = read_daemon(section)
    section.close()
    read = () if devices is None else _read_all(section, devices)
    if vland is None and "vland" not in section:
        _warn_of_unmoved(section, read)
    return DevicesFile(section.findings.source.file, read, network, vland)


def _read_all(section: Section, node: Node) -> tuple[Device, ...]:
    listed = section.section_of(node, "`devices`")
    if listed is None:
        return ()
    if not listed.node.pairs:
        section.error("CB026", listed.node, "`devices` is empty", _EXAMPLE)
    devices: list[Device] = []
    cables: list[tuple[str, Cable]] = []
    for name, key, value in listed.labels("the name of a device"):
        device = listed.section_of(value, f"device `{name[:60]}`")
        if device is None:
            continue
        found, its_cables = _read_device(device, name, key.offset)
        cables += ((name, each) for each in its_cables)
        if found is not None:
            devices.append(found)
    check_cables(cables, section)
    return tuple(devices)


def _warn_of_unmoved(section: Section, devices: Iterable[Device]) -> None:
    """Tell of interfaces on switches that nobody can move to another VLAN."""
    for device in devices:
        for each in device.interfaces:
            if each.tags and each.switch and device.driver != "simulated":
                message = f"nobody moves port {each.port} of `{each.switch}`"
                hint = "name the daemon beside `devices`, for instance `vland: {host: localhost}`"
                section.warning("CB199", section.key("devices"), message, hint)
                return


def _read_device(
    section: Section, name: str, offset: int
) -> tuple[Device | None, tuple[Cable, ...]]:
    """A device, None when something is wrong with how it is reached; and its interfaces."""
    device_type = section.string("type", required=True)
    driver = section.choice("driver", _DRIVERS) or "local"
    cables = read_cables(section, _WIRES[driver])
    tags = frozenset(() if has_scattered_tags(section) else section.strings("tags"))
    pre_power_command = read_commands(section, "pre_power_command")
    pre_os_command = read_commands(section, "pre_os_command")
    ssh_port = SSH_PORT if driver == "ssh" else read_ssh_port(section)
    means = _read_means(section, driver)
    if isinstance(means, SshDevice):
        ssh_port = means.address.port
    if means is None:
        return None, cables
    device = Device(
        name=name,
        type=device_type or "",
        place=section.findings.source.place(offset),
        means=means,
        tags=tags,
        ssh_port=ssh_port,
        pre_power_command=pre_power_command,
        pre_os_command=pre_os_command,
        interfaces=tuple(each.interface for each in cables),
    )
    return device, cables


def _read_means(section: Section, driver: Driver) -> Means | None:
    """The keys of a driver, after which a device has no others; None when they make no sense."""
    means: Means | None
    match driver:
        case "local":
            means = _read_limits(section)
        case "lxc":
            means = read_lxc_device(section)
        case "command":
            means = read_command_device(section)
        case "ssh":
            means = read_ssh_device(section)
        case "simulated":
            return SimulatedDevice()
        case _:
            assert_never(driver)
    section.close()
    return means


def _read_limits(device: Section) -> LocalLimits:
    section = device.section("limits", f"`limits` of {device.title}")
    if section is None:
        return LocalLimits()
    processes = section.integer("processes", minimum=16, maximum=4_000_000)
    memory_mib = section.integer("memory-mib", minimum=16)
    disk_mib = section.integer("disk-mib", minimum=1)
    section.close()
    return LocalLimits(
        processes=processes or LocalLimits().processes,
        memory_bytes=memory_mib * _MIB if memory_mib else None,
        disk_bytes=disk_mib * _MIB if disk_mib else None,
    )
