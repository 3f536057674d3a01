"""The local driver: a node is a shell on this machine, in a folder and a session of its own.

The shell sees the machine as it is. What must not be shared by the nodes of a group is the
node's own: its home, its temporary folder, its overlay and its MultiNode cache.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from callboard.actors.drivers import Console
from callboard.actors.drivers.folder import NodeFolder
from callboard.actors.drivers.processes import MARK, kill, kill_all
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.overlay import File, write

_BASH_SYSTEMS = frozenset(
    {"debian", "ubuntu", "fedora", "centos", "debian_installer", "centos_installer"}
)
"""Operating systems whose tests LAVA runs with bash (LAVA: deployment data)."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_COMMAND_LOOP = 'trap : INT; while IFS= read -r line; do eval "$line"; done'
"""A shell that reads commands from its terminal but prints no prompt and edits no lines."""

_UNABLE = {
    "download": "the local driver boots no images",
    "apply-overlay-guest": "the local driver has no image; the overlay is on this machine already",
    "overlay-unpack": "the overlay is on this machine already",
    "execute-qemu": "the local driver starts no QEMU",
    "reset-device": "the local driver has no power control",
    "pdu-reboot": "the local driver has no power control",
    "power-on": "the local driver has no power control",
    "connect-device": "the local driver has no serial console",
    "user-command": "the local driver has no device commands",
    "schroot-login": "the local driver enters no schroot",
}
_UNABLE_ENDINGS = {
    "-download": "the local driver boots no images",
    "-deploy": "the local driver flashes nothing",
    "-boot": "the local driver boots nothing",
}


class LocalNode:
    """One shell's worth of this machine; see `callboard.actors.drivers.Node`.

    Args:
        name: Name of the device, part of the folder's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder: NodeFolder | None = None
        self._terminals: list[Terminal] = []

    @property
    def folder(self) -> NodeFolder:
        """The node's own folder; raises RuntimeError before `prepare`."""
        if self._folder is None:
            raise RuntimeError(f"the node {self.name} is not prepared")
        return self._folder

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache: the node's own, since nodes share /tmp."""
        return str(self.folder.path / "lava_multi_node_cache.txt")

    def overlay_root(self, job_id: int) -> str:
        """The overlay lies in the node's folder, for `/lava-<id>` would be shared."""
        return str(self.folder.path / f"lava-{job_id}")

    def shell(self, os: str | None) -> str:
        """`/bin/bash` for systems that LAVA tests with bash if it is there, else `/bin/sh`."""
        return "/bin/bash" if os in _BASH_SYSTEMS and Path("/bin/bash").exists() else "/bin/sh"

    def unable(self, action: str) -> str | None:
        """Downloads, flashing, power and virtual machines are not what this driver does."""
        ending = next((why for end, why in _UNABLE_ENDINGS.items() if action.endswith(end)), None)
        return _UNABLE.get(action, ending)

    async def prepare(self) -> None:
        """Make the node's folder; raises OSError."""
        self._folder = NodeFolder(self.name)

    async def install(self, files: tuple[File, ...], root: str) -> None:
        """Write files below `root`; raises OSError."""
        write(files, Path(root))

    async def open_shell(self) -> Console:
        """Start a shell on a terminal of its own; raises OSError."""
        terminal = self.terminal(
            ["/bin/sh", "-c", _COMMAND_LOOP], self._environment(), self.folder.path / "home"
        )
        self._terminals.append(terminal)
        return terminal

    def terminal(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> Terminal:
        """What a shell runs on; see `Terminal`."""
        return Terminal(command, environment, folder)

    def kill(self) -> None:
        """Kill every process of the node."""
        if self._folder is not None:
            kill([each.process for each in self._terminals], self._folder.mark)

    async def release(self) -> None:
        """Kill what is left of the node and remove its folder."""
        if self._folder is None:
            return
        if self._terminals:
            # Before they are closed: a shell that has ended no longer knows its children.
            await kill_all([each.process for each in self._terminals], self._folder.mark)
        for terminal in self._terminals:
            terminal.close()
        self._terminals.clear()
        folder, self._folder = self._folder, None
        folder.remove()

    def _environment(self) -> dict[str, str]:
        folder = self.folder.path
        user = os.environ.get("USER", "root")
        return {
            "PATH": os.environ.get("PATH", _PATH),
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "tmp"),
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/sh",
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "LAVA_MULTI_NODE_CACHE": self.cache,
            MARK: self.folder.mark,
        }
