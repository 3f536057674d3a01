"""Every sequence of calls that a program may make, found by going all of its ways."""

import re
from collections.abc import Iterator, Sequence

from attrs import frozen

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
)

JOB_ENDS = "the job ends"
"""The last of a trace that ends the job: a plain shell, which knows of no job, goes on."""

_MOST_TURNS = 3
_AROUND = 2  # the scopes of the test and of the job
Trace = tuple[str, ...]


def is_of(trace: Trace, calls: Sequence[str]) -> bool:
    """Whether a trace, in which some words may have gaps, is of these calls."""
    if trace[-1:] == (JOB_ENDS,):
        trace, calls = trace[:-1], calls[: len(trace) - 1]
    patterns = [re.escape(each.strip()).replace("…", ".*") for each in trace]
    return len(trace) == len(calls) and all(
        re.fullmatch(pattern, call.strip() + (" " if pattern.endswith(".*") else ""))
        for pattern, call in zip(patterns, calls, strict=True)
    )


@frozen
class _Way:
    trace: Trace
    leaves: int = 0


def traces(items: Sequence[Item]) -> set[Trace]:
    """The traces of a program; what runs in the background is left out."""
    return {(*way.trace, JOB_ENDS) if way.leaves >= _AROUND else way.trace for way in _ways(items)}


def _ways(items: Sequence[Item]) -> Iterator[_Way]:
    if not items:
        yield _Way(())
        return
    first, *rest = items
    for way in _ways_of(first):
        if way.leaves:
            yield way
        else:
            for after in _ways(rest):
                yield _Way((*way.trace, *after.trace), after.leaves)


def _ways_of(item: Item) -> Iterator[_Way]:
    match item:
        case Call():
            yield _Way((item.written,))
        case Unseen():
            yield _Way((f"?{item.obscurity}",))
        case Choice(ways=ways):
            for each in ways:
                yield from _ways(each)
        case Loop(body=body):
            for turns in range(_MOST_TURNS + 1):
                yield from _ways([*body] * turns)
        case Scope(items=inner):
            for way in _ways(inner):
                yield _Way(way.trace, max(way.leaves - 1, 0))
        case Leave(levels=levels):
            yield _Way((), levels)
        case Command() | Unreached() | Background() | Join():
            yield _Way(())
