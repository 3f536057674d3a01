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
from collections.abc import Set
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.sandbox import kernel, surroundings
from callboard.actors.drivers.sandbox.kernel import Mount
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

_BYTES_PER_FILE = 4096
_COPIED_BYTES = 1_048_576


@frozen
class OwnNetwork:
    """What is seen of a network that a node has to itself.

    Attributes:
        hosts: Lines for its `/etc/hosts`.
        resolver: The text of its resolver file; None leaves it as it is on this machine.
    """

    hosts: str
    resolver: str | None


@frozen
class View:
    """What one node's view depends on.

    Attributes:
        name: The node's host name.
        root: Whether callboard runs as root; else the node has one user, callboard's own.
        disk_bytes: How much the node can write.
        writable: Folders that the user can write to although others own those above them.
        network: Its own one; None where it is in the machine's.
    """

    name: str
    root: bool
    disk_bytes: int
    writable: tuple[Path, ...] = ()
    network: OwnNetwork | None = None


def enter(view: View) -> tuple[str, ...]:
    """Make this process's mount namespace the node's; needs new MOUNT, UTS and PID namespaces.

    Returns:
        What this machine doesn't let the node have, a sentence each.

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
    lacking = surroundings.show_kernel(_ROOT, connected=view.network is not None)
    surroundings.make_devices(_ROOT / "dev", root=view.root)
    _host_name(view)
    _resolver(view)
    kernel.pivot_root(_ROOT)
    os.umask(0o022)
    return lacking


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


def _host_name(view: View) -> None:
    kernel.set_host_name(view.name)
    # In its own network a node is known to itself by the name that the others have for it.
    known = ""
    with contextlib.suppress(OSError):
        known = Path("/etc/hosts").read_text().rstrip() + "\n"
    try:
        if view.network is not None:
            own = view.network.hosts
            names = {each for line in own.splitlines() for each in line.split()[1:]}
            _replace(_ROOT / "etc/hosts", _without(known, names) + own)
        else:
            _replace(_ROOT / "etc/hosts", f"{known}127.0.1.1 {view.name}\n")
    except OSError:
        if view.network is not None:
            raise


def _without(hosts: str, names: Set[str]) -> str:
    """The machine's lines but for names that are the group's: a resolver takes both, as one."""
    kept: list[str] = []
    for line in hosts.splitlines():
        address, *known = line.partition("#")[0].split() or [""]
        left = [each for each in known if each not in names]
        if left == known:
            kept.append(line)
        elif left:
            kept.append(" ".join([address, *left]))
    return "".join(f"{line}\n" for line in kept)


def _resolver(view: View) -> None:
    """The resolver file, where the machine's is of no use in the node's own network."""
    if view.network is not None and view.network.resolver is not None:
        _replace(_ROOT / "etc/resolv.conf", view.network.resolver)


def _replace(file: Path, text: str) -> None:
    """Give a node its own text for a file, which may be another user's, a link, or mounted."""
    try:
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
        file.write_text(text)
    except OSError:
        own = _OWN / file.name
        own.write_text(text)
        kernel.bind(own, file)
