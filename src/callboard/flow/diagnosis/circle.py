"""Waits that wait for each other: who would act, if it were not waiting itself."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from callboard.events import CallName
from callboard.flow.diagnosis.finding import (
    Finding,
    Stand,
    explained,
    line,
    place,
    quoted,
    spoken,
    written,
)
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.diagnosis.slip import refusal
from callboard.flow.proof import Missing, Proof, Stuck

_CODES: Mapping[CallName, str] = {
    "wait": "CB160",
    "wait-all": "CB162",
    "sync": "CB163",
    "start": "CB165",
}

_TOLD = 4
"""Members of a circle that a sentence tells of, at most."""


def circles(ledger: Ledger, proof: Proof, known: Sequence[Finding]) -> list[Finding]:
    """Why calls never return that nothing else explains.

    Args:
        ledger: The calls of the group.
        proof: What never returns.
        known: What has been found already.
    """
    return list(_Knots(ledger, proof, known).findings())


@frozen
class _Link:
    """A stuck call, the call that it lacks, and the stuck call behind which that is."""

    stuck: Stuck
    lacks: Sighting
    following: Stuck


@define
class _Knots:
    """Follows stuck calls to what they wait for."""

    ledger: Ledger
    proof: Proof
    known: Sequence[Finding]
    _stuck: Mapping[Stand, Stuck] = field(init=False)
    _order: Mapping[Stand, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stuck = {_stand(each): each for each in (*self.proof.witness, *self.proof.stuck)}
        numbered = list(enumerate(self.ledger.calls))
        self._order = {(each.role, each.call): number for number, each in reversed(numbered)}

    def findings(self) -> Iterator[Finding]:
        """One for each circle, and one for each call that lacks what nobody does on its way."""
        seen = set(explained(self.known))
        for stuck in self._stuck.values():
            here, path = stuck, dict[Stand, _Link]()
            while _stand(here) not in seen:
                seen.add(_stand(here))
                link = self._link(here)
                if link is None:
                    yield from self._left_out(here)
                    break
                path[_stand(here)] = link
                here = link.following
            if _stand(here) in path:
                yield self._circle(list(path.values())[list(path).index(_stand(here)) :])

    def _link(self, stuck: Stuck) -> _Link | None:
        """What keeps a call waiting; None if it is not just another stuck call."""
        later = [each for each in stuck.missing if each.reason == "later"]
        if stuck.call.call != "wait" and len(later) < len(stuck.missing):
            return None
        for missing in later:
            lacks = self._sighting(stuck, missing)
            if lacks is not None and (following := self._blocking(lacks)) is not None:
                return _Link(stuck, lacks, following)
        return None

    def _sighting(self, stuck: Stuck, missing: Missing) -> Sighting | None:
        """The call that would do what is missing; a loop makes others at its place."""
        there = [
            each
            for each in self.ledger.calls
            if each.role == missing.role and each.call.where == missing.where
        ]
        return min(there, key=lambda each: each.call.id != stuck.call.id, default=None)

    def _blocking(self, lacks: Sighting) -> Stuck | None:
        """The stuck call that keeps a role from another one: the last before it."""
        own = {
            self._order[stand]: stuck
            for stand, stuck in self._stuck.items()
            if stuck.role == lacks.role and stand in self._order
        }
        end = self._order[lacks.role, lacks.call]
        last = max((number for number in own if number < end), default=None)
        return None if last is None else own[last]

    def _circle(self, links: Sequence[_Link]) -> Finding:
        """Tells a circle from the call that ought to be made later."""
        first = self._first(links)
        links = [*links[first:], *links[:first]]
        start = links[0].stuck
        where = start.call.where
        last = links[-1].lacks
        clauses = [self._clause(link, start) for link in links]
        if len(clauses) > _TOLD:
            clauses[_TOLD - 1 : -1] = [f"and so on through {len(clauses) - _TOLD} more calls"]
        told = f"{', '.join(clauses[:-1])}, and {clauses[-1]}" if clauses[1:] else clauses[0]
        for_ever = "waits for ever" if self.proof.outcome == "deadlocks" else "may wait for ever"
        late = any(link.stuck.call.call == "start" for link in links)
        return Finding(
            "CB166" if late else "CB164",
            where,
            (start.role,),
            written(start.call),
            f"{for_ever}: {told}",
            f"move {quoted(last.call.shown)} ({line(last.call.where, where)}) before it",
            frozenset(_stand(link.stuck) for link in links),
        )

    def _first(self, links: Sequence[_Link]) -> int:
        """Which link to tell first: the one after a delayed start, else the first in the file."""
        for number, link in enumerate(links):
            if link.stuck.call.call != "start" and links[number - 1].stuck.call.call == "start":
                return number
        places = [place(link.stuck.call.where) for link in links]
        return places.index(min(places))

    @staticmethod
    def _clause(link: _Link, start: Stuck) -> str:
        """What a link lacks, and behind which call that is."""
        does = f"{spoken([link.lacks.role])} {_act(link.stuck)}"
        call = link.following.call
        if link.following is start:
            return f"{does} only after this"
        if call.call == "start":
            return f"{does} only after its delayed start"
        at = line(call.where, start.call.where)
        return f"{does} only after its {quoted(call.shown)} ({at})"

    def _left_out(self, stuck: Stuck) -> Iterator[Finding]:
        """A call that lacks what is done on other ways only, or where it fails, or not any more."""
        if self.proof.outcome != "deadlocks":
            return
        call, stand = stuck.call, frozenset([_stand(stuck)])
        supply = self.ledger.supply(Sighting(stuck.role, call))
        lacking = [each.role for each in stuck.missing if each.role]
        suspected = [each for each in self.known if each.suspects & stand]
        done = [role for role in supply.sure if role in lacking or not lacking]
        if suspected:
            yield evolve(suspected[0], explains=stand)
            return
        if done:
            at = line(supply.sure[done[0]].call.where, call.where)
            why = f"{spoken(done[:1])} {_act(stuck)} on some of its ways only ({at})"
        elif supply.failing:
            for failing in supply.failing.values():
                yield evolve(refusal(failing), explains=stand)
            return
        else:
            nobody = f"no node of {spoken(lacking[:1])}" if lacking else "no role"
            why = f"on the ways that lead there, {nobody} {_act(stuck)}"
        yield Finding(
            _CODES[call.call],
            call.where,
            (stuck.role,),
            written(call),
            f"waits for ever: {why}",
            "let it be done on every way",
            stand,
        )


def _stand(stuck: Stuck) -> Stand:
    return stuck.role, stuck.call


def _act(stuck: Stuck) -> str:
    """What somebody would have to do for a stuck call, as the end of a sentence."""
    match stuck.call.call:
        case "start":
            return f"releases {spoken([stuck.role])}"
        case "sync":
            return f"calls {quoted(f'lava-sync {stuck.call.id}')}"
        case _:
            return f"sends {quoted(str(stuck.call.id))}"
