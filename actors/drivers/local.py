"""What all nodes on this machine have in common, in a sandbox or not."""

import os
import pwd
from pathlib import Path

from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.terminal import Terminal
from callboard.definition.model import PipelineAction

BASH_SYSTEMS = frozenset(
    {"debian", "ubuntu", "fedora", "centos", "debian_installer", "centos_installer"}
)
"""Operating systems whose tests LAVA runs with bash (LAVA: deployment data)."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

COMMAND_LOOP = (
    "trap _cut=1 INT; while _cut=; do "
    'if IFS= read -r _line; then eval "$_line"; else [ "$_cut" ] || break; fi; done'
)
"""A shell that reads commands from its terminal but prints no prompt and edits no lines.

A ^C ends the command that runs. Where none does it ends `read`, in all shells but bash, and that
is not the end of the input. There is no single quote in it, for it stands between two elsewhere.
"""


class LocalNode:
    """What `callboard.actors.drivers.Node` asks for and every local node answers alike.

    Args:
        name: Name of the device.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._terminals: list[Terminal] = []

    def terminal(self, master: int) -> Terminal:
        """What one of the node's shells runs on; its descriptor is closed with it."""
        return Terminal(master)

    def hang_up(self) -> None:
        """Close every terminal of the node."""
        for terminal in self._terminals:
            terminal.close()
        self._terminals.clear()

    def shell(self, os: str | None) -> str:
        """`/bin/bash` for systems that LAVA tests with bash if it is there, else `/bin/sh`."""
        return "/bin/bash" if os in BASH_SYSTEMS and Path("/bin/bash").exists() else "/bin/sh"

    def perform(self, action: PipelineAction) -> None:
        """Nothing: what a local node can't do is skipped, the rest is callboard's own work."""

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        """It is: see `perform`."""
        return True

    def call(self, written: str) -> None:
        """Nothing: actions call for a local node whatever has become of it."""

    def unable(self, action: str) -> str | None:
        """Why a local node can't execute an action; see `DRIVERS`."""
        return DRIVERS["local"](action)


def environment(home: Path) -> dict[str, str]:
    """The variables that a node's shell starts with."""
    name = user()
    return {
        "PATH": os.environ.get("PATH", _PATH),
        "HOME": str(home),
        "USER": name,
        "LOGNAME": name,
        "SHELL": "/bin/sh",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        # The machine's kernel log is none of a node's: what a test writes there goes to the
        # console of its shell.
        "LAVA_KMSG": "/dev/tty",
    }


def user() -> str:
    """The name of the user that runs callboard."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def home() -> Path:
    """The home of the user that runs callboard; the root folder where it has none."""
    try:
        folder = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return Path("/")
    return folder if os.access(folder, os.X_OK) else Path("/")
