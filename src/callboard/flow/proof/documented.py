"""The proof under the documented semantics.

For certain ways one run decides. Where roles have several, each node may go another: what counts
is then only which ways of each role are gone at all. Two runs of all ways at once bound what any
combination comes to; where they leave it open, the combinations are tried.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, islice, product

from attrs import define, field

from callboard.definition.calls import START
from callboard.flow.program import Call, Program, Unseen
from callboard.flow.proof.doubts import branch, cut, depends
from callboard.flow.proof.evidence import Doubt, Outcome, Part, Proof
from callboard.flow.proof.facts import NEVER, Op, Ops, Reading, calls
from callboard.flow.proof.greedy import EXACT, HOPED, SURE, Greedy, Quorums
from callboard.flow.proof.ways import MOST_STEPS, Way, Ways, ways
from callboard.flow.proof.witness import Jam

MOST_COMBINATIONS = 2_000
"""How many combinations of ways are tried."""

MOST_CALLS = 50_000
"""How many calls are made in all that are tried."""

_Set = tuple[int, ...]
"""The ways that the nodes of a role go."""

_Combination = tuple[_Set, ...]
"""One set a role: the ways that are gone in one run."""


def decide(programs: Sequence[Program]) -> Proof:
    """Prove a group of roles that have nodes."""
    return _Group(programs).decide()


@define(eq=False)
class _Group:
    """The roles of a group with all their ways, read generously and strictly."""

    programs: Sequence[Program]
    ways: list[Ways] = field(init=False)
    _roles: tuple[str, ...] = field(init=False)
    _generous: list[list[Ops]] = field(init=False)
    _strict: list[list[Ops]] = field(init=False)
    _last: tuple[tuple[_Combination, bool, Quorums], Greedy] | None = field(
        default=None, init=False
    )

    def __attrs_post_init__(self) -> None:
        self._roles = tuple(program.role for program in self.programs)
        most = MOST_STEPS // len(self.programs)
        self.ways = [ways(program, most) for program in self.programs]
        generous = self._reading(generous=True)
        self._generous = self._read(generous)
        certain = generous.certain
        self._strict = self._generous if certain else self._read(self._reading(generous=False))

    def _reading(self, *, generous: bool) -> Reading:
        named = zip(self._roles, self.ways, strict=True)
        return Reading(
            self._roles, [(role, way) for role, own in named for way in own.ways], generous
        )

    def _read(self, reading: Reading) -> list[list[Ops]]:
        named = zip(self._roles, self.ways, strict=True)
        return [[reading.ops(role, way.steps) for way in own.ways] for role, own in named]

    # One combination

    def _run(
        self, gone: _Combination, *, generous: bool = False, quorums: Quorums = EXACT
    ) -> Greedy:
        """A run of these ways; the last is remembered, for it is often asked for again."""
        certain = self._strict is self._generous
        if all(len(own) == 1 for own in gone):
            quorums = EXACT
        key = (gone, generous or certain, quorums)
        if self._last is None or self._last[0] != key:
            ops = self._generous if generous else self._strict
            parts = [(role, ops[role][way]) for role, own in enumerate(gone) for way in own]
            self._last = (key, Greedy(parts, len(self.programs), quorums))
        return self._last[1]

    def _outcome(self, gone: _Combination) -> Outcome:
        if self._run(gone).completes:
            return "completes"
        certain = self._strict is self._generous
        return "deadlocks" if certain or not self._run(gone, generous=True).completes else "unknown"

    def _cost(self, gone: _Combination) -> int:
        return sum(len(self._strict[role][way]) for role, own in enumerate(gone) for way in own)

    def _ways(self, gone: _Combination) -> Iterator[tuple[int, int, Way]]:
        for role, own in enumerate(gone):
            for way in own:
                yield role, way, self.ways[role].ways[way]

    # All combinations

    def decide(self) -> Proof:
        first: _Combination = tuple((0,) for _ in self.programs)
        every: _Combination = tuple(tuple(range(len(own.ways))) for own in self.ways)
        truncated = list(cut(self.programs, self.ways))
        if not truncated:
            if self._run(every, quorums=SURE).completes:
                return self._proof("completes", first)
            if self._run(every, generous=True, quorums=HOPED).hopeless:
                return self._proof("deadlocks", first)
        tried, all_ = self._tried()
        outcomes = set(tried.values())
        stuck = next((gone for gone, outcome in tried.items() if outcome == "deadlocks"), None)
        if all_ and not truncated and len(outcomes) == 1 and "unknown" not in outcomes:
            return self._proof(outcomes.pop(), stuck or first)
        doubts = [*truncated]
        vague = next((gone for gone, outcome in tried.items() if outcome == "unknown"), None)
        if vague is not None:
            doubts += self._vague(vague)
        if len(outcomes - {"unknown"}) == 2:
            doubts += self._decisive(tried)
        elif not all_:
            doubts.append(self._exhausted(len(tried)))
        return self._proof("unknown", stuck or first, tuple(dict.fromkeys(doubts)))

    def _proof(self, outcome: Outcome, gone: _Combination, doubts: tuple[Doubt, ...] = ()) -> Proof:
        run = self._run(gone, generous=True)
        parts = [Part(self._roles[role], n, way.taken) for role, n, way in self._ways(gone)]
        jam = Jam(run, [part.role for part in parts])
        witness = () if run.completes else jam.witness()
        return Proof(outcome, run.run(parts), witness, jam.stuck(), doubts)

    def _tried(self) -> tuple[dict[_Combination, Outcome], bool]:
        """What combinations come to, and whether all were tried; two that differ are enough."""
        tried: dict[_Combination, Outcome] = {}
        made = 0
        for gone in self._combinations():
            made += self._cost(gone)
            if tried and (len(tried) >= MOST_COMBINATIONS or made > MOST_CALLS):
                return tried, False
            tried[gone] = self._outcome(gone)
            if {"completes", "deadlocks"} <= set(tried.values()):
                return tried, False
        return tried, True

    def _combinations(self) -> Iterator[_Combination]:
        """Every combination, or enough; those of few ways first."""
        return product(
            *(
                list(islice(_sets(len(own.ways), program.count), MOST_COMBINATIONS + 1))
                for own, program in zip(self.ways, self.programs, strict=True)
            )
        )

    # Doubts

    def _exhausted(self, tried: int) -> Doubt:
        most = max(range(len(self.ways)), key=lambda role: len(self.ways[role].ways))
        program = self.programs[most]
        reason = f"the choices have more combinations than the {tried} that were tried"
        return Doubt(program.role, reason, branch(program), bound=True)

    def _vague(self, gone: _Combination) -> Iterator[Doubt]:
        """What keeps the strict run of a combination from its end, and might not."""
        run = self._run(gone)
        stopped = [(thread, thread.op) for thread in run.stuck if thread.op is not None]
        for thread, op in stopped:
            role = self._roles[run.parts[thread.part][0]]
            if reason := _vagueness(op):
                yield Doubt(role, reason, op.step.where)
        awaited = [op.need.fact for _, op in stopped if op.need and op.need.fact]
        names = {START if kind == "release" else name for kind, name in awaited if kind != "sync"}
        for number, _, way in self._ways(gone):
            for call in calls(way.steps):
                if not isinstance(call, Call) or call.waits or call.id.text is not None:
                    continue
                if any(call.id.may_be(name) for name in names):
                    reason = f"only the run knows which message `{call.shown}` sends"
                    yield Doubt(self._roles[number], reason, call.where)

    def _decisive(self, tried: dict[_Combination, Outcome]) -> Iterator[Doubt]:
        """The choices on which it depends whether a stuck combination completes."""
        stuck = next(gone for gone, outcome in tried.items() if outcome == "deadlocks")
        good = next(gone for gone, outcome in tried.items() if outcome == "completes")
        here = stuck
        for role, (own, other) in enumerate(zip(stuck, good, strict=True)):
            if own == other:
                continue
            there = (*here[:role], other, *here[role + 1 :])
            if self._outcome(there) != "deadlocks":
                yield from depends(self._roles[role], self.ways[role], own, other)
                return
            here = there


def _vagueness(op: Op) -> str | None:
    """Why nobody can tell whether a call returns; None where that is known."""
    if isinstance(op.step, Unseen):
        return op.step.reason
    if op.need is NEVER:
        return f"only the run knows what `{op.step.shown}` waits for"
    return None


def _sets(ways: int, count: int) -> Iterator[_Set]:
    for size in range(1, min(ways, count) + 1):
        yield from combinations(range(ways), size)
