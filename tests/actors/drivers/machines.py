"""Machines made of files, which have or lack what containers need."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.lxc.requirements import TOOLS, Machine

PROGRAMS = (
    *TOOLS,
    "apt-get",
    "busybox",
    "debootstrap",
    "distro-info",
    "dnsmasq",
    "ip",
    "newuidmap",
    "openssl",
    "rsync",
)

FILES: Mapping[str, str] = {
    "etc/default/lxc-net": '# the bridge\nUSE_LXC_BRIDGE="true"\n',
    "etc/lxc/default.conf": (
        "lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\nlxc.net.0.flags = up\n"
    ),
    "etc/subgid": "root:100000:65536\n",
    "etc/subuid": "root:100000:65536\n",
    "proc/1/cmdline": "/sbin/init\0",
    "proc/1/comm": "init\n",
    "proc/73/cmdline": "\0".join(
        (
            *("dnsmasq", "--no-ping", "--pid-file=/run/lxc/dnsmasq.pid"),
            *("--listen-address", "10.0.3.1", "--dhcp-range", "10.0.3.2,10.0.3.254,2m"),
            *("--interface=lxcbr0", ""),
        )
    ),
    "proc/73/comm": "dnsmasq\n",
    "proc/filesystems": "nodev\tproc\nnodev\toverlay\n\text4\n",
    "proc/self/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n/dev/vda / ext4 rw 0 0\n",
    "proc/self/status": "Name:\tpython\nCapEff:\t000001ffffffffff\n",
    "proc/self/uid_map": "         0          0 4294967295\n",
    "proc/sys/kernel/osrelease": "6.1.0\n",
    "run/lxc/dnsmasq.pid": "73\n",
    "run/lxc/network_up": "",
    "sys/class/net/lxcbr0/address": "00:16:3e:00:00:00\n",
    "sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
    "usr/libexec/lxc/lxc-net": "",
    **{
        f"usr/share/lxc/templates/lxc-{each}": ""
        for each in ("busybox", "debian", "download", "ubuntu")
    },
}


@frozen
class Workshop:
    """Makes a machine that has everything, of which a test takes something away."""

    root: Path

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def remove(self, *paths: str) -> None:
        for each in paths:
            target = self.root / each
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()

    def install(self, program: str, script: str = "exit 0") -> None:
        self.write(f"usr/bin/{program}", f"#!/bin/sh\n{script}\n")
        (self.root / "usr/bin" / program).chmod(0o755)

    def uninstall(self, *programs: str) -> None:
        self.remove(*(f"usr/bin/{each}" for each in programs))

    def machine(self, user: int = 0) -> Machine:
        return Machine(self.root, str(self.root / "usr/bin"), user)


def workshop(root: Path) -> Workshop:
    """One whose machine has everything."""
    made = Workshop(root)
    for path, text in FILES.items():
        made.write(path, text)
    for program in PROGRAMS:
        made.install(program)
    return made
