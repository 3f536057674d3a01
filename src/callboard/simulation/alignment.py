"""Which way through its program a recorded test went, told by what was heard of it.

The program is followed on all ways at once. A state is how many marks have been passed; of the
ways that lead to it only the best is kept. The best has the fewest faults: marks that no item
makes, calls and cases that were not heard. First it is tried without any; then a command of
which nothing is known says nothing that another item may say.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from attrs import frozen

from callboard.actors import signals
from callboard.flow.program import (
    INSTALLATION,
    SCRIPT_AND_TEST,
    STEPS,
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
)
from callboard.simulation.hearing import Claims, made, reports
from callboard.simulation.printing import printed
from callboard.simulation.recording import Close, Take
from callboard.simulation.vocabulary import Vocabulary

_FAULT = 4
_FAILURE = 1
_MOST_STATES = 64
_BROKEN = 0
"""In place of the levels that are left: a command has failed, which ends its shell."""

_OfCase = signals.CaseStarted | signals.CaseEnded | signals.CaseResult


@frozen
class Passed:
    """An item that was passed.

    Attributes:
        item: A command, call, choice or loop; a scope twice, if a test case tells of it.
        first: The number of its first mark.
        last: The number of the mark behind its last one.
        way: The way of a choice, the turns of a loop; 1 where a scope ends.
        fails: Whether a command failed, and ended its shell.
        cut: Whether a command never ended.
    """

    item: Command | Unseen | Call | Choice | Loop | Scope
    first: int
    last: int
    way: int = 0
    fails: bool = False
    cut: bool = False


@frozen(eq=False)
class _Way:
    """How a state was reached: the item passed last, and the way before it."""

    faults: int = 0
    passed: Passed | None = None
    before: "_Way | None" = None

    def then(self, passed: Passed, faults: int = 0) -> "_Way":
        return _Way(self.faults + faults, passed, self)

    def passages(self) -> list[Passed]:
        way: _Way | None = self
        found: list[Passed] = []
        while way is not None:
            if way.passed is not None:
                found.append(way.passed)
            way = way.before
        return found[::-1]


_States = dict[int, _Way]


@frozen(eq=False)
class _Reach:
    """Where a part of a program leads: on behind it, or so many levels out, or `_BROKEN`."""

    on: _States
    out: dict[int, _States]


def align(test: Scope, take: Take) -> list[Passed]:
    """The items that a recorded run of a test passed, as far as it can be told, in order."""
    items: list[Item] = []
    for item in test.items:
        match item:
            case Scope(title=title) if title == INSTALLATION:
                pass
            case Scope(title=title, items=steps) if title == STEPS:
                items += steps  # the scope is there to be left
            case _:
                items.append(item)
    for tolerant in (False, True):
        way = _Follower(take, tolerant=tolerant).best(items)
        if way is not None:
            return way.passages()
    return []


class _Follower:
    """Follows a program by the marks of one run.

    Args:
        take: The run.
        tolerant: Whether faults are allowed.
    """

    def __init__(self, take: Take, *, tolerant: bool) -> None:
        self._close = take.close
        self._marks = take.marks
        killed = bool(take.marks) and isinstance(take.marks[-1].signal, signals.CommandEnded)
        self._stop = len(take.marks) - killed
        self._tolerant = tolerant
        self._cut: _States = {}
        self._claimed: Sequence[bool] = ()

    def best(self, items: Sequence[Item]) -> _Way | None:
        """The best way to how the run ended, else to anywhere; None if there is no way."""
        claims = Claims(items)
        self._claimed = [claims.has(mark.signal) for mark in self._marks]
        reach = self._all(items, self._skipping({0: _Way()}))
        early = [found for levels, found in reach.out.items() if levels <= SCRIPT_AND_TEST]
        raised = [found for levels, found in reach.out.items() if levels > SCRIPT_AND_TEST]
        ends: Mapping[Close, Sequence[_States]] = {
            "whole": [reach.on],
            "early": early,
            "raised": raised,
            "cut": [self._cut],
        }
        end = len(self._marks)
        found = [each[end] for each in ends.get(self._close, ()) if end in each]
        if not found and self._tolerant:
            found = [
                _Way(way.faults + _FAULT * (end - at), None, way)
                for states in (reach.on, *early, *raised, self._cut)
                for at, way in states.items()
            ]
        return min(found, key=lambda way: way.faults, default=None)

    def _all(self, items: Sequence[Item], states: _States) -> _Reach:
        out: dict[int, _States] = {}
        for item in items:
            if not states:
                break
            reach = self._item(item, states)
            states = self._skipping(reach.on)
            _merge_all(out, reach.out)
        return _Reach(states, out)

    def _skipping(self, states: _States) -> _States:
        """The states, and those of which marks are left out; only the best, if there are many."""
        if not self._tolerant:
            return states
        found = dict(states)
        for at in range(min(found, default=0), len(self._marks)):
            if (way := found.get(at)) is not None:
                _add(found, at + 1, _Way(way.faults + _FAULT, None, way))
        best = sorted(found.items(), key=lambda each: (each[1].faults, -each[0]))
        return dict(best[:_MOST_STATES])

    def _item(self, item: Item, states: _States) -> _Reach:
        match item:
            case Command() | Unseen():
                return self._command(item, states)
            case Call():
                return self._call(item, states)
            case Choice():
                return self._choice(item, states)
            case Loop():
                return self._loop(item, states)
            case Scope(case=case):
                if case is None:
                    return self._scope(item, states)
                return self._case(item, case, states)
            case Leave(levels=levels):
                return _Reach({}, {levels: states})
            case Background() | Join() | Unreached():
                return _Reach(states, {})
            case _:
                assert_never(item)

    def _choice(self, item: Choice, states: _States) -> _Reach:
        on: _States = {}
        out: dict[int, _States] = {}
        for number, items in enumerate(item.ways):
            chosen = {at: way.then(Passed(item, at, at, number)) for at, way in states.items()}
            reach = self._all(items, chosen)
            _merge(on, reach.on)
            _merge_all(out, reach.out)
        return _Reach(on, out)

    def _loop(self, item: Loop, states: _States) -> _Reach:
        on: _States = {}
        out: dict[int, _States] = {}
        turns = 0
        while states:
            turned = {at: way.then(Passed(item, at, at, turns)) for at, way in states.items()}
            _merge(on, turned)
            reach = self._all(item.body, states)
            turns += 1
            for levels, found in reach.out.items():
                left = {at: way.then(Passed(item, at, at, turns)) for at, way in found.items()}
                _merge(out.setdefault(levels, {}), left)
            # A turn in which nothing was heard leads nowhere.
            states = {
                at: way
                for at, way in reach.on.items()
                if at not in on or way.faults < on[at].faults
            }
        return _Reach(on, out)

    def _scope(self, scope: Scope, states: _States) -> _Reach:
        reach = self._all(scope.items, states)
        on = dict(reach.on)
        _merge(on, reach.out.get(1, {}))
        out = {levels - 1: found for levels, found in reach.out.items() if levels > 1}
        if _BROKEN in reach.out:
            out[_BROKEN] = reach.out[_BROKEN]
        return _Reach(on, out)

    def _case(self, scope: Scope, case: Word, states: _States) -> _Reach:
        """A scope whose end is told, whatever has ended it."""
        begun: _States = {}
        for at, way in states.items():
            if self._is(at, signals.CaseStarted, case):
                _add(begun, at + 1, way.then(Passed(scope, at, at + 1)))
            if self._tolerant:
                _add(begun, at, way.then(Passed(scope, at, at), _FAULT))
        reach = self._scope(scope, begun)
        told = dict(reach.on)
        _merge(told, reach.out.pop(_BROKEN, {}))
        on: _States = {}
        for at, way in told.items():
            end = at + self._is(at, signals.CaseEnded, case)
            if self._is(end, signals.CaseResult, case):
                _add(on, end + 1, way.then(Passed(scope, at, end + 1, 1)))
            if self._tolerant:
                _add(on, at, way.then(Passed(scope, at, at, 1), _FAULT))
        return _Reach(on, reach.out)

    def _is(self, at: int, kind: type[_OfCase], case: Word) -> bool:
        """Whether a mark is of a kind, and of a case that may have that name."""
        if at >= len(self._marks):
            return False
        signal = self._marks[at].signal
        return isinstance(signal, kind) and case.may_be(signal.case)

    def _command(self, item: Command | Unseen, states: _States) -> _Reach:
        on: _States = {}
        broken: _States = {}
        ends = isinstance(item, Unseen) or item.ends
        last = len(self._marks)
        for at, end, faults in self._heard(item, states):
            way = states[at]
            _add(on, end, way.then(Passed(item, at, end), faults))
            if ends:
                failed = Passed(item, at, end, fails=True)
                _add(broken, end, way.then(failed, faults + _FAILURE))
            if end == self._stop and not self._waits(end):
                _add(self._cut, last, way.then(Passed(item, at, last, cut=True), faults))
        return _Reach(on, {_BROKEN: broken} if broken else {})

    def _waits(self, at: int) -> bool:
        """Whether the mark before is a call that has never been answered."""
        return at > 0 and self._marks[at - 1].waits and self._marks[at - 1].passed is None

    def _heard(self, item: Command | Unseen, states: _States) -> Iterator[tuple[int, int, int]]:
        """Where a command began and ended, and how many faults that has."""
        if isinstance(item, Unseen) or item.unknown:
            yield from self._anything(states)
            return
        words = [Vocabulary.value(word) for word in item.report]
        silent = not words or printed(words).refused
        for at in states:
            if silent:
                yield at, at, 0
                continue
            if at < len(self._marks) and reports(item.report, self._marks[at].signal):
                yield at, at + 1, 0
            if self._tolerant:
                yield at, at, _FAULT

    def _anything(self, states: _States) -> Iterator[tuple[int, int, int]]:
        """What nobody knows may say anything, if it can't begin later as well."""
        for at, way in states.items():
            yield at, at, 0
            end = at
            while end < len(self._marks) and (self._tolerant or not self._claimed[end]):
                end += 1
                if end in states and states[end].faults <= way.faults:
                    break
                yield at, end, 0

    def _call(self, call: Call, states: _States) -> _Reach:
        on: _States = {}
        out: dict[int, _States] = {}
        failed: _States = {}
        for at, way in states.items():
            if call.refused in ("id", "key"):
                _add(failed, at, way.then(Passed(call, at, at)))
            elif at < len(self._marks) and made(call, self._marks[at].signal):
                mark, passed = self._marks[at], way.then(Passed(call, at, at + 1))
                _add(failed if mark.passed is False else on, at + 1, passed)
                if at + 1 == self._stop and self._waits(at + 1):
                    _add(self._cut, len(self._marks), passed)
            if self._tolerant:
                _add(on, at, way.then(Passed(call, at, at), _FAULT))
        if failed and call.otherwise is not None:
            reach = self._all(call.otherwise, failed)
            _merge(on, reach.on)
            _merge_all(out, reach.out)
        elif failed and call.ends and call.refused is None:
            out[_BROKEN] = failed
        else:
            _merge(on, failed)
        return _Reach(on, out)


def _add(states: _States, at: int, way: _Way) -> None:
    if at not in states or way.faults < states[at].faults:
        states[at] = way


def _merge(states: _States, others: _States) -> None:
    for at, way in others.items():
        _add(states, at, way)


def _merge_all(out: dict[int, _States], others: dict[int, _States]) -> None:
    for levels, states in others.items():
        _merge(out.setdefault(levels, {}), states)
