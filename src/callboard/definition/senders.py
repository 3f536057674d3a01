"""Which roles may send a message, as far as that is known before the run.

It decides who is blamed for a wait that nobody satisfies, and whether such a wait is given up
before its limit.
"""

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class Sends:
    """What a role sends: `ids`, and maybe more if its definitions are `open`.

    `syncs` are the IDs of its syncs, and maybe more if they are `computed`.
    """

    ids: frozenset[str] = frozenset()
    open: bool = False
    syncs: frozenset[str] = frozenset()
    computed: bool = False


@frozen
class Senders:
    """The roles of a group by what they send.

    Attributes:
        sends: What each role sends.
    """

    sends: Mapping[str, Sends] = field(repr=False)

    def possible(self, message_id: str) -> frozenset[str]:
        """The roles that may send `message_id`; none if that can be ruled out."""
        return frozenset(
            role for role, each in self.sends.items() if each.open or message_id in each.ids
        )

    def callers(self, sync_id: str) -> frozenset[str]:
        """The roles that may call this sync."""
        return frozenset(
            role
            for role, each in self.sends.items()
            if each.open or each.computed or sync_id in each.syncs
        )

    def likely(self, message_id: str) -> frozenset[str]:
        """The roles whose definitions name it; those that may send it where none does."""
        named = frozenset(role for role, each in self.sends.items() if message_id in each.ids)
        return named or self.possible(message_id)
