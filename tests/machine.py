"""Compares the machine before and after the whole suite: nothing of it may have changed.

    python -m tests.machine save FILE
    python -m tests.machine compare FILE

What is looked at: files below /etc, /usr, /var, /root and others with their modes, owners,
sizes and times; what could be callboard's in /tmp and /run; mounts; processes; settings of the
kernel; cgroups; containers, wherever tests make them, with their locks; network links.
"""

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

_FOLDERS = ("/etc", "/usr", "/var", "/root", "/home", "/opt", "/srv", "/dev")

_SHARED = ("/tmp", "/var/tmp", "/run")
"""Folders in which everybody makes files; here only those count that callboard could make."""

# What others write while the suite runs: package managers' and Python's caches, logs, the
# suite's own folders.
_OTHERS = (
    "/dev/pts",
    "/dev/shm/sem.",
    "/root/.cache",
    "/var/cache",
    "/var/log",
    # dnsmasq keeps an address for two minutes after its container has gone
    "/var/lib/misc/dnsmasq.",
    "/var/lib/systemd",
    "/var/lib/apt/lists",
    "/var/tmp",
)

# Settings that are counters.
_COUNTERS = (
    "-nr",
    "-state",
    "/nr",
    "/random/",
    "/ns_last_pid",
    "_count",
    "/uuid",
    "_stat",
    "/quota/",
)

State = dict[str, dict[str, str]]


def state() -> State:
    """The machine as it is now: kind of thing, its name, what it is like."""
    return {
        "file": dict([*_files(), *_shared()]),
        "mount": dict.fromkeys(Path("/proc/self/mounts").read_text().splitlines(), ""),
        "process": dict(_processes()),
        "setting": dict(_settings()),
        "cgroup": dict.fromkeys(_cgroups(), ""),
        "container": dict.fromkeys(_containers(), ""),
        "lock": {str(path): "" for path in Path("/run/lxc/lock").rglob("*") if path.is_file()},
        "link": {path.name: "" for path in Path("/sys/class/net").iterdir()},
    }


_MARKS = (
    "callboard",
    "lava-",
    "sleep 471",
    "[lxc monitor]",
    "lxc-attach",
    "lxc-start",
    "nats-server",
    "qemu-system",
    "slirp4netns",
    "sshd",
    " uplink",
)
"""What stands in the command of a process that could be the suite's."""

_LXC_PATHS = ("/var/lib/lxc", "/tmp", "/var/tmp")
"""Below which there can be folders of containers; those below /var are compared as files too."""


def _cgroups() -> Iterator[str]:
    top = Path("/sys/fs/cgroup")
    for pattern in ("callboard-*", "lxc.callboard-*", "lxc.payload*", "lxc.monitor*"):
        yield from map(str, top.rglob(pattern))


def _containers() -> Iterator[str]:
    """The folders of containers; bases are kept on purpose."""
    for top in _LXC_PATHS:
        for folder, inside, names in os.walk(top):
            if "config" in names and "rootfs" in inside:
                if not Path(folder).name.startswith("base."):
                    yield folder
                inside.clear()


def _files() -> Iterator[tuple[str, str]]:
    here = str(Path.cwd())
    for top in _FOLDERS:
        for folder, _, names in os.walk(top):
            if folder.startswith((*_OTHERS, here)) or folder.endswith("/__pycache__"):
                continue
            for path in (folder, *(f"{folder}/{name}" for name in names)):
                if not path.startswith(_OTHERS):
                    yield path, _like(path)


def _shared() -> Iterator[tuple[str, str]]:
    for folder in _SHARED:
        for path in Path(folder).glob("*"):
            if any(word in path.name for word in ("callboard", "lava", "mark", "mine", "left")):
                yield str(path), ""


def _like(path: str) -> str:
    try:
        status = os.lstat(path)
    except OSError:
        return "gone"
    kept = f"{stat.filemode(status.st_mode)} {status.st_uid}:{status.st_gid}"
    # Folders in which others make and remove files change their times.
    if stat.S_ISREG(status.st_mode):
        kept += f" {status.st_size} {status.st_mtime_ns}"
    return kept


def _settings() -> Iterator[tuple[str, str]]:
    for path in Path("/proc/sys").rglob("*"):
        if path.is_file() and not any(word in str(path) for word in _COUNTERS):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                yield str(path), path.read_text().strip()


def _processes() -> Iterator[tuple[str, str]]:
    """Those that could be the suite's, by their command."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if any(word in command for word in _MARKS):
                yield f"{entry.name}: {command.strip()}", ""


def differences(before: State, after: State) -> Iterator[str]:
    """What has changed, a line each."""
    for kind, things in after.items():
        for name in sorted(before[kind].keys() | things.keys()):
            old, new = before[kind].get(name), things.get(name)
            # A link has settings, which come and go with it.
            gone = kind in {"process", "setting"} and new is None
            come = kind == "setting" and old is None
            if old != new and not gone and not come:
                yield f"{kind} {name}: {old or '-'} -> {new or '-'}"


def main() -> int:
    """Save the state, or compare it with what was saved."""
    action, path = sys.argv[1], Path(sys.argv[2])
    own = f"{os.getpid()}: "
    now = state()
    now["process"] = {name: "" for name in now["process"] if not name.startswith(own)}
    if action == "save":
        path.write_text(json.dumps(now))
        return 0
    found = list(differences(json.loads(path.read_text()), now))
    for line in found[:50]:
        print(line, file=sys.stderr)
    print(f"{len(found)} things of this machine were changed by the tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
