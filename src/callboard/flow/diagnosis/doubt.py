"""What keeps a proof from an answer."""

from collections.abc import Collection

from callboard.flow.diagnosis.finding import Finding, Stand, line, of, quoted, written
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.program import Choice, Loop, walk
from callboard.flow.proof import Doubt, Proof


def doubts(ledger: Ledger, proof: Proof, explained: Collection[Stand]) -> list[Finding]:
    """The doubts of a proof, but for those whose place has a finding of its own.

    Args:
        ledger: The calls of the group.
        proof: What is known of it.
        explained: Calls for which a cause has been found: what they decide is no condition's fault.
    """
    forks = {
        (program.role, item.where): item
        for program in ledger.programs
        for item in walk(program.items)
        if isinstance(item, Choice | Loop)
    }
    told = {(role, unseen.where) for role, unseen in ledger.unseen}
    told |= {(each.role, each.call.where) for each in ledger.calls if each.call.gaps}
    told |= {(role, call.where) for role, call in explained}
    found = []
    for doubt in proof.doubts:
        here = doubt.role, doubt.where
        fork = forks.get(here)
        if fork is not None and not doubt.bound:
            found += _forked(doubt, fork, proof, explained)
        elif here not in told:
            text = f"is more than can be explored: {doubt.reason}"
            found.append(Finding("CB180", doubt.where, (doubt.role,), "this place", text))
    return found


def _forked(
    doubt: Doubt, fork: Choice | Loop, proof: Proof, explained: Collection[Stand]
) -> list[Finding]:
    """A condition that decides whether some call returns, unless that has another cause."""
    stuck = [each for each in proof.stuck if (each.role, each.call) not in explained]
    if proof.stuck and not stuck:
        return []
    if isinstance(fork, Loop):
        text = "decides how often a loop runs, and so whether every call returns"
    else:
        text = "decides whether every call returns"
    hint = "make the same calls on all of its ways, or none"
    if stuck:
        call = stuck[0].call
        at = line(call.where, doubt.where)
        hint = f"on some way {written(call)}{of([stuck[0].role])} ({at}) waits for ever; {hint}"
    return [Finding("CB179", doubt.where, (doubt.role,), quoted(fork.condition), text, hint)]
