"""Doubts that come from choices, whatever the semantics."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product, zip_longest

from callboard.events import Where
from callboard.flow.program import Choice, Loop, Program, walk
from callboard.flow.proof.evidence import Doubt
from callboard.flow.proof.ways import Ways


def cut(programs: Sequence[Program], ways: Sequence[Ways]) -> Iterator[Doubt]:
    """Roles of which not all ways are followed."""
    for program, own in zip(programs, ways, strict=True):
        if not own.all:
            yield Doubt(
                program.role, "more ways lead on from here than are followed", branch(program)
            )


def branch(program: Program) -> Where:
    """Where a program branches for the first time; it does."""
    return next(item.where for item in walk(program.items) if isinstance(item, Choice | Loop))


def depends(role: str, ways: Ways, own: Iterable[int], other: Iterable[int]) -> Iterator[Doubt]:
    """The choices that tell two sets of ways of a role apart.

    They are those in which a way that only one of the sets has leaves another one.
    """
    own, other = set(own), set(other)
    changed = [ways.ways[way].taken for way in sorted(own ^ other)]
    every = [ways.ways[way].taken for way in sorted(own | other)]
    for one, another in product(changed, every):
        for mine, theirs in zip_longest(one, another):
            if mine != theirs:
                choice = (mine or theirs)[0]
                yield Doubt(role, f"it depends on `{choice.condition}`", choice.where)
                break
