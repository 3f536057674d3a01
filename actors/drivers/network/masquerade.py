"""A way out of a group's network through this machine's own routing; only root can make it.

It adds to this machine one interface and one table of nft, which is called after the interface.
When callboard is killed the kernel removes the interface with the segment; the table, which then
does nothing, is removed when the next group has a network.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import anyio

from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.naming import UPLINK
from callboard.actors.drivers.network.tools import Inside, complaint
from callboard.actors.drivers.tool import run_tool

_PREFIX = "callboard_"
_INTERFACES = Path("/sys/class/net")
_LIMIT_S = 10.0


@contextlib.asynccontextmanager
async def masqueraded(
    segment: Inside, taken: Sequence[IPv4Network], run: str
) -> AsyncIterator[None]:
    """Connect a segment to this machine, and let its packets out as this machine's own.

    Args:
        segment: The network.
        taken: IPv4 networks that are used here.
        run: The run's UUID.

    Raises:
        OSError: This machine refuses it; nothing of it is left.
        LookupError: No addresses are free.
    """
    await reclaim()
    link = f"cb{run.replace('-', '')[:10]}"
    network = next(subnets.free(taken, uplink=True).subnets(new_prefix=30))
    here, there = network[1], network[2]
    try:
        await _ip(
            f"link add {link} type veth peer name {UPLINK} netns /proc/self/fd/{segment.network}",
            f"address add {here}/30 dev {link}",
            f"link set {link} up",
            file=segment.network,
        )
        await _nft(_rules(link, network))
        await segment.ip(
            f"address add {there}/30 dev {UPLINK}",
            f"link set {UPLINK} up",
            f"route add default via {here}",
        )
        yield
    finally:
        with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
            await _ip(f"link delete {link}")
        with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
            await _nft(f"delete table ip {_PREFIX}{link}\n")


async def reclaim() -> None:
    """Remove tables whose interface has gone with a run that was killed; raises OSError."""
    listed = await _run("nft", "--json", "list", "tables", "ip")
    for entry in json.loads(listed or "{}").get("nftables", ()):
        name = str(entry.get("table", {}).get("name", ""))
        link = name.removeprefix(_PREFIX)
        if name.startswith(f"{_PREFIX}cb") and not _is_there(link):
            with contextlib.suppress(OSError):  # its run, or another one, was quicker
                await _nft(f"delete table ip {name}\n")


def _is_there(link: str) -> bool:
    return (_INTERFACES / link).exists()


def _rules(link: str, network: IPv4Network) -> str:
    return f"""table ip {_PREFIX}{link} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat
    ip saddr {network} oifname != "{link}" masquerade
  }}
}}
"""


async def _ip(*lines: str, file: int | None = None) -> None:
    await _run("ip", "-batch", "-", given="".join(f"{each}\n" for each in lines), file=file)


async def _nft(rules: str) -> None:
    await _run("nft", "-f", "-", given=rules)


async def _run(*command: str, given: str = "", file: int | None = None) -> str:
    """Run a tool on this machine; returns its output, raises OSError."""
    files = () if file is None else (file,)
    ran = await run_tool(command, limit_s=_LIMIT_S, stdin=given.encode(), files=files)
    if ran.status != 0:
        raise OSError(complaint(command[0], ran.errors, ran.status))
    return ran.output
