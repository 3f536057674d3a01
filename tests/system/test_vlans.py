"""VLANs between nodes of this machine: who shares one reaches the other, while it lasts."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml
from tests.system.conftest import ROOT
from tests.system.harness import Callboard, Ran, Test, definition

from callboard.events import (
    Body,
    LogError,
    PortMoved,
    PortRestored,
    VlanCreated,
    VlanDeleted,
    read_log,
)

FIND = (
    "device() { grep -l "
    '"$(lava-vland-self | grep "^$(lava-vland-names | grep "^$1," | cut -d, -f2)," | cut -d, -f2)" '
    "/sys/class/net/*/address | cut -d/ -f5; }"
)
"""A shell function: what the kernel calls the interface of a VLAN."""


def group(roles: dict[str, list[Test]], vlans: dict[str, list[str]], **more: object) -> str:
    """A group whose VLANs are deployed before the second test of each role, if it has two."""
    document = yaml.safe_load(definition(roles, **more))  # type: ignore[arg-type]
    document["protocols"]["lava-vland"] = {
        role: {vlan: {"tags": ["RJ45"]} for vlan in vlans[role]} for role in roles
    }
    document["timeouts"]["connection"] = {"minutes": 2}
    tests = [each for each in document["actions"] if "test" in each]
    others = [each for each in document["actions"] if "test" not in each]
    split: list[object] = []
    for each in tests:
        role, definitions = each["test"]["role"], each["test"]["definitions"]
        *before, last = definitions
        request = {"lava-vland": [{"action": "multinode-test", "request": "deploy_vlans"}]}
        if before:
            split.append({"test": {"role": role, "definitions": before}})
        split.append({"test": {"role": role, "protocols": request, "definitions": [last]}})
    document["actions"] = [*others, *split]
    return yaml.safe_dump(document, sort_keys=False)


@pytest.fixture(autouse=True)
def elsewhere() -> Iterator[None]:
    """No bridge of a group is an interface of this machine, neither then nor later."""
    yield
    shown = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=True).stdout
    names = [each["ifname"] for each in json.loads(shown)]
    assert not [name for name in names if re.fullmatch(r"group0|vlan\d+", name)]


def ports(ran: Ran, kind: type[PortMoved | PortRestored]) -> list[tuple[int, str]]:
    """Job and VLAN of each port that was moved, or restored."""
    return sorted(
        (event.body.job, event.body.vlan)
        for event in ran.events(kind)
        if isinstance(event.body, PortMoved | PortRestored)
    )


def assert_all_undone(ran: Ran) -> None:
    assert ports(ran, PortMoved)
    assert ports(ran, PortMoved) == ports(ran, PortRestored)
    assert len(ran.events(VlanCreated)) == len(ran.events(VlanDeleted)) > 0


def reaches(name: str, address: str) -> list[str]:
    """Steps that pass if both ping and TCP get through.

    The first packet may be lost to a question for the address that nobody answered before.
    """
    return [
        f"lava-test-case ping-{name} --shell ping -c 3 -i 0.5 -W 5 {address}",
        f"lava-test-case tcp-{name} --shell nc -d -w 5 {address} 7000",
    ]


def misses(name: str, address: str) -> list[str]:
    """Steps that pass if neither does."""
    return [
        f"lava-test-case ping-{name} --shell '! ping -c 1 -W 1 {address}'",
        f"lava-test-case tcp-{name} --shell '! nc -d -w 1 {address} 7000'",
    ]


def test_nodes_reach_each_other_in_their_vlan_only_and_only_while_it_is_there(
    anybody: Callboard,
) -> None:
    assert_apart_but_for_vlans(anybody.run(three()))


@pytest.mark.needs_lxc("debian")
def test_containers_reach_each_other_in_their_vlan_only_and_only_while_it_is_there(
    debian: Callboard,
) -> None:
    boxes = ROOT / "scenarios/two-vlans/containers.yaml"
    found = three(limit_s=300, action_s=600)
    assert_apart_but_for_vlans(debian.run(found, "--devices", str(boxes), timeout_s=600))


def three(**limits: int) -> str:
    """A group whose middle node is in both VLANs, the others in one each.

    They try to reach each other before there are any, in them, and when the middle one has left.
    """
    serve = "nc -l -k -p 7000 < /etc/hostname > /dev/null &"

    def outer(own: str, middle: str, other: str, vlan: str) -> list[Test]:
        return [
            Test(
                "before",
                [
                    FIND,
                    serve,
                    f'ip addr add {own}/16 dev "$(device {vlan})"',
                    "lava-sync addressed",
                    *misses("middle", middle),
                    "lava-sync tried",
                ],
            ),
            Test(
                "during",
                [
                    "lava-sync deployed",  # of all
                    *reaches("middle", middle),
                    *misses("other", other),
                    "lava-sync over",
                    # the middle one ends now, and its ports leave the VLANs
                    f"while ping -c 1 -W 1 {middle} > /dev/null; do :; done",
                    *misses("after", middle),
                ],
            ),
        ]

    middle = [
        Test(
            "before",
            [
                FIND,
                serve,
                'ip addr add 10.99.1.2/24 dev "$(device one)"',
                'ip addr add 10.99.2.2/24 dev "$(device two)"',
                "lava-sync addressed",
                "lava-sync tried",
            ],
        ),
        Test(
            "during",
            [
                "lava-sync deployed",
                *reaches("left", "10.99.1.1"),
                *reaches("right", "10.99.2.3"),
                "lava-sync over",
            ],
        ),
    ]
    roles = {
        "left": outer("10.99.1.1", "10.99.1.2", "10.99.2.3", "one"),
        "middle": middle,
        "right": outer("10.99.2.3", "10.99.2.2", "10.99.1.1", "two"),
    }
    vlans = {"left": ["one"], "middle": ["one", "two"], "right": ["two"]}
    return group(roles, vlans, **limits)


def assert_apart_but_for_vlans(ran: Ran) -> None:
    """`ping` and TCP agree on who reaches whom, and all is undone in the end."""
    assert ran.exit_code == 0, [ran.results(role) for role in ("left", "middle", "right")]
    for role in ("left", "right"):
        cases = {case: result for case, result in ran.results(role).items() if "sync" not in case}
        assert cases == dict.fromkeys(
            [
                *("0_before/ping-middle", "0_before/tcp-middle"),
                *("1_during/ping-middle", "1_during/tcp-middle"),
                *("1_during/ping-other", "1_during/tcp-other"),
                *("1_during/ping-after", "1_during/tcp-after"),
            ],
            "pass",
        )
    assert ran.results("middle")["1_during/ping-left"] == "pass"
    assert ran.results("middle")["1_during/tcp-right"] == "pass"
    assert_all_undone(ran)


PAIR = {"a": ["one"], "b": ["one"]}


def test_all_nodes_of_a_role_are_in_its_vlans(ordinary: Callboard) -> None:
    roles = {"a": [Test("t", ["lava-vland-names"])], "b": [Test("t", ["lava-vland-tags"])]}
    ran = ordinary.run(group(roles, PAIR, counts={"b": 3}))
    assert ran.exit_code == 0
    assert "role `b` has `count: 3`" in ran.stderr
    assert len(ran.events(PortMoved)) == 4
    assert "one,eth1" in ran.console("a")
    assert "eth1,RJ45" in ran.console("b")
    assert_all_undone(ran)


def test_vlans_are_undone_when_a_job_fails(ordinary: Callboard) -> None:
    roles = {
        "a": [Test("t", ["lava-sync there", "lava-test-raise broken"])],
        "b": [Test("t", ["lava-sync there", "lava-wait never"])],
    }
    ran = ordinary.run(group(roles, PAIR))
    assert ran.exit_code == 3
    assert_all_undone(ran)


def test_vlans_are_undone_when_time_is_up(ordinary: Callboard) -> None:
    roles = {
        "a": [Test("t", ["lava-sync there", "sleep 600"])],
        "b": [Test("t", ["lava-sync there"])],
    }
    ran = ordinary.run(group(roles, PAIR, action_s=5))
    assert ran.exit_code == 3
    assert_all_undone(ran)


def happened(board: Callboard, kind: type[Body], number: int) -> bool:
    """Whether so many events of a kind are in the log by now."""
    log = board.folder / "run/events.jsonl"
    try:
        return sum(isinstance(event.body, kind) for event in read_log(log)) >= number
    except (OSError, LogError):
        return False


def test_vlans_are_undone_after_an_interruption(ordinary: Callboard) -> None:
    roles = {name: [Test("t", ["lava-sync there", "sleep 600"])] for name in PAIR}
    path = ordinary.write(group(roles, PAIR))
    directory = ordinary.folder / "run"
    process = ordinary.start("run", str(path), "--json", "-o", str(directory))
    deadline_s = time.monotonic() + 60
    while not happened(ordinary, PortMoved, 2):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert_all_undone(Ran(130, json.loads(stdout), directory, stderr))


def test_vlans_need_a_network_of_the_groups_own(ordinary: Callboard) -> None:
    roles = {name: [Test("t", ["true"])] for name in PAIR}
    ran = ordinary.run(group(roles, PAIR), "--network", "host")
    assert ran.exit_code == 2
    assert [each["code"] for each in ran.document["diagnostics"]] == ["CB241"]
