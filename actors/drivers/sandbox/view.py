"""A node's view of this machine: everything is there, and nothing that is done to it stays.

Each file system of the machine is seen through an overlay (Linux: overlayfs). What a node
changes goes to the upper layers, in one file system in memory that also holds its `/tmp`,
`/run` and `/dev`, and whose size is the node's limit. Namespaces hold all of it, so it vanishes
with the node's last process.
"""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.sandbox import kernel
from callboard.actors.drivers.sandbox.kernel import Mount, step
from callboard.actors.drivers.sandbox.mounts import (
    REPLACED,
    Mounts,
    read_mounts,
    way_to,
)

_BASE = Path("/tmp")
_ROOT = _BASE / "root"
_LAYERS = _BASE / "layers"
_OWN = _BASE / "own"

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

_BYTES_PER_FILE = 4096
_COPIED_BYTES = 1_048_576
_TTY_GROUP = 5
_TERMINALS = 256


@frozen
class View:
    """What one node's view depends on.

    Attributes:
        name: The node's host name.
        root: Whether callboard runs as root; else the node has one user, callboard's own.
        disk_bytes: How much the node can write.
        writable: Folders that the user can write to although others own those above them.
    """

    name: str
    root: bool
    disk_bytes: int
    writable: tuple[Path, ...] = ()


def enter(view: View) -> None:
    """Make this process's mount namespace the node's; needs new MOUNT, UTS and PID namespaces.

    Raises:
        OSError: This machine refuses a step; the text says which.
    """
    kernel.stop_propagation()
    mounts = read_mounts()
    resolver = Path("/etc/resolv.conf").resolve()
    files = view.disk_bytes // _BYTES_PER_FILE
    options = f"size={view.disk_bytes},nr_inodes={files},mode=755"
    kernel.mount("tmpfs", "callboard", _BASE, Mount.NO_SUID, options)
    _LAYERS.mkdir()
    _OWN.mkdir()
    _ROOT.mkdir()
    if view.root:
        _show_to_root(view, mounts)
    else:
        kernel.bind(_ROOT, _ROOT)
        _show_to_user(view, mounts, Path("/"))
    _own_folders(resolver)
    _show_kernel()
    _devices(view)
    _host_name(view)
    kernel.pivot_root(_ROOT)
    os.umask(0o022)


def _inside(path: Path) -> Path:
    """Where a path of the machine lies in the root that is being made."""
    return _ROOT / path.relative_to("/")


def _show_to_root(view: View, mounts: Mounts) -> None:
    """Show each file system of the machine through an overlay of its own."""
    for point in mounts.real:
        if point.is_dir():
            _show(view, point)
        elif point.is_file():  # a socket would lead out of the node
            _copy(view, point)


def _show_to_user(view: View, mounts: Mounts, folder: Path) -> None:
    """Show a folder through overlays of what is in it.

    Without root's rights the kernel makes no overlay of a folder in which something is mounted
    (mount_namespaces(7): locked mounts), so such a folder is made anew around what it holds.
    """
    if not mounts.below(folder):
        _show(view, folder)
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        return  # as it is for this user outside of the node
    for path in folder.iterdir():
        target = _inside(path)
        if path in REPLACED:
            continue
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir()
            _show_to_user(view, mounts, path)
        elif path.is_file():
            target.touch()
            kernel.bind(path, target, read_only=True)


def _show(view: View, folder: Path) -> None:
    """Show a folder with what is mounted there, so that writing leaves it as it is."""
    try:
        _overlay(view, folder)
    except OSError:
        # A file system of its own that can't be under an overlay is left out: shown as it is,
        # even read-only, its sockets and pipes would lead out of the node.
        if folder.stat().st_dev == Path("/").stat().st_dev:
            raise


def _copy(view: View, file: Path) -> None:
    """There is no overlay of a single file, so the node gets a copy, or else can only read it."""
    target = _inside(file)
    try:
        if file.stat().st_size > _COPIED_BYTES:
            raise OSError(errno.EFBIG, "too large to copy")
        content = file.read_bytes()
        target.unlink()
        target.write_bytes(content)
        _copy_mode(view, file, target)
    except OSError:
        with contextlib.suppress(OSError):
            kernel.bind(file, target, read_only=True)


def _overlay(view: View, lower: Path) -> None:
    layers = Path(tempfile.mkdtemp(dir=_LAYERS))
    upper, work = layers / "upper", layers / "work"
    upper.mkdir()
    work.mkdir()
    _copy_mode(view, lower, upper)
    for folder in _folders_to_own(view, lower):
        own = upper / folder.relative_to(lower)
        own.mkdir(parents=True, exist_ok=True)
        _copy_mode(view, folder, own)
    options = f"lowerdir={_escaped(lower)},upperdir={upper},workdir={work}"
    if not view.root:
        options += ",userxattr"
    kernel.mount("overlay", "callboard", _inside(lower), Mount.NO_DEVICES, options)


def _escaped(lower: Path) -> str:
    """A path as overlayfs reads it: it separates layers by colons and options by commas."""
    text = str(lower)
    for character in "\\:,":
        text = text.replace(character, "\\" + character)
    return text


def _folders_to_own(view: View, lower: Path) -> tuple[Path, ...]:
    """Folders that must be in the upper layer from the start, so that their user can write there.

    What belongs to users that the namespace doesn't know can't be copied up; a folder that is
    in the upper layer already needn't be.
    """
    wanted = [
        folder
        for path in view.writable
        for folder in way_to(path)
        if folder != lower and folder.is_relative_to(lower)
    ]
    return () if view.root else tuple(dict.fromkeys(wanted))


def _copy_mode(view: View, source: Path, target: Path) -> None:
    status = source.stat()
    if view.root:
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(stat.S_IMODE(status.st_mode))
    else:
        target.chmod(stat.S_IMODE(status.st_mode) & 0o1777 | 0o700)


def _own_folders(resolver: Path) -> None:
    """The node's own folders for files that don't outlive it."""
    modes = {"/tmp": 0o1777, "/run": 0o755, "/dev": 0o755}
    if Path("/var/run").is_dir() and not Path("/var/run").is_symlink():
        modes["/var/run"] = 0o755
    for name, mode in modes.items():
        own = _OWN / name.strip("/").replace("/", "-")
        own.mkdir()
        own.chmod(mode)
        target = _inside(Path(name))
        target.mkdir(parents=True, exist_ok=True)
        kernel.bind(own, target)
    for name in ("run/lock", "dev/shm", "dev/pts"):
        folder = _ROOT / name
        folder.mkdir()
        folder.chmod(0o1777 if name != "dev/pts" else 0o755)
    if resolver.is_relative_to("/run") and resolver.is_file():
        target = _inside(resolver)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
        kernel.bind(resolver, target, read_only=True)


def _show_kernel() -> None:
    """The node's own processes in /proc; the kernel's state can be read but not changed."""
    proc = _ROOT / "proc"
    proc.mkdir(exist_ok=True)
    kernel.mount("proc", "proc", proc, Mount.NO_SUID | Mount.NO_DEVICES | Mount.NO_EXEC)
    for name in _KERNEL_STATE:
        path = proc / name
        if path.exists():
            kernel.bind(path, path, read_only=True)
    sys = _ROOT / "sys"
    sys.mkdir(exist_ok=True)
    with step("showing /sys"):
        kernel.bind(Path("/sys"), sys, read_only=True)


def _devices(view: View) -> None:
    dev = _ROOT / "dev"
    for name, (major, minor) in _DEVICES.items():
        if view.root:
            # Made anew: the machine's own could be given other permissions through a bind.
            os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
            (dev / name).chmod(0o666)
        else:
            (dev / name).touch()
            kernel.bind(Path("/dev") / name, dev / name)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    options = f"newinstance,ptmxmode=666,mode=620,max={_TERMINALS}"
    if view.root:
        options += f",gid={_TTY_GROUP}"
    flags = Mount.NO_SUID | Mount.NO_EXEC
    kernel.mount("devpts", "devpts", dev / "pts", flags, options)
    # The first terminal that is opened in the node; its kernel log goes to its console, too.
    for name in ("console", "kmsg"):
        (dev / name).symlink_to("pts/0")


def _host_name(view: View) -> None:
    kernel.set_host_name(view.name)
    hosts = _ROOT / "etc/hosts"
    with contextlib.suppress(OSError):
        known = Path("/etc/hosts").read_text()
        if hosts.exists() and not view.root:
            hosts.unlink()  # another user's, which can be hidden but not changed
        hosts.write_text(f"{known.rstrip()}\n127.0.1.1 {view.name}\n")
