"""The devices file."""

from pathlib import Path

import pytest

from callboard.definition import Device, DevicesFile, Diagnostic, Place, read_devices
from callboard.definition.address import Address
from callboard.definition.command_devices import CommandDevice
from callboard.definition.devices import LocalLimits, SimulatedDevice
from callboard.definition.model import AutoLogin
from callboard.definition.ssh_devices import SshDevice

GOOD = """\
devices:
  rack-1: {type: bbb, driver: command, tags: [usb], connection_command: telnet ser 7001}
  here:
    type: qemu
  "2": {type: lxc, driver: simulated, place: lab}
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

COMMAND = """\
devices:
  board:
    type: beaglebone-black
    driver: command
    connection_command: telnet serial-1 7001
    hard_reset: [sh, -c, "pdu reset | tee log"]
    power_off: [[pdu, "off", "3"], [relay, "off"]]
    power_on: pdu on 'outlet 3'
    pre_os_command: usb-switch host
    boot_message: Linux version [0-9]
    prompts: 'root@board:'
    login_prompt: 'login:'
    username: root
    password_prompt: 'Password:'
    password: hush-hush
    login_commands: [sudo su]
"""

BAD_COMMANDS = [
    ("connection_command: ''", "CB026", "is empty", ""),
    ("connection_command: [telnet, 7001]", "CB022", "each word of", 'quote it: "7001"'),
    ("connection_command: 'telnet \"a'", "CB190", "no closing quotation", "close the quote"),
    ("connection_command: ['telnet ser 7001', x]", "CB190", "more than one word", "of lists"),
    ("connection_command: [[a], [b]]", "CB190", "must be one command", "a script"),
    ("connection_command: []", "CB190", "names no program", "a list of words"),
    ("connection_command: {a: b}", "CB021", "must be a command, but is a map", ""),
    ("connection: telnet", "CB020", "has no `connection_command`", "rename `connection`"),
    ("connection_command: a, prompts: ['[']", "CB191", "is no regular expression", "backslash"),
    ("connection_command: a, username: root", "CB020", "has no `login_prompt`", ""),
    ("connection_command: a, hard_rest: b", "CB025", "no use for `hard_rest`", "`hard_reset`"),
]

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBQYdWEyYl/gMRlLCkgkOMcAaHkQ5o9xHtGXiGkHZMUe"

SSH = f"""\
devices:
  builder:
    type: x86
    driver: ssh
    address: build-7.example.org
    port: 2222
    user: ci
    identity_file: keys/ci
    host_key: {KEY} somebody@somewhere
  plain: {{type: x86, driver: ssh, address: "fe80::1%eth0"}}
  board: {{type: bbb, ssh_port: 2022}}
"""

BAD_SSH = [
    ("port: 22", "CB020", "has no `address`", ""),
    ("address: -oProxyCommand=x", "CB192", "can't be `-oProxyCommand=x`", "a host name"),
    ("address: root@host", "CB192", "can't be `root@host`", "without user and port"),
    ("address: 'host:22'", "CB192", "can't be `host:22`", "without user and port"),
    ("address: h, user: -x", "CB192", "can't be `-x`", "letters, digits"),
    ("address: h, port: 0", "CB023", "must be 1 or more", ""),
    ("address: h, port: 65536", "CB023", "at most 65535", ""),
    ("address: h, identity_file: nowhere", "CB193", "is no file", "a private key"),
    ("address: h, identity_file: ~nobody-here/key", "CB193", "is no file", "a private key"),
    ("address: h, identity_file: key.pub", "CB193", "is a public key", "`key`"),
    ("address: h, host_key: AAAA", "CB193", "is no public key", "`ssh-keyscan`"),
    (f"address: h, host_key: ssh-rsa {KEY.split()[1]}", "CB193", "is no public key", ""),
    ("address: h, host_key: [ssh-rsa Ä]", "CB193", "is no public key", ""),
    ("address: h, adress: i", "CB025", "no use for `adress`", ""),
    ("address: h, ssh_port: 23", "CB025", "no use for `ssh_port`", ""),
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
            type="bbb",
            tags=frozenset({"usb"}),
            place=Place(name, 2, 3),
            means=CommandDevice(("telnet", "ser", "7001")),
        ),
        Device(name="here", type="qemu", place=Place(name, 3, 3)),
        Device(
            name="2",
            type="lxc",
            means=SimulatedDevice(),
            place=Place(name, 5, 3),
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
    assert file.devices[0].means == LocalLimits(64, 512 * 2**20, 100 * 2**20)


@pytest.mark.parametrize(("limits", "code", "message"), BAD_LIMITS)
def test_a_limit_that_makes_no_sense_is_found(
    tmp_path: Path, limits: str, code: str, message: str
) -> None:
    _, diagnostics = read(tmp_path, f"devices: {{a: {{type: x, limits: {limits}}}}}")
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message


def test_a_device_with_a_console_says_how_it_is_reached_and_powered(tmp_path: Path) -> None:
    file, diagnostics = read(tmp_path, COMMAND)
    assert file is not None, diagnostics
    assert diagnostics == ()
    (device,) = file.devices
    assert device.pre_os_command == (("usb-switch", "host"),)
    assert device.means == CommandDevice(
        connection_command=("telnet", "serial-1", "7001"),
        hard_reset=(("sh", "-c", "pdu reset | tee log"),),
        power_off=(("pdu", "off", "3"), ("relay", "off")),
        power_on=(("pdu", "on", "outlet 3"),),
        prompts=("root@board:",),
        boot_message="Linux version [0-9]",
        login=AutoLogin("login:", "root", "Password:", "hush-hush", ("sudo su",)),
    )
    assert "hush-hush" not in repr(file)


@pytest.mark.parametrize(("keys", "code", "message", "hint"), BAD_COMMANDS)
def test_a_command_that_makes_no_sense_is_found(
    tmp_path: Path, keys: str, code: str, message: str, hint: str
) -> None:
    _, diagnostics = read(tmp_path, f"devices: {{a: {{type: x, driver: command, {keys}}}}}")
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message
    assert hint in (diagnostics[0].hint or "")


def test_a_password_is_not_shown_with_what_is_wrong_beside_it(tmp_path: Path) -> None:
    text = COMMAND.replace("password: hush-hush", "password: hush-hush\n    passwort: hush-hush")
    _, diagnostics = read(tmp_path, text)
    assert [each.code for each in diagnostics] == ["CB025"]
    assert "hush" not in str(diagnostics)


def test_a_fixed_machine_says_how_to_log_in(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/ci").write_text("a key")
    file, diagnostics = read(tmp_path, SSH)
    assert file is not None, diagnostics
    assert diagnostics == ()
    builder, plain, board = file.devices
    assert builder.means == SshDevice(
        Address("build-7.example.org", 2222, "ci"), tmp_path / "keys/ci", (KEY,)
    )
    assert plain.means == SshDevice(Address("fe80::1%eth0"))
    assert [each.ssh_port for each in file.devices] == [2222, 22, 2022]
    assert board.means == LocalLimits()


@pytest.mark.parametrize(("keys", "code", "message", "hint"), BAD_SSH)
def test_a_machine_that_nobody_can_log_in_to_is_found(
    tmp_path: Path, keys: str, code: str, message: str, hint: str
) -> None:
    (tmp_path / "key.pub").touch()
    _, diagnostics = read(tmp_path, f"devices: {{a: {{type: x, driver: ssh, {keys}}}}}")
    assert [each.code for each in diagnostics] == [code]
    assert message in diagnostics[0].message
    assert hint in (diagnostics[0].hint or "")
