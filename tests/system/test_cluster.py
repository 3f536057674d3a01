"""Groups over three machines, each with a network of its own, and what befalls these."""

import json
import os
import select
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from shutil import rmtree
from typing import Any, TypeVar

import pytest
import yaml
from attrs import define, field
from tests.actors.drivers.hosting import needs_sshd
from tests.cluster.server import Server
from tests.system.boxes import BUSYBOX, Running, begin, clear, collect, left, yard
from tests.system.harness import Callboard, Test, inline
from tests.system.namespaces import HUB, Street, open_street

from callboard.events import Body, JobCreated, JobEnded, TestCaseResult, read_log

B = TypeVar("B", bound=Body)

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes network namespaces"),
    pytest.mark.needs_lxc("busybox"),
    pytest.mark.timeout(240),
]

LEASE_S = 2
_SSH_PORT = 2222
CACHE = "/tmp/lava_multi_node_cache.txt"
MACHINES = ("w1", "w2", "w3")

Role = tuple[Mapping[str, object], list[str]]
"""What a role has besides its number, and the steps of its test."""


@define(eq=False)
class Lab:
    """A server, workers on three machines, and a client on a fourth.

    Attributes:
        street: The machines.
        client: The command line of a user.
        boards: The command line on each worker's machine.
        workers: The processes of the workers.
        running: Those of users.
        url: Of the server.
    """

    street: Street
    client: Callboard
    boards: dict[str, Callboard]
    workers: "dict[str, subprocess.Popen[str]]" = field(factory=dict)
    running: "list[subprocess.Popen[str]]" = field(factory=list)
    url: str = ""

    def start(self, *names: str, leading: Collection[str] = MACHINES) -> None:
        """Start workers, and return when they offer their devices."""
        for name in names:
            board = self.boards[name]
            file = str(board.folder / f"{name}.yaml")
            words = ("worker", "--nats", self.url, "--name", name, "--devices", file)
            options = () if name in leading else ("--no-lead",)
            self.workers[name] = board.start(*words, *options)
        for name in names:
            self.hear(name, "offers")

    def hear(self, name: str, text: str) -> list[str]:
        """What a worker says, up to a line with a text."""
        stream = self.workers[name].stderr
        assert stream is not None
        lines: list[str] = []
        for line in stream:
            lines.append(line)
            if text in line:
                return lines
        raise AssertionError(f"{name} has never said {text!r}: {lines}")

    def kill(self, name: str) -> None:
        """End a worker as `kill -9` does."""
        process = self.workers.pop(name)
        process.kill()
        _forget(process)

    def end(self) -> None:
        """End all workers in order."""
        for name in self.boards:
            self.street.mend(name)
        for process in self.workers.values():
            process.terminate()
        for name, process in self.workers.items():
            _, said = process.communicate(timeout=60)
            assert process.returncode == 0, (name, said)
            assert "Traceback" not in said

    def begin(self, definition: str, name: str) -> Running:
        """Have a user run a group."""
        running = begin(self.client, definition, "--nats", self.url, name=name)
        self.running.append(running.process)
        return running

    def said(self, *words: str) -> Any:
        """The document that a command says."""
        process = self.client.start(*words, "--nats", self.url, "--json")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return json.loads(out)

    def containers(self, name: str) -> list[str]:
        """The containers on a machine."""
        return yard(self.boards[name]).names()


@pytest.fixture
def lab(callboard: Callboard) -> Iterator[Lab]:
    with open_lab(callboard) as lab:
        yield lab
        lab.end()
        for name, board in lab.boards.items():
            assert left(board) == [], f"containers were left on {name}"
            assert list(board.temporary.iterdir()) == [], f"files of nodes were left on {name}"


@contextmanager
def open_lab(callboard: Callboard) -> Iterator[Lab]:
    """A lab without workers yet; nothing of it is left."""
    with ExitStack() as stack:
        street = stack.enter_context(open_street(*MACHINES))
        prefix = street.hub.prefix
        server = Server(callboard.folder / "nats", prefix=prefix, host=HUB)
        stack.enter_context(server)
        client = Callboard(callboard.folder, callboard.temporary, prefix)
        boards = {name: _board(callboard, street, name) for name in MACHINES}
        lab = Lab(street, client, boards, url=server.url)
        stack.callback(_close, lab)
        lab.said("cluster", "init", "--lease", str(LEASE_S))
        yield lab


def _board(callboard: Callboard, street: Street, name: str) -> Callboard:
    temporary = callboard.temporary / name
    temporary.mkdir()
    script = callboard.folder / "rcS"  # nobody gives out addresses
    script.write_text("#!/bin/sh\nifconfig eth0 10.88.0.2 netmask 255.255.255.0 up\n")
    script.chmod(0o755)
    mounts = [{"source": str(script), "target": "/etc/init.d/rcS"}]
    number = name.removeprefix("w")
    devices: dict[str, object] = {
        f"box-{number}": {"type": "lxc", "driver": "lxc", "mounts": mounts, **BUSYBOX},
        f"desk-{number}": {"type": "qemu", "ssh_port": _SSH_PORT},
    }
    (callboard.folder / f"{name}.yaml").write_text(yaml.safe_dump({"devices": devices}))
    prefix = street.machines[name].prefix
    return Callboard(callboard.folder, temporary, prefix, state=callboard.folder / f"state-{name}")


def _close(lab: Lab) -> None:
    """Remove what a test that has failed may have left, too."""
    for process in [*lab.running, *lab.workers.values()]:
        if process.poll() is None:
            process.kill()
        _forget(process)
    for board in lab.boards.values():
        if yard(board).folder.exists():
            collect(board)
        clear(board)
        rmtree(board.temporary)


def _forget(process: "subprocess.Popen[str]") -> None:
    """Wait for a process that was killed; its containers have its standard error, too."""
    process.wait()
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def group(roles: Mapping[str, Role], *actions: object, name: str = "over-machines") -> str:
    """A definition in which each role has one node, unless it says otherwise."""
    boxes = [each for each, (has, _) in roles.items() if has.get("device_type") == "lxc"]
    desks = [each for each, (has, _) in roles.items() if has.get("device_type") == "qemu"]
    made: list[object] = [
        {"deploy": {"role": boxes, "to": "overlay"}},
        {"boot": {"role": boxes, "method": "minimal", "prompts": ["#"]}},
    ]
    image = {"rootfs": {"url": "http://files.example/rootfs.img"}}
    if desks:
        made += [
            {"deploy": {"role": desks, "to": "tmpfs", "authorize": "ssh", "images": image}},
            {"boot": {"role": desks, "method": "qemu", "prompts": ["#"]}},
        ]
    made += actions
    made += [
        {"test": {"role": [each], "definitions": [inline(Test("t", steps))]}}
        for each, (_, steps) in roles.items()
    ]
    described = {each: {"count": 1, **has} for each, (has, _) in roles.items()}
    return yaml.safe_dump(
        {
            "job_name": name,
            "visibility": "public",
            "timeouts": {"job": {"minutes": 5}, "action": {"minutes": 2}},
            "protocols": {"lava-multinode": {"roles": described, "timeout": {"minutes": 1}}},
            "actions": made,
        },
        sort_keys=False,
    )


def healths(running: Running) -> dict[str, str]:
    """How each role's job ended, or the type of its error."""
    roles = {each.job: str(each.role) for each in events(running, JobCreated)}
    return {
        roles[each.job]: each.error.type
        if each.error and each.health != "canceled"
        else each.health
        for each in events(running, JobEnded)
    }


def events(running: Running, kind: type[B]) -> Iterator[B]:
    """What a group has recorded of a kind."""
    return (each.body for each in read_log(running.log) if isinstance(each.body, kind))


def results(running: Running) -> dict[tuple[str, str], str]:
    """The results of test cases, by role and case."""
    roles = {each.job: str(each.role) for each in events(running, JobCreated)}
    found = events(running, TestCaseResult)
    return {(roles[each.job], each.case): each.result for each in found if each.suite == "0_t"}


GUESTS: list[object] = [
    {
        "deploy": {
            "role": ["guest"],
            "to": "ssh",
            "os": "debian",
            "protocols": {
                "lava-multinode": [
                    {
                        "action": "prepare-scp-overlay",
                        "request": "lava-wait",
                        "messageID": "address",
                        "message": {"ipaddr": "$ipaddr"},
                        "timeout": {"minutes": 1},
                    }
                ]
            },
        }
    },
    {
        "boot": {
            "role": ["guest"],
            "method": "ssh",
            "prompts": ["#"],
            "parameters": {"hostID": "address", "host_key": "ipaddr"},
        }
    },
]

_SSHD = f"/usr/sbin/sshd -f /dev/null -p {_SSH_PORT} -o ListenAddress=127.0.0.1 -o PidFile=none"


@needs_sshd
def test_a_group_over_three_machines_meets(lab: Lab) -> None:
    lab.start(*MACHINES)
    offered = lab.said("devices")
    assert {each["name"] for each in offered["devices"]} >= {"box-1", "box-2", "box-3", "desk-1"}
    stage = [
        "mkdir -p /run/sshd",
        "echo only-here > /etc/stage",
        _SSHD,
        "lava-send address ipaddr=127.0.0.1",
        "lava-send lava_start",
        "lava-sync all",
        "lava-test-case all-came --shell test $(wc -l < /tmp/came) = 2",
    ]
    guest = [
        "lava-test-case same-system --shell grep -q only-here /etc/stage",
        "lava-self >> /tmp/came",
        "lava-sync all",
    ]
    late = {"request": "lava-start", "expect_role": "server"}
    roles: dict[str, Role] = {
        "server": (
            {"device_type": "lxc", "essential": True},
            ["lava-send up name=$(hostname)", "lava-send lava_start", "lava-sync all"],
        ),
        "client": (
            {"device_type": "lxc"},
            [
                "lava-wait up",
                f"lava-test-case other --shell test $(cut -d= -f2 {CACHE}) != $(hostname)",
                "lava-sync all",
            ],
        ),
        "stage": ({"device_type": "qemu", "essential": True}, stage),
        "guest": (
            {"connection": "ssh", "count": 2, "host_role": "stage", "request": "lava-start"}
            | {"expect_role": "stage"},
            guest,
        ),
        "late": ({"device_type": "qemu", **late}, ["lava-sync all"]),
    }
    running = lab.begin(group(roles, *GUESTS), "meets")
    assert running.end() == 0, healths(running)
    assert set(healths(running).values()) == {"complete"}
    found = results(running)
    assert found["client", "other"] == found["guest", "same-system"] == "pass"
    assert found["stage", "all-came"] == "pass"
    devices = [each.device for each in events(running, JobCreated)]
    machines = {each.split("/")[0] for each in devices if "/box-" in each}
    assert len(machines) == 2, "each has one container to offer"


def broken(essential: str = "") -> str:
    """A group of which `near` is on w1, and goes on for ever; the others wait for it."""
    return group(
        {
            "near": (
                {"device_type": "lxc", "device": "box-1", "essential": essential == "near"},
                ["lava-send up", "sleep 4711"],
            ),
            "mate": (
                {"device_type": "lxc", "device": "box-2"},
                ["lava-wait up", "lava-wait-all never near"],
            ),
            "aside": (
                {"device_type": "qemu", "device": "desk-3"},
                ["lava-wait up", "lava-test-case fine --result pass", "lava-wait-all never near"],
            ),
        }
    )


ALONE = group(
    {"next": ({"device_type": "lxc", "device": "box-1"}, ["lava-test-case in --result pass"])},
    name="next",
)


@pytest.mark.parametrize("essential", ["", "near"])
def test_a_machine_that_is_cut_off_for_long_loses_its_jobs_alone(lab: Lab, essential: str) -> None:
    lab.start(*MACHINES, leading=["w2"])
    running = lab.begin(broken(essential), "broken")
    running.wait_for('"call":"wait-all","id":"never"', times=2)
    [container] = lab.containers("w1")
    lab.street.cut("w1")
    assert running.end() == 3
    other = "canceled" if essential else "complete"
    assert healths(running) == {"near": "InfrastructureError", "mate": other, "aside": other}
    assert lab.containers("w1") == [container], "nobody can reach it"
    following = lab.begin(ALONE, "following")
    following.await_note("a device of type lxc named box-1")
    lab.hear("w1", "NATS is unreachable")
    most = 1
    lab.street.mend("w1")
    while following.process.poll() is None:
        most = max(most, len(lab.containers("w1")))
        select.select([], [], [], 0.02)
    assert following.end() == 0, healths(following)
    assert most == 1, "two groups have had one device"
    lab.hear("w1", "NATS is back")


def test_a_machine_that_is_cut_off_for_a_moment_loses_nothing(lab: Lab) -> None:
    lab.start(*MACHINES)
    steps = [
        "lava-sync begin",
        "for n in 1 2 3 4 5 6 7 8; do lava-send m-$n; lava-wait-all m-$n; sleep 0.3; done",
        "lava-sync end",
    ]
    roles: dict[str, Role] = {
        f"r{number}": ({"device_type": "lxc", "device": f"box-{number}"}, steps)
        for number in (1, 2, 3)
    }
    running = lab.begin(group(roles), "moment")
    for number, name in enumerate(MACHINES, 1):
        running.wait_for(f'"id":"m-{2 * number}"', times=2)
        lab.street.cut(name)
        select.select([], [], [], LEASE_S / 3)
        lab.street.mend(name)
    assert running.end() == 0, healths(running)
    assert set(healths(running).values()) == {"complete"}


@pytest.mark.parametrize("leader", ["w1", "w2"])
def test_a_worker_that_is_killed_reclaims_its_containers_when_it_is_back(
    lab: Lab, leader: str
) -> None:
    """Also when it is the only one that leads, so that all wait for it."""
    lab.start(*MACHINES, leading=[leader])
    running = lab.begin(broken(), "broken")
    running.wait_for('"call":"wait-all","id":"never"', times=2)
    [container] = lab.containers("w1")
    lab.kill("w1")
    assert lab.containers("w1") == [container]
    lab.start("w1", leading=[leader])
    assert lab.containers("w1") == []
    assert running.end() == 3
    assert healths(running) == {
        "near": "InfrastructureError",
        "mate": "complete",
        "aside": "complete",
    }
    following = lab.begin(ALONE, "following")
    assert following.end() == 0, healths(following)
