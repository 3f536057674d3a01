"""The devices file: which devices a group may use, and how each is driven."""

import os
from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from callboard.definition.composer import compose
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.findings import Findings
from callboard.definition.model import Place, Plain
from callboard.definition.reader import Section
from callboard.definition.source import Source, read_source
from callboard.definition.tree import MapNode, kind, plain

Driver = Literal["local", "lxc", "ssh", "command", "simulated"]

_DRIVERS: Mapping[str, Driver] = {
    "local": "local",
    "lxc": "lxc",
    "ssh": "ssh",
    "command": "command",
    "simulated": "simulated",
}
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
class Device:
    """A device that a node can run on.

    Attributes:
        type: What a role's `device_type` must equal.
        driver: How callboard reaches it.
        tags: Those that a role may ask for.
        options: The driver's own keys, as plain data.
        limits: What a node of the driver `local` may use.
    """

    name: str
    type: str
    place: Place
    driver: Driver = "local"
    tags: frozenset[str] = frozenset()
    options: Mapping[str, Plain] = field(factory=dict[str, Plain])
    limits: LocalLimits = LocalLimits()


@frozen
class DevicesFile:
    """The devices of a file, in its order."""

    file: str
    devices: tuple[Device, ...]


def read_devices(
    path: str | os.PathLike[str],
) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    """The devices in a file, None if it has any error, and all that is wrong with it."""
    source = read_source(path)
    return (None, (source,)) if isinstance(source, Diagnostic) else _read(source)


def _read(source: Source) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    findings = Findings(source)
    root = compose(source, findings)
    devices: tuple[Device, ...] = ()
    if isinstance(root, MapNode):
        devices = _read_all(Section(root, findings, "the devices file"))
    elif not findings.errors:
        what = "the file is empty" if root is None else f"the file holds {kind(root)}, not a map"
        findings.error("CB014", root or 0, what, _EXAMPLE)
    found = DevicesFile(source.file, devices)
    return (None if findings.errors else found), findings.diagnostics()


def _read_all(section: Section) -> tuple[Device, ...]:
    node = section.required("devices", _EXAMPLE)
    listed = None if node is None else section.section_of(node, "`devices`")
    section.close()
    if listed is None:
        return ()
    if not listed.node.pairs:
        section.error("CB026", listed.node, "`devices` is empty", _EXAMPLE)
    devices: list[Device] = []
    for name, key, value in listed.labels("the name of a device"):
        device = listed.section_of(value, f"device `{name[:60]}`")
        if device is not None:
            devices.append(_read_device(device, name, key.offset))
    return tuple(devices)


def _read_device(section: Section, name: str, offset: int) -> Device:
    device_type = section.string("type", required=True)
    driver = section.choice("driver", _DRIVERS) or "local"
    tags = frozenset(section.strings("tags"))
    limits = LocalLimits()
    if driver == "local":
        limits = _read_limits(section)
        section.close()
    known = {"type", "driver", "tags", "limits"}
    return Device(
        name=name,
        type=device_type or "",
        place=section.findings.source.place(offset),
        driver=driver,
        tags=tags,
        limits=limits,
        options={
            key.text: plain(value) for key, value in section.node.pairs if key.text not in known
        },
    )


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
