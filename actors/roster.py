"""Who belongs to a group: its members, their roles, and which of them have ended."""

from collections import Counter, defaultdict
from collections.abc import Iterable


class Roster:
    """The members of one group.

    Args:
        members: Job id and role of each; ids are unique.
        size: How many the group is to have; as many as `members` when None.

    Attributes:
        size: How many members the group is to have.
        roles: Each member's role, in the order in which they have joined.
        counts: How many members each role has.
        by_role: The members of each role, in the same order; under None all of them.
        living: How many of each role have not ended.
        alive: How many of all have not ended.
        ended: The members that have ended.
        ended_in: Those of each role, in the order of their ends; under None all of them.
    """

    def __init__(self, members: Iterable[tuple[int, str]], size: int | None = None) -> None:
        self.roles: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self.by_role: dict[str | None, list[int]] = {None: []}
        self.living: Counter[str] = Counter()
        self.alive = 0
        self.ended: set[int] = set()
        self.ended_in: defaultdict[str | None, list[int]] = defaultdict(list)
        for member, role in members:
            self.join(member, role)
        self.size = len(self.roles) if size is None else size

    @property
    def is_whole(self) -> bool:
        """Whether all members that the group is to have are known."""
        return len(self.roles) >= self.size

    def join(self, member: int, role: str) -> None:
        """`member` has become known; it is new."""
        self.roles[member] = role
        self.counts[role] += 1
        self.living[role] += 1
        self.alive += 1
        self.by_role[None].append(member)
        self.by_role.setdefault(role, []).append(member)

    def end(self, member: int) -> None:
        """`member`, which has not ended before, has done so; it still belongs to the group."""
        role = self.roles[member]
        self.alive -= 1
        self.living[role] -= 1
        self.ended.add(member)
        self.ended_in[None].append(member)
        self.ended_in[role].append(member)
