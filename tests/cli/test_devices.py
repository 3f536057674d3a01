"""`callboard devices` and `callboard doctor` show how the devices of a file are cabled."""

from pathlib import Path

from jsonschema import Draft202012Validator
from tests.actors.drivers.switchyard import switchyard
from tests.commandline import callboard, document

from callboard.report import schema

RACK = """\
network: {kind: group, links: [{between: [a, b], delay: 20ms, loss: 1%}, {role: a, rate: 8Mbit}]}
vland: {port: 3081}
devices:
  board-1:
    type: bbb
    driver: ssh
    address: board.lab
    interfaces:
      eth0: {switch: switch-10.lab.example.org, port: 1}
      eth1: {tags: [RJ45, 10M], mac: 00-24-d7-9b-c0-8c, switch: switch-10.lab.example.org, port: 12}
  here:
    type: qemu
    interfaces:
      eth1: {tags: [RJ45]}
      eth2: {tags: [fast], switch: switch-10.lab.example.org, port: 2}
"""

SHOWN = """\
device   type  driver  tags  runs  busy
board-1  bbb   ssh     -     yes   no
here     qemu  local   -     yes   no

network of the nodes made here: group
  links between a and b: delay 20 ms,
loss 1 %
  links of a: rate 8 Mbit/s

switch switch-10.lab.example.org (VLANd
at localhost:3081)
  port  device   interface  tags
  1     board-1  eth0       primary
  2     here     eth2       fast
  12    board-1  eth1       RJ45, 10M

on no switch
  device  interface  tags
  here    eth1       RJ45
"""


def test_the_network_map_fits_a_narrow_terminal_without_colours(tmp_path: Path) -> None:
    (tmp_path / "rack.yaml").write_text(RACK)
    state = str(tmp_path / "state")
    ran = callboard(tmp_path, "devices", "rack.yaml", COLUMNS="40", CALLBOARD_STATE=state)
    shown = "".join(f"{line.rstrip()}\n" for line in ran.stdout.splitlines())
    assert (ran.returncode, ran.stderr, shown) == (0, "", SHOWN)


def test_the_network_map_is_in_the_document_too(tmp_path: Path) -> None:
    (tmp_path / "rack.yaml").write_text(RACK)
    state = str(tmp_path / "state")
    found = document(callboard(tmp_path, "devices", "--json", "rack.yaml", CALLBOARD_STATE=state))
    Draft202012Validator(schema("devices")).validate(found)
    assert (found["network"], found["vland"]) == ("group", {"host": "localhost", "port": 3081})
    assert found["devices"][0]["interfaces"][1] == {
        "label": "eth1",
        "tags": ["RJ45", "10M"],
        "mac": "00:24:d7:9b:c0:8c",
        "sysfs": None,
        "switch": "switch-10.lab.example.org",
        "port": 12,
        "primary": False,
    }
    assert [(each["ends"], each["loss"], each["rate_bps"]) for each in found["links"]] == [
        (["a", "b"], 0.01, None),
        (["a"], 0.0, 8_000_000),
    ]
    (switch,) = found["switches"]
    assert [(each["port"], each["device"]) for each in switch["ports"]] == [
        (1, "board-1"),
        (2, "here"),
        (12, "board-1"),
    ]


def test_two_devices_on_one_port_are_found(tmp_path: Path) -> None:
    (tmp_path / "rack.yaml").write_text(RACK.replace("port: 2}", "port: 12}"))
    ran = callboard(tmp_path, "devices", "rack.yaml")
    assert ran.returncode == 2
    assert "rack.yaml:15:" in ran.stderr
    assert "`eth2` of `here` is on port 12" in ran.stderr
    assert "and so is `eth1` of `board-1`" in ran.stderr


def test_the_doctor_asks_the_daemon_of_a_devices_file(tmp_path: Path) -> None:
    state = str(tmp_path / "state")

    def examined() -> list[dict[str, object]]:
        ran = callboard(
            tmp_path, "doctor", "--json", "--devices", "rack.yaml", CALLBOARD_STATE=state
        )
        found = document(ran)
        Draft202012Validator(schema("doctor")).validate(found)
        names = ("VLANd", "devices file")
        return [each for each in found["checks"] if each["name"] in names]

    with switchyard(**{"switch-10.lab.example.org": 2}) as yard:
        rack = RACK.replace("{port: 3081}", f"{{host: 127.0.0.1, port: {yard.daemon.port}}}")
        (tmp_path / "rack.yaml").write_text(rack)
        (found,) = examined()
        assert found["ok"]
    (found,) = examined()
    assert not found["ok"]
    assert "Connection refused" in str(found["detail"])
    assert str(found["cure"]).endswith("(rack.yaml:2:8)")
    (tmp_path / "rack.yaml").write_text("devices: here")
    (found,) = examined()
    assert (found["name"], found["ok"]) == ("devices file", False)
    assert found["cure"] == "callboard devices rack.yaml"
