"""Why a machine makes no sandboxes, and what its owner can do about it."""

import errno
import os
from pathlib import Path

_SYS_ADMIN = 21
_SYSCTL = Path("/proc/sys")
_REFUSED = (errno.EPERM, errno.EACCES)


def cure(error: OSError) -> str:
    """What would let this machine do the step that it has refused, in one sentence."""
    step = error.strerror or ""
    if os.geteuid() == 0:
        if not _may_administrate():
            return (
                "this root lacks CAP_SYS_ADMIN, as in most containers: start the container with "
                "that capability, or run on the machine itself"
            )
    elif _read("user/max_user_namespaces") == "0":
        return "as root: sysctl -w user.max_user_namespaces=15000"
    elif _read("kernel/unprivileged_userns_clone") == "0":
        return "as root: sysctl -w kernel.unprivileged_userns_clone=1"
    elif _read("kernel/apparmor_restrict_unprivileged_userns") == "1" and error.errno in _REFUSED:
        return "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    elif "user namespace" in step:
        return "run as root, or on a machine (not in a container) that allows user namespaces"
    if "overlay" in step:
        if error.errno == errno.ENODEV:
            return "as root: modprobe overlay"
        return "run as root, or with Linux 5.11 or later, which lets users mount overlays"
    if error.errno == errno.ENOSYS:
        return "callboard's sandbox needs Linux 5.12 or later"
    return "run as root on a machine with Linux 5.12 or later, and not in a container"


def _may_administrate() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _SYS_ADMIN & 1)
    return False


def _read(name: str) -> str | None:
    try:
        return (_SYSCTL / name).read_text().strip()
    except OSError:
        return None
