"""What the programs of a group send, for the group while it runs."""

from collections.abc import Iterable

from callboard.definition.senders import Senders, Sends
from callboard.flow.program import Command, Program, Unseen, walk


def senders_of(programs: Iterable[Program]) -> Senders:
    """Which roles may send what; one without nodes sends nothing.

    A wait that could still be satisfied must never be given up. So a role is taken to send no
    more than it says only if each of its commands is known not to run others.
    """
    return Senders({each.role: _sends(each) for each in programs if each.count})


def _sends(program: Program) -> Sends:
    items = list(walk(program.items))
    calls = [*program.calls(), *program.unreached()]  # it was meant to make those, too
    sent = [call.id.text for call in calls if call.call == "send"]
    syncs = [call.id.text for call in calls if call.call == "sync"]
    obscure = any(
        isinstance(item, Unseen) or (isinstance(item, Command) and item.unknown) for item in items
    )
    return Sends(
        frozenset(text for text in sent if text is not None),
        obscure or None in sent,
        frozenset(text for text in syncs if text is not None),
        None in syncs,
    )
