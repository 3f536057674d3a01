"""Messages and starts that have no counterpart: never sent, or never awaited."""

from collections.abc import Iterator

from attrs import define, field

from callboard.definition.calls import START
from callboard.definition.reader import listed, nearest
from callboard.flow.diagnosis.finding import (
    Finding,
    Stand,
    line,
    quoted,
    spoken,
    stands,
    too_late,
    verb,
    written,
)
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.diagnosis.spelling import Spelling
from callboard.flow.diagnosis.wait import Wait, at_first, others, place_of, waits


def mismatches(
    ledger: Ledger, stuck: frozenset[Stand], told: frozenset[Stand] = frozenset()
) -> Iterator[Finding]:
    """Every message that is waited for and not sent, or sent and not waited for.

    Args:
        ledger: The calls of the group.
        stuck: Those that never return.
        told: Those that have a finding already, which says why.
    """
    return _Matching(ledger, stuck, told).findings()


@define
class _Matching:
    """Looks for the counterpart of each call; `orphans` are messages that nobody waits for."""

    ledger: Ledger
    stuck: frozenset[Stand]
    told: frozenset[Stand]
    _spelling: Spelling = field(factory=Spelling, init=False)
    _awaited: dict[str, list[Sighting]] = field(init=False)
    _sent: dict[str, list[Sighting]] = field(init=False)
    _orphans: dict[str, list[Sighting]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        sends, single, whole = (self.ledger.named(each) for each in ("send", "wait", "wait-all"))
        sent = {
            key: [each for each in found if not each.call.refused] for key, found in sends.items()
        }
        self._sent = {key: found for key, found in sent.items() if found}
        self._awaited = {key: [*single.get(key, ()), *whole.get(key, ())] for key in single | whole}
        unknown = [each.call.id for each in self.ledger.unnamed("wait", "wait-all")]
        self._orphans = {
            key: found
            for key, found in self._sent.items()
            if key not in self._awaited
            and key != START
            and not any(each.call.deploys for each in found)
            and not any(word.may_be(key) for word in unknown)
        }

    def findings(self) -> Iterator[Finding]:
        """Everything that doesn't match."""
        for wait in waits(self.ledger, "start", "wait", "wait-all"):
            if stands(wait.sightings) <= self.told:
                continue
            if not wait.needed:
                yield from self._absent(wait)
            elif finding := self._unsatisfied(wait):
                yield finding
        # A wait that the console does not see is a finding of its own.
        if not self.ledger.unseen:
            yield from self._unawaited()

    def _absent(self, wait: Wait) -> Iterator[Finding]:
        """A wait for a role that isn't there fails at once, at each place where it stands."""
        name = str(wait.call.role)
        if name in self.ledger.idle:
            text = f"fails: role {quoted(name)} has no nodes"
            hint = f"give {quoted(name)} a `count`, or remove the call"
        else:
            text = f"fails: there is no role {quoted(name)}"
            near = nearest(name, self.ledger.roles)
            roles = listed(self.ledger.roles)
            hint = f"did you mean `{near}`?" if near else f"the roles are {roles}"
        for each in wait.sightings:
            yield Finding(
                "CB167",
                each.call.where,
                (each.role,),
                written(each.call),
                text,
                hint,
                stands([each]),
                fails=each.certain,
            )

    def _unsatisfied(self, wait: Wait) -> Finding | None:
        supply = wait.supply
        if wait.call.call == "start":
            return self._unstarted(wait) if wait.missing else None
        if wait.call.call == "wait":
            return None if supply.sure else self._unsent(wait)
        if supply.sure or supply.hidden:
            return self._incomplete(wait) if wait.missing else None
        return self._unsent(wait)

    def _unsent(self, wait: Wait) -> Finding | None:
        """No role sends what is waited for."""
        near = self._spelling.nearest(wait.id, self._orphans)
        text = f"waits for a message that no role {'' if wait.unless else 'ever '}sends"
        if wait.supply.hidden:
            if near is None:  # what can't be read most likely sends it
                return None
            text = "waits for a message that no role sends, as far as can be read"
        near = near or self._spelling.nearest(wait.id, self._sent)
        lost = self.ledger.unreached(wait.call, self.ledger.roles)
        if lost:
            hint = too_late(*lost, wait.call.where)
        elif near:
            hint = self._spelling.meant(near, self._sent[near], wait.call)
        else:
            hint = self._supplier(wait)
        return wait.finding("CB160", text + wait.unless, hint, self.stuck)

    def _supplier(self, wait: Wait) -> str:
        """Who should send what nobody sends."""
        idle = [role for role in self.ledger.idle if self.ledger.would(role, wait.call)]
        if idle:
            has = verb(idle, "sends it, but has", "send it, but have")
            return f"{spoken(idle)} {has} no nodes (`count: 0`)"
        whom = "the role that should send it" if wait.call.call == "wait" else spoken(wait.needed)
        return f"add {quoted(f'lava-send {wait.id}')} to {whom}"

    def _incomplete(self, wait: Wait) -> Finding:
        """Some roles send it, or may, but one that has to never does."""
        missing = wait.missing
        never = verb(missing, "never sends", "never send")
        if wait.call.role is None:
            text = f"needs it from every node, but {spoken(missing)} {never} it"
        else:
            text = f"needs it from {spoken(missing)}, which {never} it"
        near = self._spelling.nearest(wait.id, self._orphans, missing)
        senders = list(wait.supply.sure)
        lost = self.ledger.unreached(wait.call, missing)
        if lost:
            hint = too_late(*lost, wait.call.where)
        elif near:
            hint = self._meant(near, wait)
        else:
            hint = f"add {quoted(f'lava-send {wait.id}')} to {spoken(missing)}"
            if len(senders) == 1 and not wait.supply.hidden:
                call = quoted(f"lava-wait-all {wait.id} {senders[0]}")
                hint += f", or write {call}, for only {spoken(senders)} sends it"
        return wait.finding("CB162", text + wait.unless, hint, self.stuck)

    def _meant(self, near: str, wait: Wait) -> str:
        """A hint with what those send instead that have to act."""
        own = [each for each in self._orphans[near] if each.role in wait.missing]
        return self._spelling.meant(near, own, wait.call)

    def _unstarted(self, wait: Wait) -> Finding:
        """Nobody lets a delayed role begin."""
        expected = wait.needed
        text = f"is never released: {spoken(expected)} never sends `{START}`{wait.unless}"
        hint = f"add `lava-send {START}` to {spoken(expected)}"
        here = wait.call.where
        for each in self.ledger.named("send").get(START, ()):
            at = line(each.call.where, here)
            if each.role in expected:
                hint = f"{quoted(each.call.shown)} ({at}) releases others only"
            elif each.role in wait.supply.sure:
                who = spoken([each.role])
                hint = f"{who} sends it ({at}), but `expect_role` is {listed(expected)}"
        near = self._spelling.nearest(START, self._orphans, expected)
        if near:
            hint = self._meant(near, wait)
        return wait.finding("CB165", text, hint, self.stuck)

    def _unawaited(self) -> Iterator[Finding]:
        """Messages that nobody waits for."""
        for message_id, found in self._orphans.items():
            if message_id in self._spelling.told:
                continue
            first = min(found, key=place_of)
            hint = f"remove it, or wait for it with {quoted(f'lava-wait {message_id}')}"
            if idle := self.ledger.idly_awaited(message_id):
                has = verb(idle, "waits for it, but has", "wait for it, but have")
                hint = f"{spoken(idle)} {has} no nodes (`count: 0`)"
            near = self._spelling.nearest(message_id, self._awaited)
            if near:
                hint = self._spelling.meant(near, self._awaited[near], first.call)
            text = f"sends a message that nobody waits for{others(first, found)}"
            roles = at_first([first, *found])
            yield Finding("CB161", first.call.where, roles, written(first.call), text, hint)
