"""The way out of a group's network: pasta, slirp4netns, or as root this machine's own routing.

All of them lead as far as this machine gets by IPv4, and not to its loopback.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import anyio
from attrs import frozen

from callboard.actors.drivers.network import subnets
from callboard.actors.drivers.network.masquerade import masqueraded
from callboard.actors.drivers.network.naming import UPLINK
from callboard.actors.drivers.network.resolver import needs_server, resolver_text
from callboard.actors.drivers.network.tools import Inside, memory, text_of
from callboard.actors.drivers.sandbox import wire

_LIMIT_S = 10.0
_PAUSE_S = 0.02
_FORWARDED = Path("/proc/sys/net/ipv4/ip_forward")
RULES = f"""table ip callboard {{
  chain postrouting {{
    type nat hook postrouting priority srcnat
    oifname "{UPLINK}" masquerade
  }}
  chain input {{
    type filter hook input priority filter
    iifname "{UPLINK}" ct state invalid drop
  }}
}}
"""
"""What belongs to no connection is dropped: the router would answer that it knows of none, and so
end that of a node. `pasta` sends segments without any flag while a distant peer has yet to answer.
"""

Finder = Callable[[str], str | None]
"""Finds the path of a tool, None where it isn't installed."""


@frozen
class Way:
    """A way out that is there.

    Attributes:
        name: What makes it: `pasta`, `slirp4netns` or `masquerade`.
        resolver: The text of the nodes' resolver file; None leaves them the machine's.
    """

    name: str
    resolver: str | None


def ways(find: Finder) -> list[str]:
    """What could make a way out on this machine, the best first."""
    if find("nft") is None:
        return []
    found = [each for each in ("pasta", "slirp4netns") if find(each)]
    if os.geteuid() == 0 and _forwards():
        found.append("masquerade")
    return found


def _forwards() -> bool:
    try:
        return _FORWARDED.read_text().strip() == "1"
    except OSError:
        return False


@contextlib.asynccontextmanager
async def open_way(
    segment: Inside, taken: Sequence[IPv4Network], run: str, find: Finder
) -> AsyncIterator[Way | None]:
    """Make the first way out that works; on leaving it has gone.

    Args:
        segment: The network.
        taken: IPv4 networks that are used here.
        run: The run's UUID.
        find: Finds tools.

    Returns:
        None where there is none.
    """
    async with contextlib.AsyncExitStack() as stack:
        way: Way | None = None
        for name in ways(find):
            try:
                way = await stack.enter_async_context(_opened(name, segment, taken, run))
                await segment.run("nft", "-f", "-", given=RULES)
                break
            except (OSError, LookupError):
                await stack.aclose()  # perhaps the next one works
                way = None
        yield way


@contextlib.asynccontextmanager
async def _opened(
    name: str, segment: Inside, taken: Sequence[IPv4Network], run: str
) -> AsyncIterator[Way]:
    if name == "masquerade":
        async with masqueraded(segment, taken, run):
            yield Way(name, resolver_text(None))
        return
    network = subnets.free(taken, uplink=True)
    command, server = _pasta(network) if name == "pasta" else _slirp(network)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        with memory() as output:
            async with segment.sandbox.tool(
                command, segment.network, (nothing, output), inside=False
            ):
                await _up(segment, name, output)
                yield Way(name, resolver_text(server))
    finally:
        os.close(nothing)


async def _up(segment: Inside, name: str, output: int) -> None:
    """Wait until the uplink has its address; raises OSError with what the tool has said."""
    with anyio.move_on_after(_LIMIT_S):
        while True:
            listed = await segment.run("ip", "-brief", "-4", "address", "show")
            if any(line.split("@")[0].split()[:1] == [UPLINK] for line in listed.splitlines()):
                return
            await anyio.sleep(_PAUSE_S)
    raise OSError(f"{name}: {text_of(output).strip() or 'it makes no interface'}")


def _pasta(network: IPv4Network) -> tuple[list[str], IPv4Address]:
    gateway, own, server = network[1], network[2], network[3]
    command = [
        "pasta",
        *("--foreground", "--quiet", "--ipv4-only", "--config-net", "--no-map-gw"),
        *("--ns-ifname", UPLINK, "--netns", wire.NETWORK),
        *("--address", str(own), "--netmask", str(network.netmask), "--gateway", str(gateway)),
        *("-t", "none", "-u", "none", "-T", "none", "-U", "none"),
    ]
    if os.geteuid() == 0:
        command += ["--runas", "0:0"]  # another user couldn't enter the namespace
    if needs_server():  # else the answers of others would seem to be its own
        command += ["--dns-forward", str(server)]
    return command, server


def _slirp(network: IPv4Network) -> tuple[list[str], IPv4Address]:
    command = [
        "slirp4netns",
        *("--configure", "--disable-host-loopback", "--mtu=65520"),
        *("--cidr", str(network), "--netns-type=path", wire.NETWORK, UPLINK),
    ]
    return command, network[3]
