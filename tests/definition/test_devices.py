"""The devices file."""

from pathlib import Path

import pytest

from callboard.definition import Device, DevicesFile, Diagnostic, Place, read_devices
from callboard.definition.devices import LocalLimits

GOOD = """\
devices:
  rack-1: {type: beaglebone-black, driver: command, tags: [usb, hdmi], console: telnet ser 7001}
  here:
    type: qemu
  "2": {type: lxc, driver: lxc, place: lab}
"""

SLIPS = [
    ("", "CB014", 1, 1, "the file is empty", "devices: {rack-1"),
    ("- a", "CB014", 1, 1, "a list, not a map", "devices: {rack-1"),
    (
        "device: {a: {type: x}}",
        "CB020",
        1,
        1,
        "has no `devices`",
        "rename `device` to `devices`",
    ),
    ("devices: [a]", "CB021", 1, 10, "`devices` must be a map, but is a list", ""),
    ("devices: {}", "CB026", 1, 10, "`devices` is empty", "write for instance"),
    ("devices:\n  a: qemu", "CB021", 2, 6, "device `a` must be a map", ""),
    ("devices:\n  a: {}", "CB020", 2, 6, "device `a` has no `type`", ""),
    ("devices:\n  a: {type: 12}", "CB022", 2, 13, "must be text", 'quote it: "12"'),
    ("devices:\n  1: {type: x}", "CB022", 2, 3, "the name of a device must be text", '"1"'),
    ("devices:\n  a: {type: x, driver: lcx}", "CB024", 2, 24, "can't be `lcx`", "`lxc`"),
    ("devices:\n  a: {type: x, driver: zz}", "CB024", 2, 24, "", "or `simulated`"),
    ("devices:\n  a: {type: x, tags: usb}", "CB021", 2, 22, "must be a list", "write `[usb]`"),
    ("devices:\n  a: {type: x}\n  a: {type: y}", "CB010", 3, 3, "given before, in line 2", ""),
]

BAD_LIMITS = [
    ("{processes: 3}", "CB023", "must be 16 or more"),
    ("{memory-mib: 1G}", "CB021", "must be a whole number"),
    ("{disc-mib: 100}", "CB025", "disc-mib"),
    ("many", "CB021", "must be a map"),
]


def read(tmp_path: Path, text: str) -> tuple[DevicesFile | None, tuple[Diagnostic, ...]]:
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return read_devices(path)


def test_devices_are_read_in_order(tmp_path: Path) -> None:
    file, diagnostics = read(tmp_path, GOOD)
    assert diagnostics == ()
    assert file is not None
    name = str(tmp_path / "devices.yaml")
    assert file.file == name
    assert file.devices == (
        Device(
            name="rack-1",
            type="beaglebone-black",
            driver="command",
            tags=frozenset({"usb", "hdmi"}),
            place=Place(name, 2, 3),
            options={"console": "telnet ser 7001"},
        ),
        Device(name="here", type="qemu", place=Place(name, 3, 3)),
        Device(
            name="2", type="lxc", driver="lxc", place=Place(name, 5, 3), options={"place": "lab"}
        ),
    )


@pytest.mark.parametrize(("text", "code", "line", "column", "message", "hint"), SLIPS)
def test_a_slip_is_found_where_it_is(
    tmp_path: Path, text: str, code: str, line: int, column: int, message: str, hint: str
) -> None:
    file, (diagnostic,) = read(tmp_path, text)
    assert file is None
    assert diagnostic.code == code
    assert diagnostic.place is not None
    assert (diagnostic.place.line, diagnostic.place.column) == (line, column)
    assert message in diagnostic.message
    assert hint in (diagnostic.hint or "")


def test_an_unknown_key_at_the_top_is_a_warning(tmp_path: Path) -> None:
    file, (diagnostic,) = read(tmp_path, f"{GOOD}version: 2\n")
    assert file is not None
    assert (diagnostic.code, diagnostic.severity) == ("CB025", "warning")


def test_a_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    file, (diagnostic,) = read_devices(tmp_path / "none.yaml")
    assert file is None
    assert diagnostic.code == "CB001"


def test_a_local_device_can_limit_what_its_node_uses(tmp_path: Path) -> None:
    limits = "{processes: 64, memory-mib: 512, disk-mib: 100}"
    file, diagnostics = read(tmp_path, f"devices: {{a: {{type: x, limits: {limits}}}}}")
    assert file is not None, diagnostics
    assert file.devices[0].limits == LocalLimits(64, 512 * 2**20, 100 * 2**20)
    assert file.devices[0].options == {}


@pytest.mark.parametrize(("limits", "code", "message"), BAD_LIMITS)
def test_a_limit_that_makes_no_sense_is_found(
    tmp_path: Path, limits: str, code: str, message: str
) -> None:
    _, diagnostics = read(tmp_path, f"devices: {{a: {{type: x, limits: {limits}}}}}")
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message
