"""Devices of the driver `lxc`, and `callboard lxc`."""

import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from tests.system.lxc import BUSYBOX, Yard, read_until

from callboard.actors.drivers.lxc.node import LxcNode, NoDevice
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.overlay import Overlay

pytestmark = [pytest.mark.asyncio, pytest.mark.needs_lxc("busybox")]


@pytest_asyncio.fixture
async def yard(own_state: Path) -> AsyncIterator[Yard]:
    """Containers where the command line looks for them."""
    made = Yard(own_state / "lxc")
    yield made
    for each in made.made:
        await each.remove()
    await reclaim(made.tools, made.said.append, bases=True)
    assert [*made.names(), *made.left()] == []


def _overlay() -> Overlay:
    return Overlay(7, "/lava-7", "/bin/sh", None, (), (), (), "/tmp/lava_multi_node_cache.txt", ())


async def test_a_device_can_be_a_container_of_its_own(yard: Yard) -> None:
    node = LxcNode(yard.container("box-7"))
    said: list[str] = []
    node.attend(lambda _line: None, said.append)
    assert not await node.busy()
    await node.prepare()
    assert any("is privileged" in line for line in said)
    root = node.overlay_root(7)
    assert node.shell("debian") == "/bin/sh", "busybox has no bash"
    assert node.unable("execute-qemu") == "the lxc driver starts no QEMU"
    assert node.unable("lava-test-shell") is None
    await node.install(_overlay())
    shell = await node.open_shell()
    shell.send(f"ls {root}/bin/lava-test-case; echo end\n".encode())
    assert await read_until(shell, "end\n") == f"{root}/bin/lava-test-case\nend\n"
    await node.release()
    assert yard.names() == []


async def test_a_device_that_can_not_be_made_is_an_error_of_this_machine(yard: Yard) -> None:
    node = LxcNode(yard.container("box"), ["iperf3"])
    with pytest.raises(OSError, match="the template `busybox` has no apt-get"):
        await node.prepare()
    await node.release()


async def test_a_device_that_is_nothing_but_its_container_has_no_shell_beside_it() -> None:
    node = NoDevice("lxc-1")
    await node.prepare()
    assert not await node.busy()
    with pytest.raises(OSError, match="the device lxc-1 is nothing but its container; deploy `to:"):
        await node.open_shell()
    with pytest.raises(OSError, match="nothing but its container"):
        await node.install(_overlay())
    await node.release()


async def test_the_command_line_lists_containers_and_bases(yard: Yard) -> None:
    assert _lxc("list").stdout == "callboard has made no containers on this machine\n"
    web, kept = yard.container("web-3", job=3), yard.container("keep", job=4, persistent=True)
    for each in (web, kept):
        await each.create([])
    await web.start()
    await kept.remove()
    found = _document("list")
    assert found["folder"] == str(yard.folder)
    base = BUSYBOX.base.text
    rows = [
        (each["name"], each["state"], each["run"], each["job"], each["alive"], each["persistent"])
        for each in found["containers"]
    ]
    assert rows == [
        ("keep", "stopped", "run-of-a-test", 4, False, True),
        ("web-3", "running", "run-of-a-test", 3, True, False),
    ]
    assert [(each["name"], each["clones"]) for each in found["bases"]] == [(base, 2)]
    text = _lxc("list").stdout
    assert "run-of-a (ended)" in text
    assert "busybox" in text
    await web.remove()
    await yard.destroy("keep")


async def test_the_command_line_cleans_up_what_nobody_owns(yard: Yard) -> None:
    assert _lxc("gc").stdout == "there is nothing to clean up\n"
    web, kept = yard.container("web"), yard.container("keep", persistent=True)
    for each in (web, kept):
        await each.create([])
        await each.start()
    assert _document("gc")["removed"] == [], "their jobs live"
    for each in (web, kept):
        _abandon(each)
    assert _lxc("gc").stdout == "removed web\nstopped keep, which stays\n"
    assert _document("gc") == {
        "exit_code": 0,
        "removed": [],
        "stopped": [],
        "bases": [],
        "left": [],
    }
    await yard.destroy("keep")
    assert _document("gc", "--bases")["bases"] == [BUSYBOX.base.text]


async def test_the_command_line_says_what_containers_need() -> None:
    ran = _lxc("list", path="/nonexistent")
    assert ran.returncode == 2
    assert "error[CB117]: LXC is not installed: there is no lxc-attach" in ran.stderr
    assert "hint: " in ran.stderr
    assert "Traceback" not in ran.stderr


async def test_a_store_without_a_folder_has_nothing_to_clean_up(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "none")
    assert (await reclaim(yard.tools, yard.said.append, bases=True)).removed == []
    assert Store(tmp_path / "none").names() == []
    assert not tmp_path.joinpath("none").exists()


def _abandon(container: object) -> None:
    """Do as if the process that owns a container had been killed."""
    lock = getattr(container, "_lock")  # noqa: B009
    os.close(lock._descriptor)
    lock._descriptor = -1


def _lxc(*words: str, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "callboard", "lxc", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": path or os.environ["PATH"], "COLUMNS": "140"},
    )


def _document(verb: str, *words: str) -> Any:
    found = json.loads(_lxc(verb, *words, "--json").stdout)
    name = f"lxc-{verb}.schema.json"
    schema = files("callboard.report").joinpath("schemas", name).read_text()
    Draft202012Validator(json.loads(schema)).validate(found)
    return found


GROUP = """\
job_name: containers
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 2}, connection: {minutes: 1}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: lxc, count: 1}
      client: {device_type: lxc, count: 2}
    timeout: {seconds: 60}
  lava-lxc:
    server: {name: web, template: busybox, distribution: busybox, release: "1"}
    client: {name: client, template: busybox, distribution: busybox, release: "1"}
actions:
- deploy: {role: [server, client], to: lxc, os: oe}
- boot: {role: [server, client], method: lxc, prompts: ["root@(.*):/#"]}
- test:
    role: [server, client]
    definitions:
    - from: inline
      name: meet
      path: inline/meet.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: meet}
        run: {steps: ["trap '' TERM HUP INT; (setsid sleep 1000 &)", lava-sync met, sleep 1000]}
"""


async def test_nothing_is_left_of_a_run_killed_at_any_moment_once_it_is_cleaned_up(
    yard: Yard, tmp_path: Path
) -> None:
    (tmp_path / "group.yaml").write_text(GROUP)
    moments = [1, *random.Random(7).sample(range(2, 15), 9)]
    for number, moment in enumerate(moments):
        lines = _killed_run(tmp_path, f"out-{number}", moment)
        assert all(lines), lines
        assert _document("gc")["left"] == []
        assert [*yard.names(), *yard.left()] == [], f"after {lines[-1]!r}"


def _killed_run(folder: Path, output: str, moment: int) -> list[str]:
    """The lines that a run prints before it is killed, as many as `moment` says."""
    run = subprocess.Popen(
        [sys.executable, "-m", "callboard", "run", "group.yaml", "-o", output],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
    )
    assert run.stdout is not None
    lines = [run.stdout.readline() for _ in range(moment)]
    run.kill()
    run.wait()
    run.stdout.close()
    return lines
