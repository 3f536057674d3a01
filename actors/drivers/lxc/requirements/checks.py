"""The checks of a machine, causes first."""

from collections.abc import Collection, Iterator, Sequence

from callboard.actors.drivers.lxc.requirements.machine import Machine
from callboard.actors.drivers.lxc.requirements.network import network
from callboard.actors.drivers.lxc.requirements.requirement import Requirement, as_root, install
from callboard.definition.containers import TEMPLATES

TOOLS = (
    "lxc-attach",
    "lxc-copy",
    "lxc-create",
    "lxc-destroy",
    "lxc-info",
    "lxc-ls",
    "lxc-start",
    "lxc-stop",
)

_FOLDER = "usr/share/lxc/templates"
_PACKAGES = {"debian": "lxc-templates", "ubuntu": "lxc-templates"}

# Templates are shell scripts, and say little when a program is not there.
_PROGRAMS = {
    "busybox": ("busybox",),
    "debian": ("debootstrap", "openssl", "rsync"),
    "download": (),
    "ubuntu": ("debootstrap", "openssl", "rsync"),
}
# Without it Debian's packages install, but updates of security are looked for at a wrong place,
# and `apt-get update` fails.
_BETTER = {"debian": ("distro-info",)}
_PROVIDERS = {"busybox": "busybox-static"}

_SYS_ADMIN = 21
_OUTSIDE = "run callboard on the machine itself, or start the container that it is in"
_CONTROLLERS = ("memory", "pids")


def missing(
    templates: Collection[str] = (), machine: Machine | None = None
) -> Sequence[Requirement]:
    """What this machine lacks of what containers can't do without, causes first.

    Args:
        templates: From which the containers are to be made, any of those of a definition.
        machine: Another one than this.
    """
    found = requirements(machine or Machine(), templates)
    return [each for each in found if each.needed and not each.met]


def requirements(machine: Machine, templates: Collection[str] = TEMPLATES) -> Iterator[Requirement]:
    """Everything that containers want of a machine; what follows from another one is left out.

    Args:
        machine: The machine.
        templates: From which containers are to be made.
    """
    yield _rights(machine)
    tools = _tools(machine)
    yield tools
    if tools.met:
        if templates:
            yield _templates(machine, templates)
        yield from network(machine)
    yield _overlays(machine)
    yield _cgroups(machine)
    yield _ids(machine)


def _rights(machine: Machine) -> Requirement:
    name = "containers"
    if not machine.is_root:
        detail = "only root makes them, and you are an ordinary user"
        return Requirement(name, False, detail, "run callboard as root")
    if machine.read("proc/self/uid_map").split()[:2] not in ([], ["0", "0"]):
        detail = "this root is one of its user namespace only"
        return Requirement(name, False, detail, "run callboard as root of the machine itself")
    if not _may_administrate(machine):
        cure = f"{_OUTSIDE} with CAP_SYS_ADMIN (docker run --privileged)"
        return Requirement(name, False, "this root lacks CAP_SYS_ADMIN", cure)
    return Requirement(name, True, "made as root, privileged")


def _may_administrate(machine: Machine) -> bool:
    for line in machine.read("proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _SYS_ADMIN & 1)
    return True


def _tools(machine: Machine) -> Requirement:
    name = "container tools"
    lacking = _lacking(machine, TOOLS)
    packages = ["lxc"] if lacking else []
    if machine.tool("ip") is None:
        lacking.append("ip")
        packages.append("iproute2")
    if not lacking:
        return Requirement(name, True, "lxc-create and the others")
    if len(lacking) >= len(TOOLS):
        # a machine without any is one on which nobody has thought of containers yet
        packages += ["lxc-templates", "busybox-static", "debootstrap", "distro-info", "rsync"]
        detail = f"LXC is not installed: there is no {_and(lacking)}"
    else:
        detail = f"{_and(lacking)} {_is(lacking)} not installed"
    cure = as_root(machine, install(machine, *packages))
    return Requirement(name, False, detail, cure)


def _templates(machine: Machine, templates: Collection[str]) -> Requirement:
    name = "container templates"
    details, packages = [], []
    needed = False
    for template in sorted(templates):
        if not machine.exists(f"{_FOLDER}/lxc-{template}"):
            details.append(f"`{template}` is not in /{_FOLDER}")
            packages.append(_PACKAGES.get(template, "lxc"))
            needed = True
        lacking = _lacking(machine, _PROGRAMS[template])
        needed = needed or bool(lacking)
        lacking += _lacking(machine, _BETTER.get(template, ()))
        if lacking:
            details.append(f"`{template}` needs {_and(lacking)}")
            packages += [_PROVIDERS.get(each, each) for each in lacking]
    if not details:
        return Requirement(name, True, _and(sorted(templates)))
    cure = as_root(machine, install(machine, *dict.fromkeys(packages)))
    return Requirement(name, False, "; ".join(details), cure, needed=needed)


def _lacking(machine: Machine, tools: Sequence[str]) -> list[str]:
    return [each for each in tools if machine.tool(each) is None]


def _overlays(machine: Machine) -> Requirement:
    name = "container overlays"
    if "overlay" in machine.read("proc/filesystems").split():
        return Requirement(name, True, "a container is a layer over its base")
    release = machine.read("proc/sys/kernel/osrelease").strip()
    known = ("modules.dep", "modules.builtin")
    # the kernel loads it with the first mount
    if any("/overlay.ko" in machine.read(f"lib/modules/{release}/{each}") for each in known):
        return Requirement(name, True, "a container is a layer over its base; not loaded yet")
    detail = "the kernel has no overlayfs, of which containers are made"
    return Requirement(name, False, detail, as_root(machine, "modprobe overlay"))


def _cgroups(machine: Machine) -> Requirement:
    name = "container cgroups"
    lines = (each.split() for each in machine.read("proc/self/mounts").splitlines())
    mounts = [
        (point, set(options.split(",")))
        for _, point, kind, options, *_rest in lines
        if kind in {"cgroup", "cgroup2"}
    ]
    if not mounts:
        detail = "no cgroups are mounted, in which containers live"
        cure = as_root(machine, "mount -t cgroup2 cgroup2 /sys/fs/cgroup")
        return Requirement(name, False, detail, cure)
    usable = [(point, options) for point, options in mounts if "rw" in options]
    if not usable:
        detail = "cgroups, in which containers live, can't be written here"
        cure = f"{_OUTSIDE} with writable cgroups (docker run --privileged)"
        return Requirement(name, False, detail, cure)
    known = set[str]()
    for point, options in usable:
        known |= options | set(machine.read(f"{point.strip('/')}/cgroup.controllers").split())
    lacking = [each for each in _CONTROLLERS if each not in known]
    if lacking:
        detail = f"without {_and(lacking)}, so that containers can't be limited in that"
        cure = f"boot Linux with {' '.join(f'cgroup_enable={each}' for each in lacking)}"
        return Requirement(name, False, detail, cure, needed=False)
    return Requirement(name, True, "memory and processes of a container can be limited")


def _ids(machine: Machine) -> Requirement:
    name = "container user ids"
    files = ("etc/subuid", "etc/subgid")
    lacking = [each for each in files if not _has_range(machine.read(each))]
    if not lacking and machine.tool("newuidmap"):
        return Requirement(name, True, "root has subordinate ids; privileged containers need none")
    detail = "root has no subordinate ids; only unprivileged containers need them"
    commands = [f"echo root:100000:65536 >> /{each}" for each in lacking]
    if machine.tool("newuidmap") is None:
        commands.insert(0, install(machine, "uidmap"))
    cure = as_root(machine, "; ".join(commands))
    return Requirement(name, False, detail, cure, needed=False)


def _has_range(text: str) -> bool:
    return any(line.split(":")[0] in {"root", "0"} for line in text.splitlines())


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
