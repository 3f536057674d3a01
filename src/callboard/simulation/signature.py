"""What a user tells rehearsals apart by."""

from collections.abc import Iterable, Sequence
from typing import Literal

from attrs import evolve, frozen

from callboard.events import Health, Status
from callboard.simulation.census import Fact, RoleCount

Share = Literal["all", "some"]
"""How many nodes of a role: in a large group the exact number differs from seed to seed."""

_WORST_FIRST: tuple[Health, ...] = ("incomplete", "canceled", "complete")


@frozen
class RoleEnd:
    """That nodes of a role ended in one way."""

    role: str
    health: Health
    share: Share


@frozen
class Essence:
    """What of a failure does not depend on how many nodes there are: reasons may name them."""

    status: Status
    exit_code: int
    facts: frozenset[Fact]


@frozen
class Signature:
    """How a rehearsal ended and what failed where and why, without jobs, numbers and times.

    Attributes:
        status: `complete` if every job is.
        exit_code: What the rehearsal exits with.
        ends: How the nodes of each role ended, the worst first.
        facts: What went wrong, and for how many nodes of its role.
    """

    status: Status
    exit_code: int
    ends: tuple[RoleEnd, ...]
    facts: tuple[tuple[Fact, Share], ...]

    @property
    def essence(self) -> Essence:
        """What makes it the same failure in a group of another size."""
        facts = frozenset(evolve(fact, why="") for fact, _ in self.facts)
        return Essence(self.status, self.exit_code, facts)

    @property
    def fails(self) -> bool:
        """Whether anything went wrong."""
        return self.exit_code != 0


def signature(status: Status, exit_code: int, roles: Iterable[RoleCount]) -> Signature:
    """The signature of a rehearsal.

    Args:
        status: How the group ended.
        exit_code: What the rehearsal exits with.
        roles: What became of each role.
    """
    roles = tuple(roles)
    return Signature(
        status,
        exit_code,
        tuple(end for role in roles for end in _ends(role)),
        tuple(fact for role in roles for fact in _facts(role)),
    )


def _ends(role: RoleCount) -> Sequence[RoleEnd]:
    return [
        RoleEnd(role.role, health, _share(count, role.nodes))
        for health in _WORST_FIRST
        if (count := role.health.get(health, 0))
    ]


def _facts(role: RoleCount) -> Sequence[tuple[Fact, Share]]:
    return [(fact, _share(count, role.nodes)) for fact, count in role.facts.items()]


def _share(count: int, nodes: int) -> Share:
    return "all" if count == nodes else "some"
