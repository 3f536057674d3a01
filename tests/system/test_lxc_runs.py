"""Groups of real containers, from the command line; nothing of them may be left."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from tests.system.boxes import (
    BUSYBOX,
    DEBIAN,
    FOREVER,
    begin,
    collect,
    group,
    left,
    rack,
    tools_without,
    unreachable,
    yard,
)
from tests.system.conftest import ROOT
from tests.system.harness import Callboard, Test, inline

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.errors import InfrastructureError
from callboard.events import Message

pytestmark = pytest.mark.needs_lxc("busybox")


@pytest.fixture
def boxes(callboard: Callboard) -> Iterator[Callboard]:
    """The command line; after the test nothing of a container may be left."""
    yield callboard
    found = left(callboard)
    if callboard.state.is_dir():
        collect(callboard, "--bases")
    assert found == []


WHERE = "lava-test-case $(hostname) --result pass"
"""Tells where it runs."""


def cases(job: dict[str, Any]) -> dict[str, str]:
    """The one case of each test definition of a job."""
    found = [each for each in job["results"] if each["suite"] != "lava"]
    return {each["suite"].partition("_")[2]: each["case"] for each in found}


# What groups do


def test_three_containers_talk_by_the_addresses_that_they_exchanged(boxes: Callboard) -> None:
    steps = [
        "nc -ll -p 7000 -e /bin/hostname &",
        "lava-send here ip=$(lava-echo-ipv4 eth0)",
        "lava-wait-all here",
        "n=0; for ip in $(cut -d= -f2 /tmp/lava_multi_node_cache.txt); do nc $ip 7000; done",
        "lava-sync talked",
    ]
    ran = boxes.run(group({"peer": [Test("t", steps)]}, counts={"peer": 3}))
    assert ran.exit_code == 0, ran.document
    assert [job["health"] for job in ran.jobs("peer")] == ["complete"] * 3
    said = ran.console("peer")
    names = {f"peer-{job['id']}" for job in ran.jobs("peer")}
    assert names <= set(said)


def test_a_container_beside_a_device_has_a_namespace_of_its_own(boxes: Callboard) -> None:
    inside, outside = inline(Test("in", [WHERE])), inline(Test("out", [WHERE]))
    image = {"rootfs": {"url": "http://files.example/rootfs.img"}}
    definition = {
        "job_name": "beside",
        "device_type": "qemu",
        "visibility": "public",
        "timeouts": {"job": {"minutes": 5}, "action": {"minutes": 2}},
        "protocols": {"lava-lxc": {"name": "box", **BUSYBOX}},
        "actions": [
            {"deploy": {"namespace": "tlxc", "to": "lxc"}},
            {"boot": {"namespace": "tlxc", "method": "lxc", "prompts": ["#"]}},
            {"deploy": {"namespace": "device", "to": "tmpfs", "images": image}},
            {"boot": {"namespace": "device", "method": "qemu", "prompts": ["#"]}},
            {"test": {"namespace": "tlxc", "definitions": [inside]}},
            {"test": {"namespace": "device", "definitions": [outside]}},
        ],
    }
    ran = boxes.run(yaml.safe_dump(definition))
    assert ran.exit_code == 0, ran.document
    [job] = ran.document["jobs"]
    assert cases(job) == {"in": f"box-{job['id']}", "out": "local-1"}


def alone(test: dict[str, object]) -> str:
    """A job on a device of type `lxc`, without the protocol."""
    return yaml.safe_dump(
        {
            "job_name": "device",
            "device_type": "lxc",
            "visibility": "public",
            "timeouts": {"job": {"minutes": 5}, "action": {"minutes": 2}},
            "actions": [
                {"deploy": {"to": "overlay"}},
                {"boot": {"method": "minimal", "prompts": ["#"]}},
                {"test": {"definitions": [test]}},
            ],
        }
    )


def test_a_device_of_the_driver_is_a_container_without_the_protocol(boxes: Callboard) -> None:
    test = inline(Test("t", [WHERE]))
    ran = boxes.run(alone(test), *rack(boxes, "box", template="busybox"))
    assert ran.exit_code == 0, ran.document
    [job] = ran.document["jobs"]
    assert cases(job) == {"t": f"box-{job['id']}"}


def test_limits_and_mounts_of_the_devices_file_hold(boxes: Callboard) -> None:
    shared = boxes.folder / "shared"
    shared.mkdir()
    (shared / "file").write_text("of this machine")
    steps = [
        "export FORKS='for each in $(seq 50); do sleep 5 & done'",
        "lava-test-case seen --shell grep -q machine /images/file",
        "lava-test-case kept --shell '! touch /images/new'",
        "lava-test-case limited --shell '! sh -c \"$FORKS\" 2> /dev/null'",
    ]
    options = rack(
        boxes,
        "box",
        limits={"processes": 30, "memory-mib": 64},
        mounts=[{"source": str(shared), "target": "/images"}],
    )
    ran = boxes.run(group({"a": [Test("t", steps)]}), *options)
    assert ran.results("a") == {"0_t/seen": "pass", "0_t/kept": "pass", "0_t/limited": "pass"}
    assert sorted(path.name for path in shared.iterdir()) == ["file"]


def test_a_persistent_container_is_kept_with_what_it_holds(boxes: Callboard) -> None:
    container = {**BUSYBOX, "persist": True}
    first = boxes.run(group({"keep": [Test("t", ["echo kept > /root/note"])]}, container=container))
    assert first.exit_code == 0, first.document
    store = yard(boxes)
    assert store.names() == ["keep"]
    assert store.left() == []
    shutil.rmtree(first.directory)
    look = Test("t", ["lava-test-case kept --shell grep -q kept /root/note"])
    second = boxes.run(group({"keep": [look]}, container=container))
    assert second.results("keep") == {"0_t/kept": "pass"}
    said = [each.body.text for each in second.events(Message) if isinstance(each.body, Message)]
    assert "the container keep was reused" in said
    remove(boxes, "keep")


def test_who_wants_a_persistent_container_waits_for_its_owner(boxes: Callboard) -> None:
    container = {**BUSYBOX, "persist": True}
    first = begin(boxes, group({"keep": [FOREVER]}, container=container))
    first.wait_for('"case":"up"')
    second = begin(boxes, group({"keep": [Test("t", ["true"])]}, container=container), name="two")
    second.wait_for("waiting for lxc container 'keep', which job 1 of run")
    first.interrupt()
    assert first.end() == 130
    assert second.end() == 0
    remove(boxes, "keep")


def remove(boxes: Callboard, name: str) -> None:
    """Destroy a container as somebody else would."""
    anyio.run(yard(boxes).destroy, name)


@pytest.mark.needs_lxc("debian")
def test_the_scenario_of_two_containers_ends_complete(debian: Callboard) -> None:
    """They need a package, which their base has."""
    ran = debian.run(ROOT / "scenarios/lxc-pair.yaml", timeout_s=600)
    assert ran.exit_code == 0, ran.document
    assert ran.results("client")["0_fetch/fetch"] == "pass"
    assert not [name for name in yard(debian).names() if name.startswith(("client", "server"))]


# What goes wrong


def test_a_container_without_an_address_ends_its_job_in_time(boxes: Callboard) -> None:
    definition = group({"a": [Test("t", ["true"])]}, boot={"timeout": {"seconds": 2}})
    ran = boxes.run(definition, *unreachable(boxes, "box"))
    assert ran.exit_code == 3
    [job] = ran.jobs("a")
    assert job["error"]["message"].startswith("boot-lxc was still running")
    assert job["health"] == "incomplete"


def test_a_test_that_takes_too_long_is_ended_with_its_container(boxes: Callboard) -> None:
    ran = boxes.run(group({"a": [FOREVER]}, test_s=2))
    assert ran.exit_code == 3
    assert "did not end within 2 s" in ran.jobs("a")[0]["error"]["message"]


def test_a_failing_test_is_no_error(boxes: Callboard) -> None:
    ran = boxes.run(group({"a": [Test("t", ["lava-test-case no --shell false"])]}))
    assert ran.exit_code == 1
    assert ran.results("a") == {"0_t/no": "fail"}
    assert ran.jobs("a")[0]["health"] == "complete"


def test_an_essential_container_that_goes_down_takes_the_group_along(boxes: Callboard) -> None:
    definition = group(
        {
            "a": [Test("t", ["lava-sync up", "poweroff -f", "sleep 4711"])],
            "b": [Test("t", ["lava-sync up", *FOREVER.steps])],
        },
        role={"a": {"essential": True}},
    )
    ran = boxes.run(definition)
    assert ran.exit_code == 3
    assert ran.jobs("a")[0]["error"]["type"] == "InfrastructureError"
    assert ran.jobs("b")[0]["health"] == "canceled"


def test_what_a_definition_asks_of_the_machine_the_devices_file_has(boxes: Callboard) -> None:
    calls = {
        "protocols": {
            "lava-lxc": [
                {"action": "lxc-create-action", "request": "pre-power-command"},
                {"action": "lxc-create-action", "request": "pre-os-command"},
            ]
        }
    }
    mark = boxes.folder / "done"
    definition = group({"a": [Test("t", ["true"])]}, deploy=calls)
    commands = {"pre_power_command": f"touch {mark}-power", "pre_os_command": f"touch {mark}-os"}
    ran = boxes.run(definition, *rack(boxes, "box", **commands))
    assert ran.exit_code == 0, ran.document
    assert Path(f"{mark}-power").exists()
    assert Path(f"{mark}-os").exists()
    shutil.rmtree(ran.directory)
    ran = boxes.run(definition, *rack(boxes, "box", pre_power_command="false"))
    assert ran.exit_code == 3
    error = ran.jobs("a")[0]["error"]
    assert error["type"] == "InfrastructureError"
    assert (
        error["message"] == "`pre_power_command` of the device failed: `false` ended with status 1"
    )
    shutil.rmtree(ran.directory)
    ran = boxes.run(definition, *rack(boxes, "box"))
    error = ran.jobs("a")[0]["error"]
    assert error["type"] == "JobError"
    assert error["message"] == "the devices file has no `pre_power_command` for the device"


@pytest.mark.parametrize("how", ["stop", "destroy"])
def test_a_container_that_somebody_else_takes_ends_its_job(boxes: Callboard, how: str) -> None:
    run = begin(boxes, group({"a": [FOREVER]}))
    run.wait_for('"case":"up"')
    [name] = yard(boxes).names()
    tools = yard(boxes).tools
    with suppress(InfrastructureError):  # callboard cleans up as soon as the shell has gone
        anyio.run(tools.stop if how == "stop" else tools.destroy, ContainerName(name))
    assert run.end() == 3
    assert '"type":"InfrastructureError"' in run.log.read_text()


@pytest.mark.needs_lxc("debian")
def test_a_release_that_does_not_exist_is_the_definitions_fault(boxes: Callboard) -> None:
    container = {**DEBIAN, "release": "nosuch"}
    ran = boxes.run(group({"a": [Test("t", ["true"])]}, container=container))
    assert ran.exit_code == 3
    assert ran.jobs("a")[0]["error"]["type"] == "JobError"
    assert "no release nosuch" in ran.jobs("a")[0]["error"]["message"]


def test_without_its_tools_nothing_is_started_and_the_cure_is_named(boxes: Callboard) -> None:
    path = tools_without("lxc-", boxes.folder / "tools")
    board = Callboard(boxes.folder, boxes.temporary, path=path)
    ran = board.run(group({"a": [Test("t", ["true"])]}))
    assert (ran.exit_code, ran.document["diagnostics"][0]["code"]) == (2, "CB100")
    assert "LXC is not installed" in ran.document["diagnostics"][0]["message"]
    assert "apt-get install" in ran.document["diagnostics"][0]["hint"]
    assert not ran.directory.exists()


def test_an_ordinary_user_is_told_that_containers_need_root(ordinary: Callboard) -> None:
    ran = ordinary.run(group({"a": [Test("t", ["true"])]}))
    assert (ran.exit_code, ran.document["diagnostics"][0]["code"]) == (2, "CB100")
    assert "run callboard as root" in ran.document["diagnostics"][0]["hint"]
    assert not ran.directory.exists()


def test_containers_that_wait_for_each_other_are_found_out(boxes: Callboard) -> None:
    definition = group(
        {"a": [Test("t", ["lava-wait from-b"])], "b": [Test("t", ["lava-wait from-a"])]}
    )
    ran = boxes.run(definition)
    assert ran.document["hopeless"] != []
    assert ran.document["duration"] < 30


def test_work_in_the_background_of_a_container_may_still_send(boxes: Callboard) -> None:
    definition = group(
        {
            "a": [Test("t", ["lava-wait late", "lava-send done"])],
            "b": [Test("t", ["(sleep 12; lava-send late) &", "lava-wait done"])],
        }
    )
    ran = boxes.run(definition)
    assert ran.exit_code == 0, ran.document


# Interrupted and killed


@pytest.mark.parametrize("presses", [1, 2])
@pytest.mark.parametrize("block", ["deploy", "boot", "test"])
def test_an_interrupted_run_leaves_nothing(boxes: Callboard, block: str, presses: int) -> None:
    options = unreachable(boxes, "one", "two") if block == "boot" else []
    run = begin(boxes, group({"a": [FOREVER], "b": [FOREVER]}), *options)
    marks = {
        "deploy": '"name":"lxc-create-action"',
        "boot": '"name":"boot-lxc"',
        "test": '"case":"up"',
    }
    run.wait_for(marks[block], times=2)
    run.interrupt()
    if presses == 2:
        run.await_note("stopping in order")
        run.interrupt()
    assert run.end() == 130


def test_a_run_can_be_interrupted_while_a_device_is_made(boxes: Callboard) -> None:
    run = begin(boxes, alone(inline(FOREVER)), *rack(boxes, "box", template="busybox"))
    run.wait_for('"kind":"job-created"')
    run.interrupt()
    assert run.end() == 130
    assert '"kind":"job-started"' not in run.log.read_text()


@pytest.mark.parametrize("events", [1, 6, 12, 16, 20, 26, 34, 44, 56, 68])
def test_after_a_kill_the_clean_up_leaves_nothing(boxes: Callboard, events: int) -> None:
    run = begin(boxes, group({"a": [FOREVER], "b": [FOREVER]}))
    run.wait_for("\n", times=events)
    run.process.kill()
    run.process.communicate(timeout=30)
    collect(boxes)
    assert left(boxes) == []


def test_the_next_run_cleans_up_after_one_that_was_killed(boxes: Callboard) -> None:
    run = begin(boxes, group({"a": [FOREVER]}))
    run.wait_for('"case":"up"')
    [name] = yard(boxes).names()
    run.process.kill()
    run.process.communicate(timeout=30)
    assert yard(boxes).names() == [name]
    ran = boxes.run(group({"a": [Test("t", ["true"])]}))
    assert ran.exit_code == 0, ran.document
