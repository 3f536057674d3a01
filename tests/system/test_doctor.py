"""`callboard doctor` on machines that can and can't make nodes."""

import json
import os
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.system.harness import Callboard

from callboard.report import schema

NO_NAMESPACES = (
    "unshare",
    "--user",
    "--map-current-user",
    "--keep-caps",
    "sh",
    "-c",
    'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"',
    "-",
)
NO_SYS_ADMIN = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin")


def examine(callboard: Callboard, *prefix: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the checks by their name."""
    board = Callboard(callboard.folder, callboard.temporary, (*callboard.prefix, *prefix))
    process = board.start("doctor", "--json")
    stdout, stderr = process.communicate(timeout=60)
    assert stderr == ""
    document = json.loads(stdout)
    Draft202012Validator(schema("doctor")).validate(document)
    assert document["exit_code"] == process.returncode
    return process.returncode, {each["name"]: each for each in document["checks"]}


def test_a_machine_that_can_make_nodes_is_fine(anybody: Callboard) -> None:
    code, checks = examine(anybody)
    assert code == 0
    assert checks["throw-away nodes"]["ok"]
    assert checks["limits of a node"]["ok"]
    assert checks["git definitions"]["ok"]


def test_an_ordinary_user_is_told_how_packages_could_be_installed(ordinary: Callboard) -> None:
    _, checks = examine(ordinary)
    assert "ordinary user" in checks["throw-away nodes"]["detail"]
    assert not checks["packages in nodes"]["ok"]
    assert checks["packages in nodes"]["cure"] == "run callboard as root"


def test_a_user_without_namespaces_gets_the_command_that_allows_them(ordinary: Callboard) -> None:
    code, checks = examine(ordinary, *NO_NAMESPACES)
    assert code == 1
    assert not checks["throw-away nodes"]["ok"]
    assert "sysctl -w user.max_user_namespaces" in checks["throw-away nodes"]["cure"]


@pytest.mark.skipif(os.geteuid() != 0, reason="it is root whose rights are taken away")
def test_a_root_without_its_rights_is_told_which_one_is_missing(callboard: Callboard) -> None:
    code, checks = examine(callboard, *NO_SYS_ADMIN)
    assert code == 1
    assert "CAP_SYS_ADMIN" in checks["throw-away nodes"]["cure"]


def test_the_text_fits_a_narrow_terminal_without_colours(ordinary: Callboard) -> None:
    board = Callboard(ordinary.folder, ordinary.temporary, (*ordinary.prefix, *NO_NAMESPACES))
    process = board.start("doctor", "--color", "never")
    stdout, _ = process.communicate(timeout=60)
    assert "\x1b" not in stdout
    assert all(len(line) <= 80 for line in stdout.splitlines())
    assert "sysctl -w user.max_user_namespaces=15000" in stdout


def test_a_home_that_can_not_be_entered_is_no_hindrance(ordinary: Callboard) -> None:
    closed = ordinary.folder / "closed"
    closed.mkdir(mode=0o700)
    code, _ = examine(ordinary, "env", f"HOME={closed}/home", "XDG_CONFIG_HOME=")
    assert code == 0


def test_a_machine_without_lxc_is_told_how_to_get_it(anybody: Callboard) -> None:
    empty = anybody.folder / "bin"
    empty.mkdir()
    code, checks = examine(anybody, "env", f"PATH={empty}")
    assert code == 0, "groups without containers run all the same"
    assert not checks["container tools"]["ok"]
    assert "lxc-create" in checks["container tools"]["detail"]
    assert "lxc" in checks["container tools"]["cure"].split()
    assert "container network" not in checks


def test_only_root_is_ready_for_containers(anybody: Callboard) -> None:
    _, checks = examine(anybody)
    is_root = "as root" in checks["throw-away nodes"]["detail"]
    assert checks["containers"]["ok"] == is_root
    if not is_root:
        assert checks["containers"]["cure"] == "run callboard as root"


def test_whoever_has_no_ssh_is_told_what_to_install(anybody: Callboard) -> None:
    empty = anybody.folder / "bin"
    empty.mkdir()
    _, checks = examine(anybody, "env", f"PATH={empty}")
    assert checks["ssh guests"]["detail"] == "ssh and ssh-keygen not installed"
    assert "openssh-client" in checks["ssh guests"]["cure"]
