"""What the items that a shell has noted amount to."""

from collections.abc import Iterator, Sequence

from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Scope,
    Unreached,
    Unseen,
    walk,
)


def may_call(items: Sequence[Item]) -> bool:
    """Whether there is a call among the items, or something that may make one."""
    return any(isinstance(each, Call | Unseen) for each in walk(items))


def acts(items: Sequence[Item]) -> bool:
    """Whether the items do something that others notice, or wait for something."""
    return may_call(items) or any(isinstance(each, Join) for each in walk(items))


def leaves(items: Sequence[Item]) -> bool:
    """Whether something among the items leaves a scope."""
    return any(isinstance(each, Leave) for each in walk(items))


def matters(items: Sequence[Item]) -> bool:
    """Whether the items are more than ordinary commands."""
    return acts(items) or leaves(items)


def calls(items: Sequence[Item]) -> Iterator[Call]:
    """The calls among the items, also those that nobody comes to."""
    for each in walk(items):
        if isinstance(each, Call):
            yield each
        elif isinstance(each, Unreached):
            yield from each.calls


def is_unknown(items: Sequence[Item]) -> bool:
    """Whether there is a command among the items of which nothing is known."""
    return any(isinstance(each, Command) and each.unknown for each in walk(items))


def closed(title: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items of a scope; the scope itself is left out unless something leaves it early."""
    if not leaves(items):
        yield from items
    elif acts(items) or escapes(items):
        yield Scope(title, tuple(items))
    else:
        yield from (each for each in walk(items) if isinstance(each, Command | Unreached))


def escapes(items: Sequence[Item], depth: int = 1) -> bool:
    """Whether something in a scope goes on behind a scope further out."""
    for item in items:
        match item:
            case Leave(levels=levels) if levels > depth:
                return True
            case Scope(items=inner) if escapes(inner, depth + 1):
                return True
            case Loop(body=inner) | Background(items=inner) if escapes(inner, depth):
                return True
            case Choice(ways=ways) if any(escapes(way, depth) for way in ways):
                return True
            case _:
                pass
    return False
