"""How devices are cabled: interfaces, switches, and the daemon that moves their ports."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from callboard.definition import Device, DevicesFile, Diagnostic, Place, read_devices
from callboard.definition.composer import compose
from callboard.definition.findings import Findings
from callboard.definition.interfaces import Interface
from callboard.definition.schema import schema
from callboard.definition.source import Source, decode
from callboard.definition.tree import plain
from callboard.definition.vland import Daemon

RACK = """\
network: group
vland: {host: switches.lab, port: 3081}
devices:
  board:
    type: bbb
    driver: ssh
    address: board.lab
    interfaces:
      eth0: {mac: "F0:DE:F1:46:8C:21"}
      eth1:
        tags: [RJ45, 10M]
        mac: 00-24-d7-9b-c0-8c
        sysfs: /sys/devices/pci0000:00/0000:00:19.0/net
        switch: 10.0.0.2
        port: 7
      target: {ip: 10.0.0.7, mac: "00:24:d7:9b:c0:8d"}
  here: {type: qemu, tags: [fast], interfaces: {eth1: {tags: [RJ45]}}}
"""

LAVA = """\
vland: {}
devices:
  board:
    type: bbb
    interfaces: [eth0, eth1]
    mac_addr: {eth0: "f0:de:f1:46:8c:21", eth1: "00:24:d7:9b:c0:8c"}
    sysfs: {eth1: /sys/devices/virtual/net/}
    tags: {eth0: [], eth1: [RJ45, 10M]}
    map: {eth0: {10.0.0.2: 5}, eth1: {10.0.0.2: 7}}
"""

ONE = "devices: {{a: {{type: x, interfaces: {{eth1: {{{}}}}}}}}}"
"""A devices file with one interface of these keys."""

SSH = "devices: {{a: {{type: x, driver: ssh, address: h, interfaces: {{eth1: {{{}}}}}}}}}"

LISTED = "devices: {{a: {{type: x, interfaces: [eth0, eth1], {}}}}}"
"""The same in LAVA's form, with these keys of the device."""

NET = "network: {{kind: {}}}\ndevices: {{a: {{type: x}}}}"
"""A devices file with a network of this kind, and more about it."""

TWO = """\
vland: {{}}
devices:
  a: {{type: x, interfaces: {{eth1: {{tags: [t], {}}}}}}}
  b: {{type: x, interfaces: {{eth1: {{tags: [t], {}}}}}}}
"""

BAD = [
    (ONE.format("mac: 00:24"), "CB194", "address of interface `eth1` of device `a`", "six bytes"),
    (ONE.format("mac: '01:00:5e:00:00:01'"), "CB194", "is one of a group", "even"),
    (ONE.format("mac: '00:00:00:00:00:00'"), "CB194", "can't be `00:00:00:00:00:00`", ""),
    (ONE.format("mac: 12"), "CB022", "must be text", 'quote it: "12"'),
    (ONE.format("sysfs: sys/net"), "CB194", "can't be `sys/net`", "/sys/devices"),
    (ONE.format("sysfs: /sys/../etc/"), "CB194", "can't be `/sys/../etc/`", ""),
    (ONE.format("sysfs: /sys/$(id)/"), "CB194", "can't be `/sys/$(id)/`", ""),
    (ONE.format("tags: RJ45"), "CB021", "must be a list", "write `[RJ45]`"),
    (ONE.format("tags: [10]"), "CB022", "must be text", 'quote it: "10"'),
    (ONE.format('tags: ["a\\nb"]'), "CB194", "has a line break", "`lava-vland-tags`"),
    (ONE.format("switch: s1"), "CB195", "has a `switch`, but no `port`", "write both"),
    (ONE.format("port: 3"), "CB195", "has a `port`, but no `switch`", "write both"),
    (ONE.format("switch: s1, port: 0"), "CB023", "must be 1 or more", ""),
    (ONE.format("switch: s1, port: 65536"), "CB023", "at most 65535", ""),
    (ONE.format("switch: s1, port: '3'"), "CB021", "a whole number", "remove the quotes"),
    (ONE.format("switch: 's1:3', port: 3"), "CB195", "can't be `s1:3`", "without user and port"),
    (ONE.format("tag: [a]"), "CB025", "no use for `tag`", "`tags`"),
    (SSH.format("tags: [t]"), "CB195", "has tags, but no switch", "`switch` and `port`"),
    ("devices: {a: {type: x, interfaces: {'e,1': {}}}}", "CB194", "called `e,1`", "letters"),
    ("devices: {a: {type: x, interfaces: {lo: {}}}}", "CB194", "under that name", "`lo`"),
    (
        f"devices: {{a: {{type: x, interfaces: {{{'e' * 16}: {{}}}}}}}}",
        "CB194",
        "under that name",
        "15",
    ),
    ("devices: {a: {type: x, interfaces: eth1}}", "CB021", "must be a map", ""),
    ("devices: {a: {type: x, interfaces: {eth1: RJ45}}}", "CB021", "must be a map", ""),
    ("devices: {a: {type: x, interfaces: [eth1, eth1]}}", "CB194", "has `eth1` twice", "remove"),
    (LISTED.format("mac_addr: {eth2: x}"), "CB194", "names no interface of it: `eth2`", "`eth"),
    (LISTED.format("tags: {eth1: RJ45}"), "CB021", "must be a list", ""),
    (LISTED.format("map: {eth1: {s1: 3, s2: 4}}"), "CB195", "is on 2 switches", "write one"),
    (LISTED.format("map: {eth1: 3}"), "CB021", "must be a map", ""),
    (LISTED.format("map: {eth1: {s1: x}}"), "CB021", "must be a whole number", ""),
    ("devices: {a: {type: x, mac_addr: {}}}", "CB025", "no use for `mac_addr`", ""),
    (
        TWO.format("switch: S1, port: 5", "switch: s1, port: 5"),
        "CB196",
        "`eth1` of `b` is on port 5 of `s1`, and so is `eth1` of `a`",
        "plugged into",
    ),
    (
        TWO.format("mac: '02:00:00:00:00:01'", "mac: 02-00-00-00-00-01"),
        "CB197",
        "`eth1` of `b` has the hardware address of `eth1` of `a`",
        "each interface has its own",
    ),
    (ONE.format("tags: [t], switch: s, port: 3"), "CB199", "nobody moves port 3 of `s`", "vland:"),
    ("vland: here\ndevices: {a: {type: x}}", "CB021", "`vland` must be a map", ""),
    ("vland: {host: 'a:3080'}\ndevices: {a: {type: x}}", "CB198", "can't be `a:3080`", "host"),
    ("vland: {port: 0}\ndevices: {a: {type: x}}", "CB023", "must be 1 or more", ""),
    ("vland: {hots: a}\ndevices: {a: {type: x}}", "CB025", "no use for `hots`", "`host`"),
    ("network: lan\ndevices: {a: {type: x}}", "CB024", "can't be `lan`", "`group`"),
    ("network: {ipv4: 10.0.0.0/8}\ndevices: {a: {type: x}}", "CB020", "has no `kind`", ""),
    (NET.format("group, ipv4: 10.0.0.0/30"), "CB240", "too few addresses", "`10.77.0.0/16`"),
    (NET.format("group, ipv4: 10.0.0.0/99"), "CB240", "can't be `10.0.0.0/99`", "`10.77.0.0/16`"),
    (NET.format("group, ipv4: 10.0.0.9/8"), "CB240", "an address in a range", "`10.0.0.0/8`"),
    (NET.format("group, ipv6: 10.0.0.0/8"), "CB240", "no range of IPv6", "`fd77::/64`"),
    (NET.format("group, ipv4: 8.8.8.0/24"), "CB240", "others have these", "private"),
    (NET.format("group, ipv6: 'fd77::/56'"), "CB240", "length must be 64", "`fd77::/64`"),
    (NET.format("host, ipv4: 10.0.0.0/8"), "CB240", "its `kind` is `host`", "`kind: group`"),
    ("network: {kind: lan}\ndevices: {a: {type: x}}", "CB024", "can't be `lan`", "`group`"),
]
"""What is wrong with a file: the text, and the code, the message and the hint."""

UNSEEN = {"CB196", "CB197", "CB199"}
"""What a schema doesn't refuse: it looks at one place at a time."""


def read(tmp_path: Path, text: str) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return read_devices(path)


def refused(text: str) -> bool:
    source = decode(text, "devices.yaml")
    assert isinstance(source, Source)
    root = compose(source, Findings(source))
    assert root is not None
    return not Draft7Validator(schema("devices")).is_valid(plain(root))


def test_a_rack_says_how_its_devices_are_cabled(tmp_path: Path) -> None:
    file, diagnostics = read(tmp_path, RACK)
    assert file is not None, diagnostics
    assert diagnostics == ()
    name = file.file
    assert file.network.kind == "group"
    assert file.vland == Daemon("switches.lab", 3081, Place(name, 2, 8))
    board, here = file.devices
    assert board.interfaces == (
        Interface("eth0", mac="f0:de:f1:46:8c:21", place=Place(name, 9, 7)),
        Interface(
            "eth1",
            ("RJ45", "10M"),
            "00:24:d7:9b:c0:8c",
            "/sys/devices/pci0000:00/0000:00:19.0/net/",
            "10.0.0.2",
            7,
            Place(name, 10, 7),
        ),
        Interface("target", mac="00:24:d7:9b:c0:8d", place=Place(name, 16, 7)),
    )
    assert [each.primary for each in board.interfaces] == [True, False, True]
    assert here.tags == {"fast"}
    assert here.interfaces == (Interface("eth1", ("RJ45",), place=Place(name, 17, 49)),)


def test_the_form_of_device_dictionaries_means_the_same(tmp_path: Path) -> None:
    file, diagnostics = read(tmp_path, LAVA)
    assert file is not None, diagnostics
    assert diagnostics == ()
    name = file.file
    assert file.vland == Daemon("localhost", 3080, Place(name, 1, 8))
    assert file.devices == (
        Device(
            name="board",
            type="bbb",
            place=Place(name, 3, 3),
            interfaces=(
                Interface(
                    "eth0",
                    mac="f0:de:f1:46:8c:21",
                    switch="10.0.0.2",
                    port=5,
                    place=Place(name, 5, 18),
                ),
                Interface(
                    "eth1",
                    ("RJ45", "10M"),
                    "00:24:d7:9b:c0:8c",
                    "/sys/devices/virtual/net/",
                    "10.0.0.2",
                    7,
                    Place(name, 5, 24),
                ),
            ),
        ),
    )


def test_tags_that_are_null_are_none_as_in_lava(tmp_path: Path) -> None:
    file, diagnostics = read(tmp_path, ONE.format("tags: null, mac: '02:00:00:00:00:01'"))
    assert diagnostics == ()
    assert file is not None
    assert file.devices[0].interfaces[0].primary


@pytest.mark.parametrize(("text", "code", "message", "hint"), BAD)
def test_a_slip_in_the_cabling_is_found(
    tmp_path: Path, text: str, code: str, message: str, hint: str
) -> None:
    _, diagnostics = read(tmp_path, text)
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message
    assert hint in (diagnostics[0].hint or "")
    assert diagnostics[0].place is not None


@pytest.mark.parametrize(("text", "code"), [row[:2] for row in BAD])
def test_a_schema_refuses_the_slip_unless_it_compares_places(text: str, code: str) -> None:
    # a schema knows no registry of addresses, and no bits of them
    reckoned = "8.8.8" in text or "10.0.0.9/8" in text
    assert refused(text) == (code not in UNSEEN and not reckoned)


@pytest.mark.parametrize("text", [RACK, LAVA], ids=["own", "lava"])
def test_a_schema_lets_a_rack_pass(text: str) -> None:
    assert not refused(text)


def test_a_switch_without_a_daemon_is_no_matter_of_a_rehearsal(tmp_path: Path) -> None:
    simulated = ONE.replace("type: x", "type: x, driver: simulated")
    _, diagnostics = read(tmp_path, simulated.format("tags: [t], switch: s, port: 3"))
    assert diagnostics == ()
