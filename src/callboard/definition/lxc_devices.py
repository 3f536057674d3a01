"""The devices-file keys of the driver `lxc`: what its containers are made from and may use."""

import re

from attrs import frozen

from callboard.definition.containers import TEMPLATES, check_recipe
from callboard.definition.reader import Section
from callboard.definition.tree import Node

_MIB = 2**20
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?(?:[=/][A-Za-z0-9.+:~-]+)?")
_PATH = re.compile(r"(?![/.]+$)/[A-Za-z0-9._/@+-]+")
"""No path to a root: a mount there would take the place of all of the container's files."""

_TEMPLATES = {template: template for template in TEMPLATES}


@frozen
class LxcLimits:
    """What one container may use of this machine; None for no limit.

    Attributes:
        processes: How many processes and threads may live at once.
        memory_bytes: Memory of all its processes.
    """

    processes: int | None = None
    memory_bytes: int | None = None


@frozen
class LxcMount:
    """A file or folder of this machine that a container sees.

    Attributes:
        source: Its absolute path here.
        target: Its absolute path in the container.
        writable: Whether the container may change it.
    """

    source: str
    target: str
    writable: bool = False


@frozen
class LxcDevice:
    """What the devices file says of a device of the driver `lxc`.

    The recipe is for jobs without a container of their own in `lava-lxc`; its defaults are those
    of a Debian container.
    """

    template: str = "debian"
    distribution: str = "debian"
    release: str = "stable"
    arch: str | None = None
    mirror: str | None = None
    security_mirror: str | None = None
    packages: tuple[str, ...] = ()
    limits: LxcLimits = LxcLimits()
    mounts: tuple[LxcMount, ...] = ()


def read_lxc_device(device: Section) -> LxcDevice:
    """Reads the keys of one device; what is wrong with them is reported."""
    known = LxcDevice()
    check_recipe(device)
    return LxcDevice(
        template=device.choice("template", _TEMPLATES) or known.template,
        distribution=device.string("distribution") or known.distribution,
        release=device.string("release") or known.release,
        arch=device.string("arch"),
        mirror=device.string("mirror"),
        security_mirror=device.string("security_mirror"),
        packages=_packages(device),
        limits=_limits(device),
        mounts=tuple(
            mount for item in device.items("mounts") if (mount := _mount(device, item)) is not None
        ),
    )


def _packages(device: Section) -> tuple[str, ...]:
    packages = device.strings("packages")
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            node = device.get("packages") or device.node
            message = f"{device.title} can't install a package called `{package[:60]}`"
            device.error("CB126", node, message, "name Debian packages, such as `iperf3`")
    return packages


def _limits(device: Section) -> LxcLimits:
    section = device.section("limits", f"`limits` of {device.title}")
    if section is None:
        return LxcLimits()
    processes = section.integer("processes", minimum=16, maximum=4_000_000)
    memory_mib = section.integer("memory-mib", minimum=16)
    section.close()
    return LxcLimits(processes, memory_mib * _MIB if memory_mib else None)


def _mount(device: Section, item: Node) -> LxcMount | None:
    section = device.section_of(item, f"a mount of {device.title}")
    if section is None:
        return None
    source = section.string("source", required=True)
    target = section.string("target", required=True)
    writable = section.boolean("writable", default=False)
    section.close()
    for key, path in (("source", source), ("target", target)):
        if path is not None and (not _PATH.fullmatch(path) or ".." in path.split("/")):
            node = section.get(key) or section.node
            message = f"`{key}` of a mount of {device.title} can't be `{path[:60]}`"
            hint = "write an absolute path of letters, digits and `._/@+-`, without `..`"
            section.error("CB127", node, message, hint)
            return None
    return LxcMount(source, target, writable) if source and target else None
