"""How much clients may ask for, and have kept for them."""

from attrs import define, frozen

CLIENT_BYTES = 1_500
GROUP_BYTES = 6_000


@frozen
class Limits:
    """How much clients may ask for; what is above that is refused, and changes nothing.

    Sizes are estimates of memory that are rather too high: texts as they are or as JSON, whichever
    is larger, and something for each group, client, ID, send and sync. What only comes and goes
    (a request that is being read, an answer that is not taken yet) is not in there.

    Attributes:
        groups: How many groups there may be at a time.
        clients: How many clients a group may have.
        ids: How many message and sync IDs a group may use.
        name: The most characters of a name or an ID.
        answer_bytes: The most that may go out at once: the names and roles of a group's clients,
            what was sent under one ID, or all bundles.
        group_bytes: The most that is kept of a group.
        bytes: The most that is kept of all groups together.
    """

    groups: int = 10_000
    clients: int = 100_000
    ids: int = 100_000
    name: int = 1_024
    answer_bytes: int = 8 << 20
    group_bytes: int = 256 << 20
    bytes: int = 1 << 30


USUAL = Limits()


@define
class Room:
    """How much of what may be kept of all groups together is kept.

    Attributes:
        limits: How much that is.
        taken_bytes: How much is.
        boundless: Whether the limits don't count: for what has been served before.
    """

    limits: Limits
    taken_bytes: int = 0
    boundless: bool = False

    def refusal(self, group_bytes: int, more_bytes: int) -> str | None:
        """Why a group of which so much is kept can't have so much more; None if it can."""
        if self.boundless:
            return None
        if group_bytes + more_bytes > (most := self.limits.group_bytes):
            return f"more would be kept of the group than {most} bytes, which is the most"
        if self.taken_bytes + more_bytes > (most := self.limits.bytes):
            return f"more would be kept of all groups together than {most} bytes, the most"
        return None
