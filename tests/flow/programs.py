"""Small programs for tests: calls as lines of text, everything else as functions of lines.

`program("client", "wait a", either(["send b"], []), "sync c", count=2)` is a role of two nodes. A
`$` in a word is a gap. Every item stands on a line of its own, in a file named after the role.
"""

from collections.abc import Iterable, Sequence
from itertools import count as counter
from typing import get_args

from attrs import evolve

from callboard.events import CallName, Where
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Obscurity,
    Program,
    Refused,
    Scope,
    Unreached,
    Unseen,
    Word,
)

Lines = Iterable[str | Item]

_NOWHERE = Where("", 0, 1, "")
_START = Word.of("lava_start")


def program(role: str, *lines: str | Item, count: int = 1) -> Program:
    numbers = counter(1)
    return Program(role, count, _placed(items(lines), role, numbers))


def items(lines: Lines) -> tuple[Item, ...]:
    return tuple(call(line) if isinstance(line, str) else line for line in lines)


def call(line: str) -> Call:
    """`send ID`, `wait ID`, `wait-all ID [ROLE]`, `sync ID`, `start ROLE`, `release ROLE…`."""
    verb, *words = line.split()
    if verb == "release":
        return Call("send", _START, _NOWHERE, "0_test", roles=tuple(words))
    if verb == "start":
        return Call("start", _START, _NOWHERE, "0_test", role=word(words[0]))
    (name,) = (name for name in get_args(CallName) if name == verb)
    role = word(words[1]) if len(words) > 1 else None
    return Call(name, word(words[0]), _NOWHERE, "0_test", role=role)


def word(text: str) -> Word:
    texts = text.split("$")
    parts: list[str | None] = [texts[0]]
    for each in texts[1:]:
        parts += [None, each]
    return Word(tuple(part for part in parts if part != ""))


def refused(line: str, why: Refused) -> Call:
    return evolve(call(line), refused=why, reason=f"its {why} is wrong")


def either(*ways: Lines, condition: str = "[ -e /x ]") -> Choice:
    return Choice(condition, _NOWHERE, tuple(items(way) for way in ways))


def loop(*lines: str | Item, condition: str = "read x") -> Loop:
    return Loop(condition, _NOWHERE, items(lines))


def scope(*lines: str | Item) -> Scope:
    return Scope("f", items(lines))


def suite(title: str, *lines: str | Item) -> Scope:
    return Scope(title, items(lines), test=True)


def leave(levels: int = 1) -> Leave:
    return Leave(levels, _NOWHERE)


def background(*lines: str | Item) -> Background:
    return Background(items(lines), _NOWHERE)


def join() -> Join:
    return Join(_NOWHERE)


def unseen(reason: str = "`./run.sh` is not there", obscurity: Obscurity = "unseen") -> Unseen:
    return Unseen(reason, _NOWHERE, obscurity)


def command(text: str = "true") -> Command:
    return Command(text, _NOWHERE)


def _placed(inner: Sequence[Item], role: str, numbers: "counter[int]") -> tuple[Item, ...]:
    return tuple(_at(item, role, numbers) for item in inner)


def _at(item: Item, role: str, numbers: "counter[int]") -> Item:
    if isinstance(item, Scope):
        return evolve(item, items=_placed(item.items, role, numbers))
    if isinstance(item, Unreached):
        return item
    step = item.written if isinstance(item, Call) else type(item).__name__.lower()
    where = Where(f"{role}.sh", next(numbers), 1, step)
    match item:
        case Choice(ways=ways):
            placed = tuple(_placed(way, role, numbers) for way in ways)
            return evolve(item, where=where, ways=placed)
        case Loop(body=body):
            return evolve(item, where=where, body=_placed(body, role, numbers))
        case Background(items=inner):
            return evolve(item, where=where, items=_placed(inner, role, numbers))
        case _:
            return evolve(item, where=where)
