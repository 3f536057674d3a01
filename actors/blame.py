"""Who is to blame when nobody can go on: along who waits for whom, to where it begins."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen

Culprits = tuple[int, ...]


@frozen
class Knot:
    """Members that wait for the same.

    Attributes:
        waiting: Who waits.
        missing: Who would have had to act.
        guilty: Of those, who has ended without it, or rather who is to blame for that.
    """

    waiting: Sequence[int]
    missing: Sequence[int]
    guilty: Culprits = ()


def culprits(knots: Sequence[Knot]) -> list[Culprits]:
    """Whom to blame for each of `knots`.

    The nearest along who waits for whom that ended, or that wait for nobody; where none can be
    reached, those that wait for each other. Every link is looked at a few times at most.
    """
    following = _following(knots)
    found: dict[int, Culprits] = _by_the_ended(knots, following)
    for circle in _circles([each for each in range(len(knots)) if each not in found], following):
        beyond = {each for knot in circle for each in following[knot]} - set(circle)
        if beyond:
            blamed = _union(found[each] for each in sorted(beyond))
        else:
            blamed = tuple(sorted({each for knot in circle for each in knots[knot].missing}))
        found.update(dict.fromkeys(circle, blamed))
    return [found[number] for number in range(len(knots))]


def _following(knots: Sequence[Knot]) -> list[set[int]]:
    """By number of a knot, the knots in which those wait that it misses."""
    waits: defaultdict[int, list[int]] = defaultdict(list)
    for number, knot in enumerate(knots):
        for member in knot.waiting:
            waits[member].append(number)
    return [
        {number for member in knot.missing for number in waits.get(member, ())} for knot in knots
    ]


def _by_the_ended(knots: Sequence[Knot], following: Sequence[set[int]]) -> dict[int, Culprits]:
    """The knots from which an ended member can be reached, with those that are nearest."""
    preceding: defaultdict[int, set[int]] = defaultdict(set)
    for number, next_ in enumerate(following):
        for each in next_:
            preceding[each].add(number)
    found = {number: _begins(knot) for number, knot in enumerate(knots) if _begins(knot)}
    layer = set(found)
    while layer:
        before = {each for number in layer for each in preceding[number]} - found.keys()
        found |= {
            each: _union(found[next_] for next_ in sorted(following[each] & layer))
            for each in before
        }
        layer = before
    return found


def _begins(knot: Knot) -> Culprits:
    """Who is to blame for a knot whatever the others do; who waits for nobody is itself."""
    return knot.guilty or (() if knot.missing else tuple(knot.waiting))


def _union(parts: Iterable[Culprits]) -> Culprits:
    return tuple(dict.fromkeys(each for part in parts for each in part))


def _circles(numbers: Sequence[int], following: Sequence[set[int]]) -> Iterator[tuple[int, ...]]:
    """The strongly connected parts of the graph, those first that others lead to (Tarjan)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    path: dict[int, None] = {}
    for top in numbers:
        if top in index:
            continue
        index[top] = low[top] = len(index)
        path[top] = None
        work = [(top, iter(sorted(following[top])))]
        while work:
            here, left = work[-1]
            for next_ in left:
                if next_ not in index:
                    index[next_] = low[next_] = len(index)
                    path[next_] = None
                    work.append((next_, iter(sorted(following[next_]))))
                    break
                if next_ in path:
                    low[here] = min(low[here], index[next_])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == index[here]:
                    yield _popped(path, here)


def _popped(path: dict[int, None], last: int) -> tuple[int, ...]:
    part: list[int] = []
    while not part or part[-1] != last:
        part.append(path.popitem()[0])
    return tuple(part)
