"""System calls that make namespaces and mounts, which Python's library does not have.

All raise OSError with the step in words, so that whoever reads it knows what this machine
refused. The numbers are the kernel's own and the same on every architecture (Linux: uapi).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum, IntFlag
from pathlib import Path

# The interpreter stays locked during a call: these processes have one thread, and a child that
# is cloned must find the lock as its parent had it.
_libc = ctypes.PyDLL(None, use_errno=True)

_SYS_CLONE3 = 435
_SYS_MOUNT_SETATTR = 442
_SIGCHLD = 17
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MNT_DETACH = 2
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_SECCOMP_FILTER = 2
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION = 0x20080522


class Namespace(IntFlag):
    """What a process can have of its own (namespaces(7))."""

    MOUNT = 0x00020000
    CGROUP = 0x02000000
    UTS = 0x04000000
    IPC = 0x08000000
    USER = 0x10000000
    PID = 0x20000000
    NET = 0x40000000


class Mount(IntFlag):
    """Flags of a mount (mount(2))."""

    NONE = 0
    READ_ONLY = 1
    NO_SUID = 2
    NO_DEVICES = 4
    NO_EXEC = 8
    BIND = 0x1000
    RECURSIVE = 0x4000
    PRIVATE = 0x40000


class Capability(IntEnum):
    """What somebody on a node may do (capabilities(7)); everything else is taken from everybody.

    None of these reaches beyond the node's files, processes and sockets, and the network that
    it may have of its own. DAC_READ_SEARCH is not among them: it opens files by handle, past all
    mounts.
    """

    CHOWN = 0
    DAC_OVERRIDE = 1
    FOWNER = 3
    FSETID = 4
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    IPC_LOCK = 14
    SYS_CHROOT = 18
    AUDIT_WRITE = 29
    SETFCAP = 31


OF_NETWORK = frozenset({Capability.NET_BIND_SERVICE, Capability.NET_ADMIN, Capability.NET_RAW})
"""What everybody may do in a network that is the node's own."""

OF_ROOT = frozenset(Capability) - {Capability.NET_ADMIN}
"""What a node's root may do where the network is the machine's."""


class _CloneArguments(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
        )
    ]


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


class _MountAttributes(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")
    ]


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what was being done when the machine refused: raises OSError `what: reason`."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{what}: {error.strerror}") from error


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def clone(namespaces: Namespace) -> int:
    """Fork a child that lives in new namespaces; returns its process id, 0 in the child."""
    arguments = _CloneArguments(flags=int(namespaces), exit_signal=_SIGCHLD)
    ctypes.pythonapi.PyOS_BeforeFork()
    child = _libc.syscall(_SYS_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if child == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _checked(child, "making a process in namespaces of its own")


def unshare(namespaces: Namespace) -> None:
    """Put this process into new namespaces."""
    what = "making a user namespace" if namespaces & Namespace.USER else "making a namespace"
    _checked(_libc.unshare(int(namespaces)), what)


def enter_network(namespace: int) -> None:
    """Put this process into a network namespace that is open."""
    _checked(_libc.setns(namespace, int(Namespace.NET)), "entering a network namespace")


def enter_users(namespace: int) -> None:
    """Put this process into a user namespace that is open, and let it be almighty there."""
    _checked(_libc.setns(namespace, int(Namespace.USER)), "entering a user namespace")


def be_the_same_user(uid: int, gid: int) -> None:
    """In a new user namespace: be whom one was outside, and nobody else."""
    with step("mapping this user into a user namespace"):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def mount(
    kind: str, source: str, target: Path, flags: Mount = Mount.NONE, options: str = ""
) -> None:
    """Mount a file system of that kind."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), int(flags), os.fsencode(options)
    )
    _checked(result, f"mounting {kind} at {target}")


def bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    """Show `source`, with all that is mounted below it, at `target` too."""
    flags = Mount.BIND | Mount.RECURSIVE
    result = _libc.mount(os.fsencode(source), os.fsencode(target), None, int(flags), None)
    _checked(result, f"binding {source}")
    if read_only:
        make_read_only(target)


def make_read_only(target: Path) -> None:
    """Let nobody write to what is mounted at `target` and below."""
    flags = Mount.READ_ONLY | Mount.NO_SUID | Mount.NO_DEVICES
    attributes = _MountAttributes(attr_set=int(flags))
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _checked(result, f"making {target} read-only")


def make_writable(target: Path) -> None:
    """Let those who may write to what is mounted at `target`, which was read-only."""
    attributes = _MountAttributes(attr_clr=int(Mount.READ_ONLY))
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(target),
        0,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _checked(result, f"making {target} writable")


def stop_propagation() -> None:
    """Let no mount of this namespace appear in another one, and none of another one here."""
    flags = int(Mount.RECURSIVE | Mount.PRIVATE)
    _checked(_libc.mount(None, b"/", None, flags, None), "making all mounts private")


def pivot_root(root: Path) -> None:
    """Make the mount at `root` this namespace's root, and let go of the old one."""
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"."), "changing the root")
    _checked(_libc.umount2(b".", _MNT_DETACH), "letting go of the old root")
    os.chdir("/")


def set_host_name(name: str) -> None:
    """Set the name that this UTS namespace gives its machine."""
    encoded = name.encode()
    _checked(_libc.sethostname(encoded, len(encoded)), "setting the host name")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "tying the process to its parent")


def be_unreadable() -> None:
    """Let no process trace this one or read its memory, not even one of the same user."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "hiding the process")


def set_filter(program: "Sequence[ctypes.Structure]") -> None:
    """Have every system call of this process and its children go through a BPF program."""
    instructions = (type(program[0]) * len(program))(*program)
    header = _FilterProgram(len(program), ctypes.cast(instructions, ctypes.c_void_p))
    result = _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_FILTER, ctypes.byref(header), 0, 0)
    _checked(result, "filtering system calls")


def keep_capabilities(kept: Iterable[Capability], *, passed_on: bool = False) -> None:
    """Give up every other capability, for this process and all that it ever starts.

    Args:
        kept: Those that it may keep, if it has them.
        passed_on: Whether programs that it starts have them although they aren't root's.
    """
    numbers = frozenset(kept)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for number in range(last + 1):
        if number not in numbers:
            result = _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
            _checked(result, "limiting the node's capabilities")
    _checked(
        _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0),
        "clearing ambient capabilities",
    )
    _set_capabilities(numbers, passed_on=passed_on)


def pass_on_capabilities() -> None:
    """Let programs that this process starts have its capabilities although they aren't root's."""
    status = Path("/proc/self/status").read_text()
    held = int(status.split("CapPrm:", 1)[1].split(maxsplit=1)[0], 16)
    numbers = frozenset(each for each in range(held.bit_length()) if held >> each & 1)
    _set_capabilities(numbers, passed_on=True)


def _set_capabilities(numbers: frozenset[int], *, passed_on: bool) -> None:
    mask = sum(1 << number for number in numbers)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    # Effective, permitted, inheritable: first the lower halves, then the upper ones.
    inherited = (low, high) if passed_on else (0, 0)
    data = (ctypes.c_uint32 * 6)(low, low, inherited[0], high, high, inherited[1])
    _checked(_libc.capset(header, data), "giving up capabilities")
    for number in sorted(numbers) if passed_on else ():
        result = _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0)
        _checked(result, "passing on capabilities")
