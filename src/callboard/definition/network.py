"""Reads which network the nodes of a group are in: the key `network` of a devices file."""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, TypeVar

from attrs import frozen

from callboard.definition.links import Link
from callboard.definition.links_reading import read_links
from callboard.definition.model import Place
from callboard.definition.reader import Section
from callboard.definition.tree import MapNode, Node

NetworkKind = Literal["host", "group"]
"""The network of this machine, or one that the group has to itself."""

KINDS: Mapping[str, NetworkKind] = {"host": "host", "group": "group"}
"""What the key and the option of the command line can say."""

_Range = TypeVar("_Range", IPv4Network, IPv6Network)

_LONGEST: Mapping[type, int] = {IPv4Network: 29, IPv6Network: 64}
_HINT4 = "write a network of private addresses, for instance `10.77.0.0/16`"
_HINT6 = "write a network of local addresses with 64 bits for the nodes, such as `fd77::/64`"


@frozen
class Network:
    """What a devices file says of the network of a group.

    Attributes:
        kind: Which network nodes are in that are made here; None leaves it to the definition.
        ipv4: Where addresses of a group's network come from; None chooses what is free here.
        ipv6: The same.
        links: What the links of its nodes are like.
        place: Where it is written; None where nothing is.
    """

    kind: NetworkKind | None = None
    ipv4: IPv4Network | None = None
    ipv6: IPv6Network | None = None
    links: tuple[Link, ...] = ()
    place: Place | None = None


def read_network(root: Section) -> Network:
    """The key `network` of a devices file: a word, or a map with `kind` and more."""
    node = root.get("network")
    if node is None:
        return Network()
    place = root.findings.source.place(node.offset)
    if not isinstance(node, MapNode):
        return Network(root.choice("network", KINDS), place=place)
    section = Section(node, root.findings, "`network`")
    kind = section.choice("kind", KINDS, required=True)
    ipv4 = _range(section, "ipv4", IPv4Network, _HINT4)
    ipv6 = _range(section, "ipv6", IPv6Network, _HINT6)
    links = read_links(section)
    section.close()
    if kind == "host" and (extra := [each for each in section.names if each != "kind"]):
        message = f"`{extra[0]}` is for a network of the group's own, but its `kind` is `host`"
        section.error("CB240", section.key(extra[0]), message, "write `kind: group`")
    return Network(kind, ipv4, ipv6, links, place)


def _range(section: Section, key: str, kind: type[_Range], hint: str) -> _Range | None:
    """A range of addresses that nodes can have among themselves."""
    text = section.string(key)
    node = section.get(key)
    if text is None or node is None:
        return None
    try:
        found = kind(text)
    except ValueError:
        try:
            hint = f"did you mean `{kind(text, strict=False)}`?"
            why = "that is an address in a range"
        except ValueError:
            why = f"that is no range of IPv{key[-1]} addresses"
        _refuse(section, node, key, text, why, hint)
        return None
    if found.prefixlen > _LONGEST[kind]:
        _refuse(section, node, key, text, "it has too few addresses", hint)
    elif kind is IPv6Network and found.prefixlen != _LONGEST[kind]:
        _refuse(section, node, key, text, "its length must be 64", hint)
    elif not found.is_private or found.is_loopback or found.is_link_local or found.is_multicast:
        _refuse(section, node, key, text, "others have these addresses", hint)
    else:
        return found
    return None


def _refuse(section: Section, node: Node, key: str, text: str, why: str, hint: str) -> None:
    message = f"`{key}` of {section.title} can't be `{text[:60]}`: {why}"
    section.error("CB240", node, message, hint)
