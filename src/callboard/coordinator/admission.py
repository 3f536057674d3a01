"""Who may connect, and how often at a time."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Generic, TypeVar

from attrs import define, field

from callboard.coordinator.terms import Terms

C = TypeVar("C")

_NETWORK_BITS = 64
"""A machine with IPv6 has as many addresses as it likes in a network of so many bits."""


@define(eq=False)
class Origin(Generic[C]):
    """Where connections come from: an address of IPv4, or a network of IPv6.

    Attributes:
        name: It, for people.
        allowed: Whether anybody there may connect.
        limited: Whether the number of its connections is.
        connections: Those that are there, the earliest first.
    """

    name: str
    allowed: bool
    limited: bool
    connections: dict[C, None] = field(factory=dict)


class Admission(Generic[C]):
    """Judges where connections come from, by the terms.

    Args:
        terms: Which networks are allowed, and which are not limited.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._crowd: dict[str, Origin[C]] = {}
        self._judged = lru_cache(maxsize=4_096)(self._judge)

    def origin(self, address: str) -> Origin[C]:
        """Where a peer comes from."""
        name, allowed, limited = self._judged(address)
        return self._crowd.get(name) or Origin(name, allowed, limited)

    def enter(self, connection: C, origin: Origin[C]) -> None:
        """A connection has come."""
        origin.connections[connection] = None
        self._crowd[origin.name] = origin

    def leave(self, connection: C, origin: Origin[C]) -> None:
        """A connection has gone."""
        origin.connections.pop(connection, None)
        if not origin.connections:
            self._crowd.pop(origin.name, None)

    def full(self, origin: Origin[C]) -> bool:
        """Whether no more may come from there now."""
        return origin.limited and len(origin.connections) >= self._terms.from_one_address

    def _judge(self, text: str) -> tuple[str, bool, bool]:
        """The origin's name, whether it is allowed, and whether it is limited."""
        address = ip_address(text)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        allowed = any(address in network for network in self._terms.networks)
        limited = not any(address in network for network in self._terms.unlimited)
        if isinstance(address, IPv6Address):
            bare = int(address)
            network = ip_network((bare >> _NETWORK_BITS << _NETWORK_BITS, _NETWORK_BITS))
            return str(network), allowed, limited
        return str(address), allowed, limited
