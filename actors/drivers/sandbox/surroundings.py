"""What a node sees of the kernel: processes, settings, network interfaces and devices."""

import os
import stat
from pathlib import Path

from callboard.actors.drivers.sandbox import kernel
from callboard.actors.drivers.sandbox.kernel import Mount, step

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_KERNEL_STATE = ("acpi", "asound", "bus", "fs", "irq", "mtrr", "scsi", "sys", "sysrq-trigger")
"""What below /proc changes the machine when root writes to it."""

_CGROUPS = Path("/sys/fs/cgroup")
_TTY_GROUP = 5
_TERMINALS = 256


def show_kernel(root: Path, *, connected: bool) -> tuple[str, ...]:
    """The node's own processes in /proc; the kernel's state can be read but not changed.

    Settings of the node's own network can be changed: they are nobody else's.

    Args:
        root: Where the root of the node is being made.
        connected: Whether it has a network namespace of its own.

    Returns:
        What this machine doesn't let it have.

    Raises:
        OSError: This machine refuses a step; the text says which.
    """
    proc = root / "proc"
    proc.mkdir(exist_ok=True)
    kernel.mount("proc", "proc", proc, Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXEC)
    for name in _KERNEL_STATE:
        path = proc / name
        if path.exists():
            kernel.bind(path, path, read_only=True)
    if connected:
        settings = proc / "sys/net"
        kernel.bind(settings, settings)
        kernel.make_writable(settings)
    sys = root / "sys"
    sys.mkdir(exist_ok=True)
    refusal = _show_interfaces(sys) if connected else None
    if connected and refusal is None:
        return ()
    with step("showing /sys"):
        kernel.bind(Path("/sys"), sys, read_only=True)
    return () if refusal is None else (f"a /sys with its own interfaces ({refusal})",)


def _show_interfaces(sys: Path) -> str | None:
    """A /sys with the interfaces of this network namespace; returns what refused it."""
    try:
        kernel.mount("sysfs", "sysfs", sys, Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXEC)
    except OSError as error:  # where part of the machine's own is hidden, as in many containers
        return error.strerror
    if _CGROUPS.is_dir() and any(_CGROUPS.iterdir()):
        kernel.bind(_CGROUPS, sys / "fs/cgroup")
    kernel.make_read_only(sys)
    return None


def make_devices(dev: Path, *, root: bool) -> None:
    """Make the devices that a node has in `dev`; as root they are made anew. Raises OSError."""
    for name, (major, minor) in _DEVICES.items():
        if root:
            # Made anew: the machine's own could be given other permissions through a bind.
            os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            (dev / name).chmod(0o666)
        else:
            (dev / name).touch()
            kernel.bind(Path("/dev") / name, dev / name)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    options = f"newinstance,ptmxmode=666,mode=620,max={_TERMINALS}"
    if root:
        options += f",gid={_TTY_GROUP}"
    flags = Mount.NO_SUID | Mount.NO_EXEC
    kernel.mount("devpts", "devpts", dev / "pts", flags, options)
    # The first terminal that is opened in the node; its kernel log goes to its console, too.
    for name in ("console", "kmsg"):
        (dev / name).symlink_to("pts/0")
