"""What this machine can do to the links of a network."""

from collections.abc import Iterable

from callboard.actors.drivers.tool import run_tool
from callboard.definition.links import Conditions

_PROBE = ("unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms")
_LIMIT_S = 10.0


async def delays_packets(*, root: bool) -> bool:
    """Whether the kernel can delay packets: only some have `netem`.

    Args:
        root: Whether this is root; others try in a user namespace of their own.
    """
    command = _PROBE if root else (_PROBE[0], "--user", "--map-root-user", *_PROBE[1:])
    try:
        return (await run_tool(command, limit_s=_LIMIT_S)).status == 0
    except OSError:
        return False


def tools_of(conditions: Iterable[Conditions]) -> tuple[str, ...]:
    """The tools that links with such conditions need."""
    needed: dict[str, None] = {}
    for each in conditions:
        if each.cut or each.loss or each.rate_bps is not None:
            needed["nft"] = None
        if each.delay_s or each.rate_bps is not None:
            needed["tc"] = None
    return tuple(needed)
