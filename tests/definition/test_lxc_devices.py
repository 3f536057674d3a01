"""Devices that are containers: what they are made from, and what they may use."""

from pathlib import Path

import pytest
from tests.definition.test_schema import refused

from callboard.definition.devices import Device, read_devices
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.lxc_devices import LxcDevice, LxcLimits, LxcMount

GOOD = """\
devices:
  box:
    type: lxc
    driver: lxc
    template: download
    distribution: alpine
    release: "3.20"
    arch: amd64
    mirror: http://mirror.example:3142/debian
    packages: [iperf3, "libc6:i386", curl=7.88.1-10]
    limits: {processes: 200, memory-mib: 512}
    mounts:
    - {source: /srv/images, target: /mnt/images}
    - {source: /srv/results, target: /srv/results, writable: true}
"""

BAD = [
    ("template: arch", "CB024", "can't be `arch`", "or `busybox`"),
    ("release: ../../x", "CB125", "`release` of device `a` can't be", "letter or digit"),
    ("arch: '; reboot'", "CB125", "can't be `; reboot`", "letter or digit"),
    ("mirror: file:///x", "CB125", "can't be `file:///x`", "its address"),
    ("packages: [--force]", "CB126", "a package called `--force`", "such as `iperf3`"),
    ("limits: {processes: 1}", "CB023", "must be 16 or more", ""),
    ("limits: {disk-mib: 100}", "CB025", "no use for `disk-mib`", ""),
    ("mounts: [/srv]", "CB021", "a mount of device `a` must be a map", ""),
    ("mounts: [{source: /srv}]", "CB020", "has no `target`", ""),
    ("mounts: [{source: /a/../b, target: /b}]", "CB127", "can't be `/a/../b`", "without `..`"),
    ("mounts: [{source: /a, target: b}]", "CB127", "can't be `b`", "absolute path"),
    ("mounts: [{source: /a, target: //}]", "CB127", "can't be `//`", "absolute path"),
    ("mounts: [{source: /a, target: /.}]", "CB127", "can't be `/.`", "absolute path"),
    ("mounts: [{source: /a, target: '/b none rw'}]", "CB127", "can't be", "absolute path"),
    ("mirrors: x", "CB025", "no use for `mirrors`", "`mirror`"),
]


def read(tmp_path: Path, text: str) -> tuple[tuple[Device, ...], tuple[Diagnostic, ...]]:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    file, diagnostics = read_devices(path)
    return (file.devices if file else ()), diagnostics


def test_a_device_says_what_its_containers_are_made_from_and_may_use(tmp_path: Path) -> None:
    (device,), diagnostics = read(tmp_path, GOOD)
    assert diagnostics == ()
    assert device.means == LxcDevice(
        template="download",
        distribution="alpine",
        release="3.20",
        arch="amd64",
        mirror="http://mirror.example:3142/debian",
        packages=("iperf3", "libc6:i386", "curl=7.88.1-10"),
        limits=LxcLimits(200, 512 * 2**20),
        mounts=(
            LxcMount("/srv/images", "/mnt/images"),
            LxcMount("/srv/results", "/srv/results", writable=True),
        ),
    )
    assert refused(GOOD, "devices") == []


def test_a_device_without_a_recipe_is_a_debian_container(tmp_path: Path) -> None:
    (device,), _ = read(tmp_path, "devices: {a: {type: lxc, driver: lxc}}")
    assert device.means == LxcDevice(template="debian", release="stable")


@pytest.mark.parametrize(("keys", "code", "message", "hint"), BAD)
def test_what_makes_no_sense_is_found(
    tmp_path: Path, keys: str, code: str, message: str, hint: str
) -> None:
    text = f"devices: {{a: {{type: x, driver: lxc, {keys}}}}}"
    _, diagnostics = read(tmp_path, text)
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message
    assert hint in (diagnostics[0].hint or "")
    assert refused(text, "devices") != []
