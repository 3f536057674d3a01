"""What is found wrong with a flow, before it is a diagnostic."""

from collections.abc import Iterable, Sequence

from attrs import evolve, frozen

from callboard.definition.model import Place
from callboard.definition.reader import listed
from callboard.events import Where
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.program import Call

Stand = tuple[str, Call]
"""A call, and the role whose nodes come to it."""


@frozen
class Finding:
    """One thing that is wrong: "`what` of role `a` `text`".

    Attributes:
        code: The diagnostic's code.
        where: The place to show.
        roles: Whose nodes do it; they share the block.
        what: What does it, "" for a text that stands alone.
        text: The rest of the sentence.
        hint: The next step.
        explains: The calls that never return because of it.
        suspects: Those that never return because of it if nothing else explains that.
        fails: Whether it fails for certain, whatever the others do.
    """

    code: str
    where: Where
    roles: tuple[str, ...]
    what: str
    text: str
    hint: str | None = None
    explains: frozenset[Stand] = frozenset()
    suspects: frozenset[Stand] = frozenset()
    fails: bool = False

    @property
    def message(self) -> str:
        """The sentence."""
        if not self.what:
            return self.text
        return f"{self.what}{of(self.roles)} {self.text}"

    @property
    def place(self) -> Place:
        """Where it stands."""
        return place(self.where)

    @property
    def cause(self) -> tuple[str, Place, str, str, str | None]:
        """What findings have in common that differ in their role only."""
        return self.code, self.place, self.what, self.text, self.hint


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Findings in the order of their places; those of roles that share a block become one."""
    found: dict[tuple[str, Place, str, str, str | None], Finding] = {}
    for each in findings:
        first = found.setdefault(each.cause, each)
        if first is not each:
            found[each.cause] = evolve(
                first,
                roles=tuple(dict.fromkeys((*first.roles, *each.roles))),
                explains=first.explains | each.explains,
                fails=first.fails or each.fails,
            )
    return sorted(found.values(), key=lambda each: (each.place, each.code))


def explained(findings: Iterable[Finding]) -> frozenset[Stand]:
    """The calls that never return because of some findings."""
    return frozenset().union(*(each.explains for each in findings))


def place(where: Where) -> Place:
    """A position without the step that stands there."""
    return Place(where.file, where.line, where.column)


def of(roles: Sequence[str]) -> str:
    """Whose something is: " of role `a`"; nothing in a job without roles."""
    named = [role for role in roles if role]
    return f" of {spoken(named)}" if named else ""


def spoken(roles: Sequence[str]) -> str:
    """Roles in a sentence: "role `a`", "roles `a` and `b`"."""
    return f"{'role' if len(roles) == 1 else 'roles'} {listed(roles)}"


def verb(roles: Sequence[str], singular: str, plural: str) -> str:
    """The form of a verb after `roles`."""
    return singular if len(roles) == 1 else plural


def line(where: Where, seen_from: Where) -> str:
    """A place in a sentence about another one: "line 12", or with the file if it differs."""
    if where.file == seen_from.file:
        return f"line {where.line}"
    return f"{where.file}:{where.line}"


def too_late(role: str, call: Call, seen_from: Where) -> str:
    """A hint with a call that is written where its role never comes."""
    at = line(call.where, seen_from)
    return f"{spoken([role])} has {quoted(call.shown)} in {at}, but its test ends before"


def quoted(text: str) -> str:
    """A piece of a script in a sentence, on one line and not too long."""
    words = " ".join(text.split())
    return f"`{words[:60]}…`" if len(words) > 60 else f"`{words}`"


def written(call: Call) -> str:
    """A call in a sentence."""
    return "the start" if call.call == "start" else quoted(call.shown)


def stands(sightings: Iterable[Sighting]) -> frozenset[Stand]:
    """The calls at some sightings."""
    return frozenset((each.role, each.call) for each in sightings)
