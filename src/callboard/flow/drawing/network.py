"""Who can reach whom: the VLANs of a group, and the network that all of its nodes share."""

from collections.abc import Callable

from attrs import evolve, field, frozen

from callboard.definition.model import Definition
from callboard.flow.drawing.legible import all_legible, legible

MOST_MEMBERS = 24
"""Members of a network that are shown."""

SHARED = "group network"
"""What the network is called that every node is in, whatever VLANs there are."""


@frozen
class Member:
    """Nodes with an interface in a network.

    Attributes:
        role: Their role.
        count: How many there are.
        job: The job of a run; None for all nodes of the role.
        tags: What the definition asks of the interface.
    """

    role: str = field(converter=legible)
    count: int = 1
    job: int | None = None
    tags: tuple[str, ...] = field(default=(), converter=all_legible)

    @property
    def title(self) -> str:
        """Whose the nodes are, and how many, e.g. `client ×2`; in a run with the job's id."""
        name = self.role if self.job is None else f"{self.job} {self.role}".rstrip()
        return f"{name} ×{self.count}" if self.count != 1 else name


@frozen
class Network:
    """Nodes that reach each other.

    Attributes:
        name: The VLAN's, or `SHARED`, which no VLAN can be called.
        members: The nodes, in the order of their jobs.
    """

    name: str = field(converter=legible)
    members: tuple[Member, ...]

    @property
    def is_vlan(self) -> bool:
        """Whether it is a VLAN, and not what all nodes share."""
        return self.name != SHARED

    def __str__(self) -> str:
        """The network in a line: its name, and the first of its members."""
        shown = [each.title for each in self.members[:MOST_MEMBERS]]
        more = len(self.members) - len(shown)
        return f"{self.name}: {', '.join(shown)}" + (f" and {more} more" if more else "")

    def hiding(self, hide: Callable[[str], str]) -> "Network":
        """The same with `hide` applied to every text that may hold a secret."""
        members = (
            evolve(each, role=hide(each.role), tags=map(hide, each.tags)) for each in self.members
        )
        return evolve(self, name=hide(self.name), members=tuple(members))


def networks(definition: Definition) -> tuple[Network, ...]:
    """The networks of a group with VLANs, the shared one first; none for a group without.

    Interfaces without tags are never moved, so every node stays in the shared network. A guest is
    where its host is.
    """
    roles = [role for role in definition.roles if role.count]
    found = [Network(SHARED, tuple(Member(role.name, role.count) for role in roles))]
    for vlan in dict.fromkeys(each.vlan for each in definition.vlans):
        tags = {each.role: each.tags for each in definition.vlans if each.vlan == vlan}
        members = tuple(
            Member(role.name, role.count, tags=tags[role.host_role or role.name])
            for role in roles
            if (role.host_role or role.name) in tags
        )
        found += [Network(vlan, members)] if members else []
    return tuple(found) if found[1:] else ()
