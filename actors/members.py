"""The nodes of a group, as messages to people name them."""

from collections.abc import Mapping, Sequence

from attrs import frozen

_MOST_NAMES = 5


@frozen
class Member:
    """A node of the group: its job's id and its role."""

    job: int
    role: str

    def __str__(self) -> str:
        return f"{self.job} ({self.role})"


def named(members: Mapping[int, Member], jobs: Sequence[int]) -> str:
    """Members for a sentence, the first few by name."""
    names = [str(members[job]) for job in jobs[:_MOST_NAMES]]
    more = [f"{len(jobs) - _MOST_NAMES} more"] if len(jobs) > _MOST_NAMES else []
    return ", ".join([*names, *more])
