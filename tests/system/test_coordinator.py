"""`callboard coordinator` as other users meet it."""

import os
import subprocess

import pytest
from tests.commandline import CALLBOARD
from tests.coordinator.running import Coordinator
from tests.system.harness import Callboard

NAMELESS = (
    "unshare",
    "--user",
    "--map-user=54321",
    "env",
    "--unset=HOME",
    "--unset=CALLBOARD_STATE",
)
"""What makes a command that of a user whom the machine doesn't know."""


def refused(ordinary: Callboard, *arguments: str) -> str:
    """What an ordinary user is told, in place of being served."""
    with ordinary.start("coordinator", *arguments) as process:
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (3, "")
    return " ".join(stderr.split())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
def test_another_user_is_told_whose_a_coordinator_is(ordinary: Callboard) -> None:
    with Coordinator(ordinary.folder) as coordinator:
        text = refused(ordinary, "status", "--socket", str(coordinator.control))
    assert f"error[CB293]: {coordinator.control} is another user's" in text
    assert "as root" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as another user")
def test_another_user_is_told_whose_the_groups_are(ordinary: Callboard) -> None:
    folder = ordinary.folder / "groups"
    folder.mkdir(mode=0o700)
    text = refused(ordinary, "--port", "0", "--state", str(folder))
    assert f"error[CB294]: {folder}: permission denied" in text
    assert "give it to the user that runs the coordinator" in text


def test_a_user_whom_the_machine_does_not_know_is_served(callboard: Callboard) -> None:
    """As a service of systemd with a dynamic user is, where there is no nss-systemd."""
    homes = ("HOME", "CALLBOARD_", "XDG_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(homes)}
    ran = subprocess.run(
        [*NAMELESS, *CALLBOARD, "coordinator", "status"],
        capture_output=True,
        text=True,
        cwd=callboard.folder,
        env=variables,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 3
    assert "there is no /.local/state/callboard/coordinator.sock" in ran.stderr
