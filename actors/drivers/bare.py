"""Local nodes without a sandbox: shells that see this machine as it is, and can change it.

What must not be shared by the nodes of a group is the node's own: its home, its temporary
folder, its overlay and its MultiNode cache.
"""

import functools
import os
import subprocess
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

import anyio

from callboard.actors.drivers import Console, survey
from callboard.actors.drivers.folder import NodeFolder
from callboard.actors.drivers.local import COMMAND_LOOP, LocalNode, environment
from callboard.actors.drivers.processes import MARK, kill, kill_all, marked
from callboard.actors.drivers.survey import Process
from callboard.actors.overlay import Overlay, build, write


class BareNode(LocalNode):
    """One shell's worth of this machine.

    Args:
        name: Name of the device, part of the folder's name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._folder: NodeFolder | None = None
        self._shells: list[subprocess.Popen[bytes]] = []

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

    async def prepare(self) -> None:
        """Make the node's folder; raises OSError."""
        self._folder = NodeFolder(self.name)

    async def install(self, overlay: Overlay) -> None:
        """Write the overlay's files; raises OSError and ValueError."""
        write(build(overlay), Path(overlay.root))

    def unable(self, action: str) -> str | None:
        """As any local node; what lets guests in would change the machine."""
        if action == "ssh-authorize":
            return "without a sandbox the keys would be let in to this machine itself"
        return super().unable(action)

    async def open_shell(self) -> Console:
        """Start a shell on a terminal of its own; raises OSError."""
        folder = self.folder.path
        variables = environment(folder / "home") | {
            "TMPDIR": str(folder / "tmp"),
            "LAVA_MULTI_NODE_CACHE": self.cache,
            MARK: self.folder.mark,
        }
        master, slave = os.openpty()
        terminal = self.terminal(master)
        try:
            shell = _start(["/bin/sh", "-c", COMMAND_LOOP], slave, variables, folder / "home")
        except BaseException:
            terminal.close()
            raise
        finally:
            os.close(slave)
        self._shells.append(shell)
        self._terminals.append(terminal)
        return terminal

    async def busy(self) -> bool:
        """Look at the processes that `kill` would find; raises OSError."""
        if self._folder is None:
            return False
        shells = {shell.pid for shell in self._shells if shell.poll() is None}
        look = functools.partial(_processes, shells, self._folder.mark)
        return await anyio.to_thread.run_sync(survey.busy, look, shells)

    def kill(self) -> None:
        """Kill every process of the node."""
        if self._folder is not None:
            kill(self._shells, self._folder.mark)

    async def release(self) -> None:
        """Kill what is left of the node and remove its folder."""
        if self._folder is None:
            return
        if self._shells:
            # Before they are closed: a shell that has ended no longer knows its children.
            await kill_all(self._shells, self._folder.mark)
        self.hang_up()
        folder, self._folder = self._folder, None
        folder.remove()


def _processes(shells: Set[int], mark: str) -> dict[int, Process]:
    """The living processes of a node: its shells, what is below them and what is marked."""
    found = survey.processes()
    own = survey.below(found, shells | set(marked(mark)))
    return {pid: each for pid, each in found.items() if pid in own}


def _start(
    command: Sequence[str], terminal: int, variables: Mapping[str, str], folder: Path
) -> subprocess.Popen[bytes]:
    """Start the leader of a session on a terminal; raises OSError."""
    return subprocess.Popen(
        ["setsid", "--ctty", *command],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=folder,
        env=dict(variables),
    )
