"""Groups for tests, one call a line: "a, b: wait-all ready server".

A sign before the call says how the role comes to it: `?` on one of two ways, `*` in a loop, `&` in
the background, `~` with the changes that a test makes, `! KIND REASON` to something unseen. `%` in
an ID is a gap.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve, frozen

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Definition, Place, Role, Timeouts
from callboard.definition.source import Source
from callboard.events import CallName, Where
from callboard.flow.diagnosis import diagnose
from callboard.flow.extraction import Extraction
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Item,
    Loop,
    Obscurity,
    Program,
    Scope,
    Unseen,
    Word,
)
from callboard.flow.proof import Doubt, Missing, Outcome, Proof, Run, Stuck

FILE = "group.yaml"
CONDITION = "[ -e /x ]"

Change = Callable[[Call], Call]

_NAMES: Mapping[str, CallName] = {
    "send": "send",
    "wait": "wait",
    "wait-all": "wait-all",
    "sync": "sync",
    "start": "start",
}
_OBSCURITIES: Mapping[str, Obscurity] = {
    "unparsed": "unparsed",
    "unseen": "unseen",
    "console": "console",
    "endless": "endless",
    "bound": "bound",
}


@frozen
class Group:
    """A group and what is known of it; `text` is the file that its places are in."""

    text: str
    definition: Definition
    programs: tuple[Program, ...]

    def calls(self, role: str) -> list[Call]:
        return [each for own in self.programs if own.role == role for each in own.calls()]

    def doing(self, role: str, *items: Item) -> "Group":
        """The group with other items for one of its roles."""
        test = Scope("0_test", items, test=True)
        programs = tuple(
            evolve(each, items=(test,)) if each.role == role else each for each in self.programs
        )
        return evolve(self, programs=programs)

    def found(self, proof: Proof | None = None) -> tuple[Diagnostic, ...]:
        """The diagnostics, with a proof of straight-line programs unless another is given."""
        extraction = Extraction(self.programs, {FILE: Source(FILE, self.text)})
        return diagnose(self.definition, extraction, proof or proved(self.programs))

    def said(self, proof: Proof | None = None) -> str:
        """The diagnostics as text, without source lines."""
        lines = []
        for each in self.found(proof):
            assert each.place is not None
            lines.append(f"{each.place.line} {each.severity} {each.code}: {each.message}")
            if each.hint:
                lines.append(f"  {each.hint}")
        return "\n".join(lines)


def group(
    text: str, change: Change | None = None, counts: Mapping[str, int] | None = None
) -> Group:
    """A group from its lines; the roles are those that are named, with one node each."""
    text = "\n".join(line.strip() for line in text.strip().splitlines())
    items: dict[str, list[Item]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        names, colon, step = line.partition(":")
        column = len(names) + len(colon) + len(step) - len(step.lstrip()) + 1
        for name in names.split(","):
            item = _item(step.strip(), Where(FILE, number, column, step.strip()), change)
            items.setdefault(name.strip(), []).append(item)
    programs = tuple(
        Program(role, (counts or {}).get(role, 1), (Scope("0_test", tuple(own), test=True),))
        for role, own in items.items()
    )
    roles = tuple(Role(each.role, each.count, Place(FILE, 1, 1)) for each in programs if each.role)
    definition = Definition(FILE, text, "test", Timeouts(600), (), {}, roles)
    return Group(text, definition, programs)


def call(step: str, where: Where) -> Call:
    """`send ID KEY=VALUE…`, `wait-all ID ROLE`, `start ROLE`, `release ROLE…`, and so on."""
    verb, *words = step.split()
    if verb == "release":
        return Call("send", Word.of("lava_start"), where, "0_test", roles=tuple(words))
    if verb == "start":
        return Call("start", Word.of("lava_start"), where, "start", role=_word(words[0]))
    pairs = [word.partition("=") for word in words[1:] if "=" in word]
    role = _word(words[1]) if verb == "wait-all" and words[1:] and not pairs else None
    data = tuple((key, _word(value)) for key, _, value in pairs)
    return Call(_NAMES[verb], _word(words[0]), where, "0_test", role=role, data=data)


def proved(programs: tuple[Program, ...]) -> Proof:
    """What is known of programs that go one way only: all go on until nobody can."""
    lines = {each.role: list(each.calls()) for each in programs if each.count}
    at = dict.fromkeys(lines, 0)
    moved = True
    while moved:
        moved = False
        for role, calls in lines.items():
            if at[role] < len(calls) and not _missing(role, calls[at[role]], lines, at):
                at[role] += 1
                moved = True
    stuck = tuple(
        Stuck(role, calls[at[role]], _missing(role, calls[at[role]], lines, at))
        for role, calls in lines.items()
        if at[role] < len(calls)
    )
    return proof("deadlocks" if stuck else "completes", *stuck)


def proof(outcome: Outcome, *stuck: Stuck, doubts: tuple[Doubt, ...] = ()) -> Proof:
    return Proof(outcome, Run((), ()), stuck, stuck, doubts)


def _missing(
    role: str, waiting: Call, lines: Mapping[str, list[Call]], at: Mapping[str, int]
) -> tuple[Missing, ...]:
    """What a call still needs when each role has come to its `at`-th call."""
    if waiting.call == "send":
        return ()
    if waiting.refused:
        return (Missing(None, "never"),)
    needed = list(lines) if waiting.role is None else [str(waiting.role)]
    if needed[0] not in lines:
        return (Missing(needed[0], "absent"),)
    missing = []
    for other in needed:
        acts = [n for n, each in enumerate(lines[other]) if _helps(each, waiting, role)]
        if acts and acts[0] < at[other] + (waiting.call == "sync"):
            if waiting.call == "wait":
                return ()
        elif acts:
            missing.append(Missing(other, "later", lines[other][acts[0]].where))
        elif waiting.call != "wait":
            missing.append(Missing(other, "never"))
    return tuple(missing) or ((Missing(None, "never"),) if waiting.call == "wait" else ())


def _helps(each: Call, waiting: Call, role: str) -> bool:
    if each.refused:
        return False
    if waiting.call == "sync":
        return each.call == "sync" and each.id == waiting.id
    if waiting.call == "start":
        return each.call == "send" and each.id == waiting.id and role in (each.roles or [role])
    return each.call == "send" and each.id == waiting.id and each.roles is None


def _item(step: str, where: Where, change: Change | None) -> Item:
    match step[0], step[1:].strip():
        case "?", rest:
            return Choice(CONDITION, where, ((call(rest, where),), ()))
        case "*", rest:
            return Loop("read x", where, (call(rest, where),))
        case "&", rest:
            return Background((call(rest, where),), where)
        case "~", rest:
            assert change is not None
            return change(call(rest, where))
        case "!", rest:
            kind, _, reason = rest.partition(" ")
            return Unseen(reason, where, _OBSCURITIES[kind])
        case _:
            return call(step, where)


def _word(text: str) -> Word:
    parts = re.split("(%)", text)
    return Word(tuple(None if part == "%" else part for part in parts if part))


def changed(**changes: Any) -> Change:
    """A change of a call's fields."""
    return lambda each: evolve(each, **changes)
