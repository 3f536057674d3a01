"""The packet filter's rules for links that are cut, lose packets, or lead out slowly."""

from collections.abc import Iterable, Iterator

from attrs import frozen

from callboard.actors.drivers.segment import Station
from callboard.definition.links import Conditions

TABLE = "callboard_links"
"""The table that holds the rules, of the family `bridge`."""

_BURST = 128 * 1024
"""Bytes that may come at once where a rate is kept by dropping what is above it."""

_PARTS = 10_000_000
"""In so many parts a loss is counted: nft draws whole numbers below this."""


@frozen
class Path:
    """A link with what it is like.

    Attributes:
        one: The node at one end.
        other: The node at the other; None for the router, and with it all that is outside.
        like: What the link is like.
    """

    one: Station
    other: Station | None
    like: Conditions


def ruleset(paths: Iterable[Path]) -> str:
    """What `nft -f` takes to have these links, and no others, drop what they are to.

    It is one transaction: no packet sees the half of it.
    """
    paths = tuple(paths)
    kept = [path for path in paths if path.like.cut or path.like.loss]
    limits = [path for path in paths if path.other is None and path.like.rate_bps is not None]
    lines = [f"table bridge {TABLE}", f"delete table bridge {TABLE}"]
    if not kept and not limits:
        return "".join(f"{line}\n" for line in lines)
    verdicts = sorted({_verdict(path.like) for path in kept})
    forward: list[str] = []
    incoming: list[str] = []
    outgoing: list[str] = []
    for verdict in verdicts:
        alike = [path for path in kept if _verdict(path.like) == verdict]
        forward += _matching("iifname . oifname", _pairs(alike), verdict)
        incoming += _matching("iifname", _ways_out(alike), verdict)
        outgoing += _matching("oifname", _ways_out(alike), verdict)
        # What the router hands on from one node to another comes from it, not over its cable.
        outgoing += _matching("oifname . ip saddr", _routed(alike, "ipv4"), verdict)
        outgoing += _matching("oifname . ip6 saddr", _routed(alike, "ipv6"), verdict)
    for path in limits:
        # The router takes what comes at once, so what is too much can't wait, but only get lost.
        rate = f"limit rate over {(path.like.rate_bps or 0) // 8} bytes/second burst {_BURST} bytes"
        incoming.append(f'iifname "{path.one.link}" {rate} drop')
    lines += [
        f"table bridge {TABLE} {{",
        *_chain("forward", forward),
        *_chain("input", incoming),
        *_chain("output", outgoing),
        "}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _chain(hook: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"chain {hook} {{"
    yield f"type filter hook {hook} priority 0;"
    yield from rules
    yield "}"


def _verdict(like: Conditions) -> str:
    if like.cut or like.loss >= 1:
        return "drop"
    return f"numgen random mod {_PARTS} < {round(like.loss * _PARTS)} drop"


def _matching(key: str, elements: Iterable[str], verdict: str) -> Iterator[str]:
    found = ", ".join(elements)
    if found:
        yield f"{key} {{ {found} }} {verdict}"


def _pairs(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.other is not None:
            one, other = path.one.link, path.other.link
            yield f'"{one}" . "{other}"'
            yield f'"{other}" . "{one}"'


def _ways_out(paths: Iterable[Path]) -> Iterator[str]:
    return (f'"{path.one.link}"' for path in paths if path.other is None)


def _routed(paths: Iterable[Path], family: str) -> Iterator[str]:
    for path in paths:
        if path.other is not None:
            yield f'"{path.one.link}" . {getattr(path.other, family)}'
            yield f'"{path.other.link}" . {getattr(path.one, family)}'
