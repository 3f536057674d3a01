"""An archive on its way into a container, running or not."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from callboard.actors.drivers.lxc import unpacking
from callboard.actors.drivers.lxc.complaint import complaint
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.tool import feed
from callboard.actors.errors import InfrastructureError

_LIMIT_S = 600.0
_MOUNTING = ("unshare", "--mount", "--propagation", "private")


async def unpack(
    tools: Tools, name: ContainerName, layers: Sequence[Path], write: Callable[[BinaryIO], None]
) -> None:
    """Unpack an archive in a container, one at a time.

    Args:
        tools: LXC's tools.
        name: The container.
        layers: What its file system is made of, the topmost folder first.
        write: Writes the archive, a tar, while it is unpacked.

    Raises:
        InfrastructureError: It can't be unpacked there.
        OSError: A tool is missing or takes too long.
        Exception: What `write` raises.
    """
    program = [sys.executable, "-I", "-S", unpacking.__file__]
    pid = await tools.init_pid(name)
    match layers:
        case _ if pid is not None:
            command = [*program, f"/proc/{pid}/root"]
        case [upper, lower]:
            root = tools.store.path(name) / "rootfs"  # empty while it is stopped
            folders = (root, upper, lower, upper.with_name("work"))
            command = [*_MOUNTING, *program, *map(str, folders)]
        case []:
            raise InfrastructureError(f"the configuration of lxc container '{name}' has no root")
        case _:
            command = [*program, *map(str, layers)]
    ran = await feed(command, write, limit_s=_LIMIT_S)
    if ran.status != 0:
        what = f"files can't be put into lxc container '{name}'"
        raise complaint(what, ran.errors.splitlines(), InfrastructureError)
