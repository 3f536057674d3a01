"""Syncs for which not all roles come."""

from collections.abc import Iterator

from callboard.definition.model import Place
from callboard.flow.diagnosis.finding import Finding, Stand, quoted, spoken, too_late, verb
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.spelling import Spelling
from callboard.flow.diagnosis.wait import Wait, place_of, waits


def meetings(ledger: Ledger, stuck: frozenset[Stand]) -> Iterator[Finding]:
    """Syncs that some role never calls; two that are spelled alike are one slip.

    It stands at the spelling that fewer roles use.

    Args:
        ledger: The calls of the group.
        stuck: Those that never return.
    """
    spelling = Spelling()
    open_ = {wait.id: wait for wait in waits(ledger, "sync") if wait.missing}
    called = {sync_id: wait.sightings for sync_id, wait in open_.items()}
    for wait in sorted(open_.values(), key=_rarest_first):
        if wait.id in spelling.told:
            continue
        missing = wait.missing
        never = verb(missing, "never calls", "never call")
        text = f"needs every node, but {spoken(missing)} {never} it{wait.unless}"
        near = spelling.nearest(wait.id, called, missing)
        if near:
            own = [each for each in called[near] if each.role in missing]
            hint = spelling.meant(near, own, wait.call)
            yield wait.finding("CB163", text, hint, stuck, open_[near].sightings)
        elif lost := ledger.unreached(wait.call, missing):
            yield wait.finding("CB163", text, too_late(*lost, wait.call.where), stuck)
        else:
            add = f"add {quoted(f'lava-sync {wait.id}')} to {spoken(missing)}"
            hint = f"{add}; if only some roles have to meet, use messages"
            yield wait.finding("CB163", text, hint, stuck)


def _rarest_first(wait: Wait) -> tuple[int, Place]:
    return len(wait.supply.sure), min(map(place_of, wait.sightings))
