"""Why a run got stuck: what each stuck call still needs, and the fewest that explain each other."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from attrs import define, field

from callboard.flow.program import Call
from callboard.flow.proof.evidence import Missing, Stuck
from callboard.flow.proof.facts import ANY, Fact, Need, Op, Ops, Spawn
from callboard.flow.proof.greedy import Thread

MOST_TRIED = 200_000
"""How many stuck calls are looked at, in all sets that are tried, before the smallest set found is
taken for the smallest there is; a dozen calls need fewer."""

_Set = frozenset[int]


class Standstill(Protocol):
    """A run that has come to its end, whatever the semantics."""

    @property
    def stuck(self) -> list[Thread]:
        """The threads that are not over."""

    def missing(self, fact: Fact, quorum: int) -> list[int]:
        """The parts without which a quorum is not met, `ANY` left out."""


@define(eq=False)
class Jam:
    """A run in which some threads are stuck.

    A thread is stuck in a call or gathers what it runs in the background. For either there are
    reasons, each a set of stuck threads that would have to go on before; one reason is enough,
    and an empty one says that it never happens. A set of threads in which each has such a reason
    within the set explains itself.

    Args:
        run: The run, of certain ways.
        roles: The role of each of its parts.
    """

    run: Standstill
    roles: Sequence[str]
    _threads: list[Thread] = field(init=False)
    _numbers: dict[Thread, int] = field(init=False)
    _later: dict[Fact, dict[int, Op]] = field(factory=dict[Fact, dict[int, Op]], init=False)
    """Which stuck threads would do what behind the call in which they are, and where first."""

    _reasons: dict[Need, tuple[_Set, ...]] = field(factory=dict[Need, tuple[_Set, ...]], init=False)
    _missing: dict[Need, tuple[Missing, ...]] = field(
        factory=dict[Need, tuple[Missing, ...]], init=False
    )

    def __attrs_post_init__(self) -> None:
        self._threads = sorted(self.run.stuck, key=lambda each: (each.part, each.number))
        self._numbers = {thread: number for number, thread in enumerate(self._threads)}
        needed = {each.op.need.fact for each in self._threads if each.op and each.op.need}
        for number, thread in enumerate(self._threads):
            for op in _operations(thread.ops[thread.at + 1 :]):
                for fact in op.adds:
                    if fact in needed:
                        self._later.setdefault(fact, {}).setdefault(number, op)

    def stuck(self) -> tuple[Stuck, ...]:
        """Every call that never returns, those in the background included."""
        return tuple(stuck for thread in self._threads if (stuck := self._stuck(thread)))

    def witness(self) -> tuple[Stuck, ...]:
        """The fewest calls that explain each other and that keep a part from its end."""
        found = sorted(self._smallest(list(self._seeds())))
        return tuple(s for number in found if (s := self._stuck(self._threads[number])))

    def _stuck(self, thread: Thread) -> Stuck | None:
        op = thread.op
        if op is None:
            return None
        assert op.need is not None
        assert isinstance(op.step, Call)
        if op.need not in self._missing:
            self._missing[op.need] = tuple(dict.fromkeys(self._lacking(op.need)))
        return Stuck(self.roles[thread.part], op.step, self._missing[op.need])

    def _lacking(self, need: Need) -> Iterator[Missing]:
        if need.fact is None:
            yield Missing(need.absent, "never" if need.absent is None else "absent")
            return
        first: dict[int, Op] = {}
        for number, op in self._later.get(need.fact, {}).items():
            first.setdefault(self._threads[number].part, op)
        if need.quorum != ANY:
            parts = self.run.missing(need.fact, need.quorum)
        elif first:
            parts = list({self.roles[part]: part for part in reversed(first)}.values())[::-1]
        else:
            yield Missing(None, "never")
            return
        for part in parts:
            if part in first:
                yield Missing(self.roles[part], "later", first[part].step.where)
            else:
                yield Missing(self.roles[part], "never")

    # The smallest explanation

    def _seeds(self) -> Iterator[int]:
        """The calls that keep a part from its end: one of them is in every explanation."""
        below = [thread for thread in self._threads if thread.number == 0]
        while below:
            thread = below.pop(0)
            if thread.gathers is None:
                yield self._numbers[thread]
            else:
                below += thread.running(thread.gathers)

    def _explaining(self, number: int) -> tuple[_Set, ...]:
        """The reasons why a thread is stuck."""
        thread = self._threads[number]
        if thread.gathers is not None:
            return tuple(frozenset({self._numbers[f]}) for f in thread.running(thread.gathers))
        assert thread.op is not None
        assert thread.op.need is not None
        need = thread.op.need
        if need not in self._reasons:
            self._reasons[need] = tuple(self._needing(need))
        return self._reasons[need]

    def _needing(self, need: Need) -> Iterator[_Set]:
        if need.fact is None:
            yield frozenset()
            return
        later = self._later.get(need.fact, {})
        if need.quorum == ANY:
            yield frozenset(later)
            return
        own: dict[int, list[int]] = {}
        for number in later:
            own.setdefault(self._threads[number].part, []).append(number)
        for part in self.run.missing(need.fact, need.quorum):
            yield frozenset(own.get(part, ()))

    def _cost(self, numbers: _Set) -> int:
        return sum(self._threads[number].op is not None for number in numbers)

    def _unexplained(self, numbers: _Set) -> int | None:
        """The first that has no reason within the set."""
        for number in sorted(numbers):
            if not any(reason <= numbers for reason in self._explaining(number)):
                return number
        return None

    def _smallest(self, seeds: Sequence[int]) -> _Set:
        """The smallest set that explains itself; the smallest found where that takes too long."""
        best: _Set | None = None
        tried = 0
        known: set[_Set] = set()
        open_: list[_Set] = [frozenset({seed}) for seed in reversed(seeds)]
        while open_:
            numbers = open_.pop()
            too_large = best is not None and self._cost(numbers) >= self._cost(best)
            if too_large or numbers in known:
                continue
            known.add(numbers)
            tried += len(numbers)
            if best is not None and tried > MOST_TRIED:
                return best
            lonely = self._unexplained(numbers)
            if lonely is None:
                best = numbers
                continue
            larger = (numbers | reason for reason in self._explaining(lonely))
            open_ += sorted(dict.fromkeys(larger), key=len)[::-1]
        assert best is not None
        return best


def _operations(ops: Ops) -> Iterator[Op]:
    for op in ops:
        if isinstance(op, Spawn):
            yield from _operations(op.ops)
        elif isinstance(op, Op):
            yield op
