"""Addresses for the network of a group: ranges that this machine doesn't reach elsewhere."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from callboard.actors.drivers.tool import run_tool

_GROUP_PREFIX = 22
_UPLINK_PREFIX = 24
_LIMIT_S = 10.0
_EVERYTHING = 2
"""Routes of this length or shorter lead to whatever no other one leads to."""

# Private ones (RFC 1918), those between providers and customers (RFC 6598), those of benchmarks
# (RFC 2544); each in an order in which the first ones are seldom used.
_POOLS = (
    *(f"10.{second}.0.0/16" for second in (*range(77, 256), *range(77))),
    *(f"172.{second}.0.0/16" for second in range(31, 15, -1)),
    *(f"192.168.{third}.0/22" for third in range(252, -1, -4)),
    *(f"100.{second}.0.0/16" for second in range(127, 63, -1)),
    "198.18.0.0/16",
    "198.19.0.0/16",
)


async def routes() -> tuple[IPv4Network, ...]:
    """The IPv4 networks to which this machine has routes, without those that lead everywhere.

    Raises:
        OSError: The tool `ip` is missing, or fails.
    """
    command = ("ip", "-4", "-json", "route", "show", "table", "all")
    ran = await run_tool(command, limit_s=_LIMIT_S)
    if ran.status != 0:
        raise OSError(f"ip: {ran.errors.strip()}")
    return tuple(_networks(json.loads(ran.output or "[]")))


def _networks(found: Iterable[dict[str, object]]) -> Iterator[IPv4Network]:
    for route in found:
        written = str(route.get("dst", ""))
        try:
            network = ip_network(written, strict=False)
        except ValueError:  # `default`
            continue
        if isinstance(network, IPv4Network) and network.prefixlen >= _EVERYTHING:
            yield network


def free(taken: Sequence[IPv4Network], *, uplink: bool = False) -> IPv4Network:
    """The first range that nobody has.

    Args:
        taken: Ranges that are in use.
        uplink: Whether it is for the way out, which needs few addresses.

    Raises:
        LookupError: There is none.
    """
    prefix = _UPLINK_PREFIX if uplink else _GROUP_PREFIX
    for pool in _POOLS:
        network = next(IPv4Network(pool).subnets(new_prefix=prefix))
        if not any(network.overlaps(each) for each in taken):
            return network
    raise LookupError("this machine has routes to all private IPv4 addresses")


def local_ipv6(run: str) -> IPv6Network:
    """A range of unique local IPv6 addresses (RFC 4193) that is the run's alone.

    Args:
        run: The run's UUID.
    """
    digest = hashlib.sha256(run.encode()).digest()[:5]
    return IPv6Network((bytes((0xFD, *digest)) + bytes(10), 64))
