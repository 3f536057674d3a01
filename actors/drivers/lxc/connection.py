"""Connects a container that has started to the network of its group."""

import os
from contextlib import suppress
from pathlib import Path

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.segment import Attachment
from callboard.actors.drivers.tool import Said, run_tool
from callboard.actors.errors import InfrastructureError

_LIMIT_S = 30.0
_MARK = "# of this group"
_ADD = f"sed -i '/ {_MARK}$/d' /etc/hosts; cat >> /etc/hosts"


async def connect(
    tools: Tools, name: ContainerName, init: int, attachment: Attachment, said: Said
) -> None:
    """Plug in the cables of a container, and tell it the names of the others.

    Args:
        tools: LXC's tools.
        name: The container.
        init: Its first process.
        attachment: Its cables.
        said: Is told what goes wrong with the names.

    Raises:
        InfrastructureError: It has ended, or is in this machine's own network.
        OSError: It can't be connected.
    """
    namespace = os.open(f"/proc/{init}/ns/net", os.O_RDONLY)
    try:
        if not is_init(init) or os.fstat(namespace).st_ino == _own_network():
            raise InfrastructureError(f"lxc container '{name}' has no network of its own")
        await attachment.attach(namespace)
    finally:
        os.close(namespace)
    lines = (f"{each} {_MARK}\n" for each in attachment.hosts.splitlines())
    words = tools.attach(name, ("/bin/sh", "-c", _ADD), {})
    ran = await run_tool(words, limit_s=_LIMIT_S, stdin="".join(lines).encode())
    if ran.status != 0:
        said(f"lxc container '{name}' can't be told the names of the others: {ran.errors}")


def is_init(pid: int) -> bool:
    """Whether a process is the first one of a container, and not of this machine."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/status").read_text().split("NSpid:", 1)[-1].split("\n", 1)[0]
        return words.split()[-1:] == ["1"] and len(words.split()) > 1
    return False


def _own_network() -> int:
    return Path("/proc/self/ns/net").stat().st_ino
