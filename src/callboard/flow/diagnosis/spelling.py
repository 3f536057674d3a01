"""Which ID was meant by one that has no counterpart."""

from collections.abc import Mapping, Sequence

from attrs import define, field

from callboard.definition.reader import nearest
from callboard.flow.diagnosis.finding import line, spoken, verb
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.program import Call

_MOST = 100
"""IDs that are compared with others, at most: comparing takes a millisecond or more each."""

_DOES = {"send": ("sends", "send"), "sync": ("calls", "call")}
_AWAITS = ("waits for", "wait for")


@define
class Spelling:
    """Finds IDs that are spelled alike.

    Attributes:
        told: IDs that a hint has named: what is wrong with them is told thereby.
    """

    told: set[str] = field(factory=set[str])
    _compared: int = field(default=0, init=False)

    def nearest(
        self, name: str, table: Mapping[str, Sequence[Sighting]], roles: Sequence[str] = ()
    ) -> str | None:
        """The ID that is most like `name`, None when none is alike.

        Args:
            name: An ID without a counterpart.
            table: Calls by their ID.
            roles: Those of whose calls one is meant, if not all.
        """
        if self._compared >= _MOST or not table:
            return None
        self._compared += 1
        return nearest(
            name,
            (
                key
                for key, found in table.items()
                if not roles or any(each.role in roles for each in found)
            ),
        )

    def meant(self, near: str, found: Sequence[Sighting], call: Call) -> str:
        """A hint for a call with the ID that was meant, and who has it where."""
        self.told.add(near)
        who = tuple(dict.fromkeys(each.role for each in found))
        does = verb(who, *_DOES.get(found[0].call.call, _AWAITS))
        where = line(found[0].call.where, call.where)
        return f"did you mean `{near[:60]}`? {spoken(who)} {does} it ({where})"
