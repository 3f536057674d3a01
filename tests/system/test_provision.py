"""The network of containers is started whatever is left of it, by the script and by the cures.

Each test has a network, processes and files of its own, so that the machine's bridge, and the
containers that use it, never notice.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.needs_lxc,
    pytest.mark.skipif(
        not Path("/usr/libexec/lxc/lxc-net").exists(), reason="lxc-net is elsewhere"
    ),
]

# The machine's own settings and files are covered by empty ones.
_PRIVATE = """
set -eu
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib/misc
mount --bind "$1" /etc/default
lxc_net=/usr/libexec/lxc/lxc-net
servers() { pgrep -x dnsmasq || true; }
"""

_LEFT = {
    "nothing": "",
    "all of it": "printf 'LXC_DHCP_PING=\"false\"\\n' >> /etc/default/lxc-net; $lxc_net start",
    "a dnsmasq that pings": "$lxc_net start",
    "a mark without a bridge": "mkdir /run/lxc; touch /run/lxc/network_up",
    "a bridge without dnsmasq": "ip link add lxcbr0 type bridge",
    "a dnsmasq that was killed": "$lxc_net start; kill -9 $(servers)",
    "a dnsmasq without its files": "$lxc_net start; rm -r /run/lxc",
    "the number of another process": """
        $lxc_net start
        kill -9 $(servers)
        sleep 471 &
        echo $! > /run/lxc/dnsmasq.pid
        trap 'kill $!' EXIT
    """,
    "a bridge that is switched off": "echo 'USE_LXC_BRIDGE=\"false\"' > /etc/default/lxc-net",
}

_CURE = """
import subprocess
from callboard.actors.drivers.lxc.requirements import Machine, network
for _ in range(3):
    cures = [each.cure for each in network(Machine()) if not each.met]
    for cure in cures:
        subprocess.run(["sh", "-c", cure], check=True)
    if not cures:
        break
"""

_MENDERS = {
    "script": f"{ROOT}/tests/provision.sh network",
    "cures": f"{sys.executable} -c '{_CURE}'",
}

_CHECK = """
ip -br address show lxcbr0 | grep -q 10.0.3.1/24
[ "$(servers | wc -l)" = 1 ]
tr '\\0' '\\n' < /proc/$(servers)/cmdline | grep -qx -e --no-ping
"""


def in_private(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    settings = folder / "default"
    shutil.copytree("/etc/default", settings)
    (settings / "lxc-net").write_text('USE_LXC_BRIDGE="true"\n')
    unshare = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child")
    return subprocess.run(
        [*unshare, "bash", "-c", _PRIVATE + script, "-", str(settings)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("mender", _MENDERS)
@pytest.mark.parametrize("left", _LEFT)
def test_the_network_starts_whatever_is_left_of_it(left: str, mender: str, tmp_path: Path) -> None:
    ran = in_private(tmp_path, _LEFT[left] + "\n" + _MENDERS[mender] + "\n" + _CHECK)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("mender", _MENDERS)
def test_a_process_that_has_the_number_of_a_dead_dnsmasq_is_left_alone(
    mender: str, tmp_path: Path
) -> None:
    left = _LEFT["the number of another process"]
    ran = in_private(tmp_path, f"{left}\n{_MENDERS[mender]}\nkill -0 $!")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_network_that_serves_is_left_as_it_is(tmp_path: Path) -> None:
    script = _MENDERS["script"]
    ran = in_private(
        tmp_path,
        f"{script}; before=$(servers) at=$(stat -c %Y.%Z /etc/default/lxc-net)\n"
        f'{script}; [ "$before $at" = "$(servers) $(stat -c %Y.%Z /etc/default/lxc-net)" ]',
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_ordinary_user_is_told_that_the_script_needs_root() -> None:
    ran = subprocess.run(
        ["setpriv", "--reuid=65534", "bash", "-s"],
        input=(ROOT / "tests/provision.sh").read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "needs root" in ran.stderr
