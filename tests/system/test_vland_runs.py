"""Groups whose VLANs are those of switches: what VLANd is asked, and what is left on its ports."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest
import yaml
from attrs import define, field
from tests.actors.drivers import switchyard as yards
from tests.actors.drivers.switchyard import BASE, Switchyard, switchyard
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import JobEnded

TAGS = {"client": ["RJ45", "10M"], "server": ["RJ45"]}


@define
class Rack:
    """Two devices on the ports of a switch.

    Attributes:
        yard: The daemon that moves the ports.
        board: The command line.
        moved: Set once both ports have been in a VLAN of the group.
        together: In which VLAN each port was then.
    """

    yard: Switchyard
    board: Callboard
    moved: threading.Event = field(factory=threading.Event)
    together: list[int] = field(factory=list[int])

    def watch(self, _command: str) -> None:
        """Called by the daemon after each change."""
        current = [port.current for port in self.yard.sockets.values()]
        if BASE not in current and not self.moved.is_set():
            self.together[:] = current
            self.moved.set()

    def arguments(self) -> tuple[str, ...]:
        """The option of the devices file."""
        devices: dict[str, object] = {}
        for number, role in enumerate(TAGS, 1):
            interfaces = {
                "eth0": {"mac": f"02:00:00:00:00:0{number}", "switch": "s2", "port": number},
                "eth1": {
                    "tags": [*TAGS[role], "spare"],
                    "mac": f"02:00:00:00:01:0{number}",
                    "sysfs": f"/sys/devices/pci/{number}/net/",
                    "switch": "s1",
                    "port": number,
                },
            }
            devices[f"board-{number}"] = {"type": "qemu", "tags": [role], "interfaces": interfaces}
        vland = {"host": "127.0.0.1", "port": self.yard.daemon.port}
        path = self.board.folder / "devices.yaml"
        path.write_text(yaml.safe_dump({"devices": devices, "vland": vland}, sort_keys=False))
        return ("--devices", str(path))

    def group(self, *steps: str, **more: object) -> str:
        """A definition of two roles in one VLAN, which both run some steps once they are in it."""
        test = Test("net", ["lava-sync moved", *steps])
        found = yaml.safe_load(definition({role: [test] for role in TAGS}, **more))  # type: ignore[arg-type]
        protocols = found["protocols"]
        for role in TAGS:
            protocols["lava-multinode"]["roles"][role]["tags"] = [role]
        protocols["lava-vland"] = {
            role: {"vlan_one": {"tags": tags}} for role, tags in TAGS.items()
        }
        calls = [{"action": "lava-vland-overlay", "request": "deploy_vlans"}]
        found["actions"][0]["deploy"]["protocols"] = {"lava-vland": calls}
        found["timeouts"]["connection"] = {"seconds": 120}
        return yaml.safe_dump(found, sort_keys=False)

    def run(self, *steps: str, **more: object) -> Ran:
        """Run it to its end."""
        return self.board.run(self.group(*steps, **more), *self.arguments())

    def run_another(self) -> None:
        """Run a group that has no VLANs, and no devices file."""
        alone = definition({"server": [Test("smoke", ["true"])]})
        ran = self.board.run(alone, "-o", str(self.board.folder / "another"))
        assert ran.exit_code == 0, ran.stderr

    def start(self, *steps: str) -> "subprocess.Popen[str]":
        """Start it, and return when both ports are in the VLAN."""
        path = self.board.write(self.group(*steps))
        process = self.board.start("run", str(path), *self.arguments())
        assert self.moved.wait(60)
        return process


@pytest.fixture
def rack(ordinary: Callboard) -> Iterator[Rack]:
    """Two devices, and the daemon; all is as it was when the test is over."""
    with switchyard(s1=2) as yard:
        found = Rack(yard, ordinary)
        yard.moved = found.watch
        yield found
    assert yard.untouched


def errors(ran: Ran) -> list[str]:
    """Why jobs have failed."""
    bodies = (event.body for event in ran.events(JobEnded))
    return [body.error.message for body in bodies if isinstance(body, JobEnded) and body.error]


def test_ports_are_in_the_vlan_while_the_tests_run_and_back_afterwards(rack: Rack) -> None:
    ran = rack.run("lava-vland-names", "lava-vland-self", "lava-vland-tags")
    assert ran.exit_code == 0, ran.stderr
    assert rack.moved.is_set()
    assert len(set(rack.together)) == 1
    console = ran.console("client")
    for line in (
        "vlan_one,eth1",
        "eth0,02:00:00:00:00:01,",
        "eth1,02:00:00:00:01:01,/sys/devices/pci/1/net/",
        "eth1,10M",
    ):
        assert line in console
    asked = [each for each in rack.yard.commands if each.startswith("api.")]
    assert asked == [
        "api.create_vlan",
        *["api.set_current_vlan"] * 2,
        *["api.restore_base_vlan"] * 2,
        "api.delete_vlan",
    ]


def test_a_test_that_fails_leaves_nothing_on_the_switch(rack: Rack) -> None:
    assert rack.run("false").exit_code == 1
    assert rack.moved.is_set()


def test_a_job_that_fails_leaves_nothing_on_the_switch(rack: Rack) -> None:
    assert rack.run("lava-test-raise broken").exit_code == 3
    assert rack.moved.is_set()


def test_a_job_that_runs_out_of_time_leaves_nothing_on_the_switch(rack: Rack) -> None:
    ran = rack.run("sleep 1000", action_s=3)
    assert ran.exit_code == 3
    assert rack.moved.is_set()


def test_a_port_that_is_locked_fails_the_group_with_its_name(rack: Rack) -> None:
    rack.yard.sockets[12].locked = True
    ran = rack.run()
    assert ran.exit_code == 3
    assert any("eth1 of board-2, port 2 of s1 is locked" in each for each in errors(ran))


def test_a_vlan_that_can_not_be_made_fails_the_group_with_what_the_daemon_says(rack: Rack) -> None:
    rack.yard.trouble(
        "api.create_vlan", yards.answer({"response": "ERROR", "error": "no tags are left"})
    )
    ran = rack.run()
    assert ran.exit_code == 3
    assert any("no tags are left" in each for each in errors(ran))


def test_a_switch_that_the_daemon_does_not_know_fails_the_group(rack: Rack) -> None:
    for port in rack.yard.sockets.values():
        port.switch = "another"
    ran = rack.run()
    assert ran.exit_code == 3
    assert any("has no switch `s1`" in each for each in errors(ran))


def test_a_daemon_that_is_not_there_fails_the_group_with_where_it_is_named(rack: Rack) -> None:
    arguments = rack.arguments()
    port = str(rack.yard.daemon.port)
    path = rack.board.folder / "devices.yaml"
    path.write_text(path.read_text().replace(port, "1"))
    ran = rack.board.run(rack.group(), *arguments)
    assert ran.exit_code == 3
    assert any("VLANd at 127.0.0.1:1 can't be reached" in each for each in errors(ran))


def test_an_interrupted_run_leaves_nothing_on_the_switch(rack: Rack) -> None:
    process = rack.start("sleep 1000")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert rack.yard.untouched


def test_the_run_after_one_that_was_killed_puts_everything_back(rack: Rack) -> None:
    process = rack.start("sleep 1000")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not rack.yard.untouched
    checks = rack.board.start("doctor", "--json")
    stdout, _ = checks.communicate(timeout=60)
    assert "left on switches" in stdout
    assert "eth1 of board-1, port 1 of s1" in stdout
    rack.run_another()
    assert rack.yard.untouched


def test_a_daemon_that_dies_meanwhile_is_told_and_the_next_run_puts_everything_back(
    rack: Rack,
) -> None:
    down = yards.answer({"response": "ERROR", "error": "all switches are down"})
    rack.yard.trouble("api.restore_base_vlan", *[down] * 8)
    ran = rack.run()
    assert ran.exit_code == 3
    assert any("all switches are down" in each for each in errors(ran))
    rack.yard.troubles.clear()
    rack.run_another()
    assert rack.yard.untouched
