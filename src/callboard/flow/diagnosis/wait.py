"""Calls that wait for the same thing, and who would have to do it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from attrs import field, frozen

from callboard.definition.model import Place
from callboard.events import CallName
from callboard.flow.diagnosis.finding import (
    Finding,
    Stand,
    line,
    of,
    place,
    quoted,
    stands,
    written,
)
from callboard.flow.diagnosis.ledger import Ledger, Supply
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.program import Call

_MOST_PLACES = 3
"""Further places that a sentence names."""


@frozen
class Wait:
    """Calls of one kind and ID.

    Attributes:
        sightings: The calls, role by role.
        needed: The roles with nodes that have to act; for `lava-wait`, any of them will do.
        supply: Those that do.
    """

    sightings: Sequence[Sighting]
    needed: tuple[str, ...]
    supply: Supply = field(repr=False)

    @property
    def call(self) -> Call:
        """The call that stands for all."""
        return self.sightings[0].call

    @property
    def id(self) -> str:
        """The ID, which is known."""
        return self.call.id.text or ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The needed roles that never act; if there are none, those that only may."""
        return self.supply.missing(self.needed)

    @property
    def unless(self) -> str:
        """That a call whose ID only the run knows might help, as the end of a sentence."""
        able = self.needed if self.call.call == "wait" else self.missing
        for role, each in self.supply.maybe.items():
            if role in able:
                at = line(each.call.where, self.call.where)
                return f", unless {quoted(each.call.shown)}{of([role])} does ({at})"
        return ""

    def finding(
        self,
        code: str,
        text: str,
        hint: str,
        stuck: frozenset[Stand],
        also: Iterable[Sighting] = (),
    ) -> Finding:
        """What is wrong with it, at the first call, of those that are stuck if any is.

        Args:
            code: The diagnostic's code.
            text: The sentence after the call.
            hint: The next step.
            stuck: Calls that never return.
            also: More calls that are explained thereby.
        """
        certain = [each for each in self.sightings if (each.role, each.call) in stuck]
        first = min(certain or self.sightings, key=place_of)
        return Finding(
            code,
            first.call.where,
            at_first([first, *self.sightings]),
            written(first.call),
            text + others(first, self.sightings),
            hint,
            stands([*self.sightings, *also]),
        )


def waits(ledger: Ledger, *kinds: CallName) -> Iterator[Wait]:
    """The waits of a group whose ID and role are known before the run."""
    alike: defaultdict[object, list[Sighting]] = defaultdict(list)
    for each in ledger.calls:
        call = each.call
        if call.call in kinds and not call.gaps and call.refused in (None, "role"):
            asker = each.role if call.call == "start" else None
            alike[call.call, call.id, call.role, asker].append(each)
    for found in alike.values():
        yield Wait(found, ledger.needed(found[0].call), ledger.supply(found[0]))


def at_first(sightings: Sequence[Sighting]) -> tuple[str, ...]:
    """The roles that make the first of some calls, in the same block."""
    where = sightings[0].call.where
    return tuple(dict.fromkeys(each.role for each in sightings if each.call.where == where))


def others(first: Sighting, sightings: Iterable[Sighting]) -> str:
    """Where else the same is called, as the end of a sentence."""
    here = first.call.where
    found = dict.fromkeys(
        line(each.call.where, here)
        for each in sorted(sightings, key=place_of)
        if each.call.where != here
    )
    if not found:
        return ""
    shown = list(found)[:_MOST_PLACES]
    more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return f" (also {', '.join(shown)}{more})"


def place_of(sighting: Sighting) -> Place:
    """Where a call is written."""
    return place(sighting.call.where)
