"""Who is in the network of a group, at which address: fixed before the first node is made."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import groupby

from attrs import field, frozen

from callboard.actors.drivers.network.naming import PRIMARY, link_of, mac_of
from callboard.actors.drivers.segment import Station
from callboard.definition.interfaces import Interface

MOST_NODES = 1023
"""Nodes that a group's network takes: a bridge of Linux has 1,024 ports."""


class TooSmall(Exception):
    """A network has too few addresses or ports for the nodes of a group; the text says which."""


@frozen
class Member:
    """A node that is to be in the network.

    Attributes:
        device: Name of its device.
        role: Its role, None in a job without roles.
        job: The id of its job.
        interfaces: Its interfaces that can be in VLANs; each has a hardware address.
        names: By what else it is known.
    """

    device: str
    role: str | None
    job: int
    interfaces: tuple[Interface, ...] = ()
    names: tuple[str, ...] = ()


@frozen
class Cable:
    """A pair of interfaces: one is the node's, and one the segment's.

    Attributes:
        link: What the segment's is called.
        inside: What the node's is called.
        mac: The hardware address of the node's.
    """

    link: str
    inside: str
    mac: str


@frozen
class Plan:
    """All nodes of a group's network.

    Attributes:
        run: The run's UUID.
        members: The nodes, in the order of their numbers.
        ipv4: Where their addresses come from.
        ipv6: The same.
    """

    run: str
    members: tuple[Member, ...]
    ipv4: IPv4Network
    ipv6: IPv6Network
    stations: Mapping[str, Station] = field(init=False)
    cables: Mapping[str, Mapping[str, Cable]] = field(init=False)
    """The cables of each device besides that of the station, by the interface's label."""

    @stations.default
    def _make_stations(self) -> Mapping[str, Station]:
        room = self.ipv4.num_addresses - 3  # the network itself, its broadcasts, the router
        if len(self.members) > min(room, MOST_NODES):
            raise TooSmall(self._lack(room))
        return {
            each.device: Station(
                each.device,
                link_of(number),
                mac_of(self.run, each.device, PRIMARY),
                self.ipv4[number + 1],
                self.ipv6[number + 1],
            )
            for number, each in enumerate(self.members, 1)
        }

    @cables.default
    def _make_cables(self) -> Mapping[str, Mapping[str, Cable]]:
        return {
            each.device: {
                interface.label: Cable(
                    link_of(number, place),
                    interface.label,
                    interface.mac or mac_of(self.run, each.device, interface.label),
                )
                for place, interface in enumerate(each.interfaces, 1)
            }
            for number, each in enumerate(self.members, 1)
        }

    def _lack(self, room: int) -> str:
        size = f"{len(self.members):,} nodes"
        if room < MOST_NODES:
            return f"the network {self.ipv4} has {room:,} addresses for nodes, but there are {size}"
        return f"a group's network takes {MOST_NODES:,} nodes, but there are {size}"

    @property
    def router(self) -> tuple[IPv4Address, IPv6Address]:
        """The addresses of the bridge."""
        return self.ipv4[1], self.ipv6[1]

    @property
    def hosts(self) -> str:
        """The lines of `/etc/hosts` for all nodes, in a fixed order.

        A node has the name of its device, its role with its number within that, its role as the
        others of the role have it, and its job's id. A name that is a device's is no other node's.
        """
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        numbers = _numbers_in_roles(self.members)
        for member in self.members:
            station = self.stations[member.device]
            names = [member.device, *member.names]
            if member.role is not None:
                names += [f"{member.role}-{numbers[member.device]}", member.role]
            names.append(f"job-{member.job}")  # a bare number would be an address
            free = [each for each in names if each == member.device or each not in self.stations]
            known = " ".join(dict.fromkeys(each for each in free if _is_name(each)))
            yield f"{station.ipv4} {known}"
            yield f"{station.ipv6} {known}"


def _numbers_in_roles(members: Sequence[Member]) -> Mapping[str, int]:
    """The number of each device among those of its role, from 1."""
    ordered = sorted(members, key=lambda each: each.role or "")
    return {
        member.device: number
        for _, found in groupby(ordered, key=lambda each: each.role or "")
        for number, member in enumerate(found, 1)
    }


def _is_name(name: str) -> bool:
    """Whether a line of `/etc/hosts` can hold a name (hosts(5)), and no node has it of itself."""
    return name != "localhost" and not any(each.isspace() or each == "#" for each in name)
