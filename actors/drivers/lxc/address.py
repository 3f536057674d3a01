"""Waiting for the address that a started container gets."""

import anyio

from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.errors import InfrastructureError

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5


async def wait_for_address(tools: Tools, name: ContainerName, limit_s: float, but: str = "") -> str:
    """The IPv4 address of a running container, as soon as it has one.

    Args:
        tools: LXC's tools.
        name: The container.
        limit_s: How long to wait, in seconds.
        but: Another address, which it has in the network of its group.

    Raises:
        InfrastructureError: It has none in time, or has stopped.
        OSError: It can't be told.
    """
    deadline_s = anyio.current_time() + limit_s
    pause_s = _FIRST_PAUSE_S
    while (address := await tools.address(name, but)) is None:
        if await tools.state(name) != "RUNNING":
            raise InfrastructureError(f"lxc container '{name}' stopped before it had an address")
        if anyio.current_time() >= deadline_s:
            raise InfrastructureError(
                f"lxc container '{name}' got no IPv4 address within {limit_s:g} s;"
                " `callboard doctor` looks at the bridge and its DHCP server"
            )
        await anyio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
    return address
