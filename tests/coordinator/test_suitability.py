"""What is refused of a run that is to join a group elsewhere, before anything is tried."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.commandline import callboard, document
from tests.conformance.rule import DEFINITIONS
from tests.coordinator.bridging import delayed
from tests.system.harness import Test, definition

from callboard.coordinator.joining import is_job

_NOWHERE = "lava://127.0.0.1:1"


@pytest.mark.parametrize(
    ("file", "options", "code", "message", "hint"),
    [
        ("sync", ["--roles", "sever"], "CB295", "has no role `sever`", "the roles are"),
        (
            "lava-group",
            ["--group-size", "1"],
            "CB295",
            "would have 1 node, and",
            "counts all nodes",
        ),
        (
            "guest-in-group",
            ["--roles", "guest"],
            "CB296",
            "`guest` logs in on `host`",
            "now `guest` is, and `host` isn't",
        ),
        (
            "guest-in-group",
            ["--roles", "host"],
            "CB296",
            "`guest` logs in on `host`",
            "now `host` is, and `guest` isn't",
        ),
        ("vlan-deployed", ["--roles", "a"], "CB296", "VLANs such as", "run all roles here"),
        ("start-of-named-roles", [], "CB296", "`lava-start` would let", "name all of these roles"),
    ],
)
def test_what_can_not_be_joined_is_refused(
    tmp_path: Path, file: str, options: list[str], code: str, message: str, hint: str
) -> None:
    path = DEFINITIONS / f"{file}.yaml"
    ran = callboard(tmp_path, "run", path, "--json", "--coordinator", _NOWHERE, *options)
    assert ran.returncode == 2, ran.stderr
    [found, *_] = [each for each in document(ran)["diagnostics"] if each["severity"] == "error"]
    assert found["code"] == code
    assert message in found["message"]
    assert hint in found["hint"]


def test_roles_without_nodes_have_nothing_to_run(tmp_path: Path) -> None:
    test = [Test("t", ["true"])]
    text = definition({"a": test, "b": test}, counts={"b": 0})
    (tmp_path / "group.yaml").write_text(text)
    ran = callboard(tmp_path, "run", "group.yaml", "--coordinator", _NOWHERE, "--roles", "b")
    assert ran.returncode == 2
    assert "no node has one of the roles b: their `count` is 0" in ran.stderr


def test_devices_are_needed_for_the_roles_that_run_here_only(tmp_path: Path) -> None:
    text = definition({"a": [Test("t", ["true"])], "b": [Test("t", ["true"])]}, limit_s=1)
    (tmp_path / "group.yaml").write_text(delayed(text, "a", "b"))
    (tmp_path / "devices.yaml").write_text("devices:\n  one: {type: qemu, driver: local}\n")
    words = ("run", "group.yaml", "--devices", "devices.yaml")
    ran = callboard(tmp_path, *words)
    assert ran.returncode == 2
    assert "the group needs 2 devices at once" in ran.stderr
    options = ("--coordinator", _NOWHERE, "--roles", "a", "--no-check")
    ran = callboard(tmp_path, *words, *options)
    assert ran.returncode == 3, ran.stderr
    assert f"{_NOWHERE} has not answered within 1 s: connection refused" in ran.stdout


@given(st.text(max_size=20))
def test_a_name_is_a_jobs_only_if_it_is_how_its_id_is_written(name: str) -> None:
    assert not is_job(name) or str(int(name)) == name


@given(st.integers(min_value=1, max_value=2**59))
def test_every_id_of_a_job_is_one(job: int) -> None:
    assert is_job(str(job))
