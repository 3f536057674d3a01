"""What the items that a shell has noted amount to."""

from collections.abc import Iterator, Sequence

from attrs import evolve

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
    Word,
    walk,
)


def may_call(items: Sequence[Item]) -> bool:
    """Whether there is a call among the items, or something that may make one."""
    return any(isinstance(each, Call | Unseen) for each in walk(items))


def acts(items: Sequence[Item]) -> bool:
    """Whether the items do something that others notice, or wait for something."""
    return may_call(items) or any(isinstance(each, Join) for each in walk(items))


def reports(items: Sequence[Item]) -> bool:
    """Whether something among the items reports to LAVA."""
    return any(
        (isinstance(each, Command) and each.report)
        or (isinstance(each, Scope) and each.case is not None)
        for each in walk(items)
    )


def leaves(items: Sequence[Item]) -> bool:
    """Whether something among the items leaves a scope, be it only because a call has failed."""
    return any(
        isinstance(each, Leave) or (isinstance(each, Call) and leaves(each.otherwise or ()))
        for each in walk(items)
    )


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


def closed(title: str, items: Sequence[Item], *, outermost: bool) -> Iterator[Item]:
    """The items of a scope; the scope itself is left out unless something leaves it early.

    Args:
        title: The scope's.
        items: In it.
        outermost: Whether nothing is around it: then it matters to LAVA that it is left.
    """
    if not leaves(items):
        yield from items
    elif outermost or acts(items) or escapes(items) or reports(items):
        yield Scope(title, tuple(items))
    else:
        yield from (each for each in walk(items) if isinstance(each, Command | Unreached))


def reported(items: Sequence[Item], case: Word, *, fails: bool) -> Sequence[Item]:
    """The items that a shell of its own has run, with the test case that tells how it ended."""
    match items:
        case [Scope(case=None) as scope] if leaves(items):
            return (evolve(scope, case=case, fails=fails),)
        case _ if leaves(items):  # what the shell does at its end may end the job
            return items
        case _:
            return (Scope("--shell", tuple(items), case=case, fails=fails),)


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
