"""The ways through a program: what a node calls in order, once every choice has been made."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from attrs import define, field, frozen

from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Program,
    Scope,
    Unreached,
    Unseen,
    walk,
)

MOST_WAYS = 256
"""How many ways of a role are followed at most."""

MOST_STEPS = 50_000
"""How many steps the ways of a group have at most, a single way of each role aside."""


@frozen
class Fork:
    """Runs `steps` beside those that follow, in the background of the test `test`."""

    steps: tuple["Step", ...]
    test: str


@frozen
class Gather:
    """Waits until all that this sequence runs in the background of the test `test` has ended."""

    test: str


Step = Call | Unseen | Fork | Gather
Taken = tuple[tuple[Choice, int], ...]


@frozen
class Way:
    """One way through a program.

    Attributes:
        steps: What a node comes to, in order.
        taken: The choices that make the way differ from others, each with the number of the way
            taken. A loop appears as a choice between its body, 0, and nothing, 1.
    """

    steps: tuple[Step, ...]
    taken: Taken = ()


@frozen
class Ways:
    """The different ways through a program.

    Attributes:
        ways: Ways that make the same calls stand here once. Those that take the first of each
            choice come first, those that leave a scope early behind those that don't.
        all: Whether there are no others; False when the bounds of this module were met.
    """

    ways: tuple[Way, ...]
    all: bool


def ways(program: Program, most_steps: int = MOST_STEPS) -> Ways:
    """The ways through a program: `MOST_WAYS` at most, that have `most_steps` in all.

    Calls only add facts and waits only need them, so a turn of a loop that was taken before
    changes nothing: a loop is left after any sequence of *different* turns.
    """
    follower = _Follower(most_steps + sum(1 for _ in walk(program.items)))
    found: dict[_Prefix, Taken] = {}
    for (prefix, _), taken in follower.follow(program.items, follower.root, "").items():
        found.setdefault(prefix, taken)
    every: list[Way] = []
    for prefix, taken in found.items():
        way = Way(prefix.steps(), taken)
        most_steps -= len(way.steps) if every else 0
        if most_steps < 0:
            break
        every.append(way)
    return Ways(tuple(every), follower.all and len(every) == len(found))


@define(eq=False)
class _Prefix:
    """The steps so far; those that make the same calls are one and the same object."""

    step: Step | None = None
    key: Hashable = None
    before: "_Prefix | None" = None
    after: dict[Hashable, "_Prefix"] = field(factory=dict[Hashable, "_Prefix"])

    def then(self, step: Step, key: Hashable) -> "_Prefix":
        """The steps with one more; steps of equal `key` are the same."""
        known = self.after.get(key)
        if known is None:
            known = self.after[key] = _Prefix(step, key, self)
        return known

    def again(self, path: list["_Prefix"]) -> "_Prefix":
        """The steps with those of `path` behind them."""
        end = self
        for each in path:
            assert each.step is not None
            end = end.then(each.step, each.key)
        return end

    def path(self) -> list["_Prefix"]:
        """What leads here, from the first step on."""
        found: list[_Prefix] = []
        here = self
        while here.before is not None:
            found.append(here)
            here = here.before
        return found[::-1]

    def steps(self) -> tuple[Step, ...]:
        """The steps themselves."""
        return tuple(each.step for each in self.path() if each.step is not None)


_Ends = dict[tuple[_Prefix, int], Taken]
"""Where items lead: the steps behind them, and how many scopes are left at once; 0 goes on."""

_Key = TypeVar("_Key")


@frozen(eq=False)
class _Turn:
    """One way through the body of a loop."""

    path: list[_Prefix]
    levels: int
    taken: Taken


@define(eq=False)
class _Follower:
    """Follows all ways of a program at once, and one alone when `budget` items have been passed."""

    budget: int
    root: _Prefix = field(factory=_Prefix)
    all: bool = True
    _known: dict[tuple[int, str], _Ends] = field(factory=dict[tuple[int, str], _Ends])

    def follow(self, items: Iterable[Item], start: _Prefix, test: str) -> _Ends:
        """Where `items` lead that come behind `start`, within the test `test`."""
        live: dict[_Prefix, Taken] = {start: ()}
        left: _Ends = {}
        for item in items:
            live = self._some(live)
            self.budget -= len(live)
            behind: dict[_Prefix, Taken] = {}
            for prefix, taken in live.items():
                for (end, levels), more in self._pass(item, prefix, test).items():
                    if levels:
                        left.setdefault((end, levels), taken + more)
                    else:
                        behind.setdefault(end, taken + more)
            live = behind
        ends = {(prefix, 0): taken for prefix, taken in live.items()}
        return self._some(ends | left)

    def _pass(self, item: Item, prefix: _Prefix, test: str) -> _Ends:
        match item:
            case Command() | Unreached():
                return {(prefix, 0): ()}
            case Call():
                same = (item.call, item.id, item.role, item.roles, item.refused)
                return {(prefix.then(item, same), 0): ()}
            case Unseen():
                return {(prefix.then(item, item), 0): ()}
            case Join():
                return {(prefix.then(Gather(test), (Gather, test)), 0): ()}
            case Leave(levels=levels):
                return {(prefix, levels): ()}
            case Scope(items=inner):
                inside = self.follow(inner, prefix, item.title if item.test else test)
                ends: _Ends = {}
                for (end, levels), taken in inside.items():
                    ends.setdefault((end, max(levels - 1, 0)), taken)
                return ends
            case Background(items=inner):
                return self._forked(self._apart(inner, test), prefix, test)
            case Choice():
                return self._chosen(item, prefix, test)
            case Loop():
                return self._looped(item, prefix, test)

    def _forked(self, inside: _Ends, prefix: _Prefix, test: str) -> _Ends:
        """What runs in the background can't leave what is around it, but only end itself."""
        ends: _Ends = {}
        for (inner, _), taken in inside.items():
            fork = Fork(inner.steps(), test)
            end = prefix.then(fork, (inner, test)) if fork.steps else prefix
            ends.setdefault((end, 0), taken)
        return ends

    def _chosen(self, choice: Choice, prefix: _Prefix, test: str) -> _Ends:
        each = [self.follow(way, prefix, test) for way in choice.ways]
        if all(ends.keys() == each[0].keys() for ends in each):
            return each[0]
        found: _Ends = {}
        for number, ends in enumerate(each):
            for end, taken in ends.items():
                found.setdefault(end, ((choice, number), *taken))
        return self._some(found)

    def _looped(self, loop: Loop, prefix: _Prefix, test: str) -> _Ends:
        turns = [
            _Turn(end.path(), levels, taken)
            for (end, levels), taken in self._apart(loop.body, test).items()
            if levels or end is not self.root
        ]
        choice = Choice(loop.condition, loop.where, (loop.body, ()))
        found: _Ends = {}
        for end, levels, taken in self._sequences(prefix, turns, frozenset()):
            found.setdefault((end, levels), ((choice, 0), *taken))
            if len(found) > MOST_WAYS or self.budget <= 0:
                self.all = False
                break
        never = (prefix, 0)
        if not found.keys() - {never}:
            return {never: ()}
        return self._some(found | {never: ((choice, 1),)})

    def _sequences(
        self, start: _Prefix, turns: Sequence[_Turn], made: frozenset[Hashable]
    ) -> Iterator[tuple[_Prefix, int, Taken]]:
        """Where different turns lead, one after the other in any order; one that leaves ends it.

        A step that a turn before has `made` is left out.
        """
        for turn in turns:
            self.budget -= len(turn.path)
            end = start.again([each for each in turn.path if each.key not in made])
            if end is start and not turn.levels:
                continue
            yield end, turn.levels, turn.taken
            if not turn.levels:
                rest = [other for other in turns if other is not turn]
                keys = {each.key for each in turn.path if not isinstance(each.step, Gather)}
                for further, levels, taken in self._sequences(end, rest, made | keys):
                    yield further, levels, turn.taken + taken

    def _apart(self, items: tuple[Item, ...], test: str) -> _Ends:
        """Where items lead whatever comes before them."""
        known = self._known.get((id(items), test))
        if known is None:
            known = self._known[id(items), test] = self.follow(items, self.root, test)
        return known

    def _some(self, found: dict[_Key, Taken]) -> dict[_Key, Taken]:
        most = MOST_WAYS if self.budget > 0 else 1
        if len(found) <= most:
            return found
        self.all = False
        return dict(islice(found.items(), most))
