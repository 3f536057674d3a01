"""A QEMU guest that asks for a login on its serial console: Debian's kernel, and busybox."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

PASSWORD = "hush-hush"

_INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
hostname guest
exec /bin/init
"""

_CONSOLE = """\
import os, selectors, socket, sys
console = socket.socket(socket.AF_UNIX)
console.connect(sys.argv[1])
both = selectors.DefaultSelector()
both.register(0, selectors.EVENT_READ)
both.register(console, selectors.EVENT_READ)
while True:
    for key, _ in both.select():
        data = os.read(key.fd, 65536)
        if not data:
            sys.exit()
        console.sendall(data) if key.fd == 0 else os.write(1, data)
"""
"""What `socat -,raw unix:PATH` does, without socat."""


def kernel() -> Path | None:
    """The newest kernel below /boot, None where there is none."""
    found = sorted(Path("/boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def lacking() -> str | None:
    """What this machine lacks to run the guest, None for nothing."""
    tools = ("qemu-system-x86_64", "busybox", "cpio", "openssl")
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if kernel() is None:
        missing.append("a kernel below /boot")
    packages = "qemu-system-x86 linux-image-cloud-amd64 cpio busybox-static openssl"
    return f"no {', '.join(missing)}; apt-get install {packages}" if missing else None


def initramfs(folder: Path) -> Path:
    """Make the guest's root file system, with a password for root."""
    root = folder / "root"
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root"):
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "", root / "bin/busybox")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    (root / "etc/inittab").write_text("ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100\n")
    hashed = _output(["openssl", "passwd", "-6", PASSWORD], root).decode().strip()
    (root / "etc/passwd").write_text(f"root:{hashed}:0:0:root:/root:/bin/sh\n")
    names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    made = folder / "initramfs"
    made.write_bytes(_output(["cpio", "-o", "-H", "newc", "-R", "0:0"], root, names.encode()))
    return made


def _output(command: list[str], folder: Path, data: bytes = b"") -> bytes:
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=True).stdout


def devices(folder: Path) -> str:
    """A devices file with the guest, of type `board`, and a device of type `qemu`.

    The guest's power can't be switched on the first time.
    """
    console = folder / "console.py"
    console.write_text(_CONSOLE)
    serial, pid = folder / "serial", folder / "qemu.pid"
    tried = folder / "tried"
    busy = f'[ -e {tried} ] || {{ touch {tried}; echo outlet busy >&2; exit 1; }}; exec "$@"'
    power_on = [
        *("sh", "-c", busy, "sh"),
        *("qemu-system-x86_64", "-M", "q35", "-cpu", "max", "-accel", "tcg", "-m", "256"),
        *("-nodefaults", "-display", "none", "-no-reboot", "-daemonize", "-pidfile", str(pid)),
        *("-serial", f"unix:{serial},server=on,wait=off"),
        *("-kernel", str(kernel()), "-initrd", str(initramfs(folder))),
        *("-append", "console=ttyS0 panic=1 tsc=unstable mitigations=off"),
    ]
    power_off = f"[ -e {pid} ] || exit 0; kill $(cat {pid}); while [ -e {pid} ]; do :; done"
    guest = {
        "type": "board",
        "driver": "command",
        "connection_command": [sys.executable, str(console), str(serial)],
        "power_on": power_on,
        "power_off": ["sh", "-c", power_off],
        "boot_message": "Linux version [0-9]",
    }
    return yaml.safe_dump({"devices": {"guest": guest, "here": {"type": "qemu"}}})
