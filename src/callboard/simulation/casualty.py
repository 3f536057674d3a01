"""Kills each node at each call in turn."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from callboard.definition.model import Place
from callboard.events import CallMade, Event, JobCreated, TestRunEnded, TestRunStarted, Where
from callboard.flow.program import Call, Program, Scope, walk
from callboard.simulation.crew import Crew
from callboard.simulation.distribution import Fixed
from callboard.simulation.faults import AtCall, AtTime, Faults, Kill, Moment, Target
from callboard.simulation.pattern import Pattern
from callboard.simulation.trial import Finding, Stage, Trial

_NOWHERE = Place("<every fault>", 1, 1)


@frozen
class Blow:
    """The death of a node at a call.

    Attributes:
        role: The role; empty in a job without roles.
        node: Which of its nodes, from 1.
        alike: How many nodes of the role make the same calls, this one included.
        call: The call as written.
        occurrence: Which of the node's calls that are written so, from 1.
        where: Where it is written, as far as known.
        time_s: When it is made, in virtual seconds.
        moment: When it dies.
    """

    role: str
    node: int
    alike: int
    call: str
    occurrence: int
    where: Where | None
    time_s: float
    moment: Moment

    @property
    def kill(self) -> Kill:
        """As a fault."""
        target = Target(self.role, _NOWHERE, self.node)
        return Kill(targets=(target,), at=self.moment, place=_NOWHERE)


@frozen
class Casualty:
    """What comes of a blow.

    Attributes:
        blow: The blow.
        finding: The rehearsal with it.
    """

    blow: Blow
    finding: Finding

    @property
    def verdict_s(self) -> float:
        """From the death to the end of the last job, in virtual seconds."""
        return max(0.0, self.finding.finished_s - self.blow.time_s)

    @property
    def failing_s(self) -> float | None:
        """From the death to the last call that fails, None if none does after it."""
        failed_s = self.finding.failed_s
        if failed_s is None or failed_s < self.blow.time_s:
            return None
        return failed_s - self.blow.time_s


def blows(stage: Stage, seed: int) -> tuple[Finding, Sequence[Blow]]:
    """Rehearse without a blow, and say what blows there can be.

    Nodes of a role that make the same calls are alike: the first of them stands for all.

    Args:
        stage: The group.
        seed: The seed.

    Returns:
        How the rehearsal ended, and the blows by role, node and call.
    """
    watch = _Watch(_calls_of_tests(stage.rehearsal().programs))
    finding = stage.perform(Trial(seed), (watch,))
    return finding, tuple(watch.blows())


def kill_each(
    crew: Crew,
    stage: Stage,
    seed: int,
    found: Sequence[Blow],
    advanced: Callable[[], None] = lambda: None,
) -> Sequence[Casualty]:
    """Rehearse each blow, on top of the faults that there are.

    Args:
        crew: Who rehearses.
        stage: The group.
        seed: The seed of each rehearsal.
        found: The blows.
        advanced: Called after each rehearsal.

    Raises:
        RehearsalBroke: A rehearsal came to no end.
    """
    rules = stage.faults.rules
    findings: dict[int, Finding] = {}
    for number, finding in crew.each(Trial(seed, Faults((*rules, each.kill))) for each in found):
        findings[number] = finding
        advanced()
    return [Casualty(blow, findings[number]) for number, blow in enumerate(found)]


_Spot = tuple[str, str, str]
"""A role, a file, and the step there that makes calls."""


def _calls_of_tests(programs: Sequence[Program]) -> Mapping[_Spot, frozenset[str]]:
    """The calls that shells make, as faults name them."""
    found: dict[_Spot, set[str]] = {}
    for program in programs:
        for scope in walk(program.items):
            if isinstance(scope, Scope) and scope.test:
                for call in walk(scope.items):
                    if isinstance(call, Call):
                        spot = program.role, call.where.file, call.where.step
                        found.setdefault(spot, set()).add(call.written)
    return {spot: frozenset(calls) for spot, calls in found.items()}


@define
class _Node:
    role: str
    number: int
    calls: list[tuple[str, Where | None, float, Moment]] = field(factory=list)
    written: Counter[str] = field(factory=Counter)
    in_test: bool = False


class _Watch:
    """Notes which calls each node makes."""

    def __init__(self, of_tests: Mapping[_Spot, frozenset[str]]) -> None:
        self._of_tests = of_tests
        self._nodes: dict[int, _Node] = {}
        self._counts: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        match event.body:
            case JobCreated(job=job, role=role):
                self._counts[role or ""] += 1
                self._nodes[job] = _Node(role or "", self._counts[role or ""])
            case TestRunStarted(job=job):
                self._nodes[job].in_test = True
            case TestRunEnded(job=job):
                self._nodes[job].in_test = False
            case CallMade(job=job) as call:
                self._note(self._nodes[job], call, event.time_s)
            case _:
                pass

    def _note(self, node: _Node, call: CallMade, time_s: float) -> None:
        name = self._name(node, call)
        moment: Moment = AtTime(Fixed(time_s), _NOWHERE)
        if name is not None:
            node.written[name] += 1
            moment = AtCall(Pattern(name), _NOWHERE, node.written[name])
        node.calls.append((name or call.written, call.where, time_s, moment))

    def _name(self, node: _Node, call: CallMade) -> str | None:
        """How a fault names a call of a test; None if an action makes it, or it can't be told."""
        if call.where is None or not node.in_test:
            return None
        spot = node.role, call.where.file, call.where.step
        names = self._of_tests.get(spot, frozenset())
        if call.written in names:
            return call.written
        # It may have an ID that only the run knows.
        return next(iter(names)) if len(names) == 1 else None

    def blows(self) -> Iterator[Blow]:
        alike: dict[tuple[object, ...], list[_Node]] = {}
        for node in self._nodes.values():
            calls = tuple((name, where) for name, where, _, _ in node.calls)
            alike.setdefault((node.role, *calls), []).append(node)
        for nodes in alike.values():
            node, seen = nodes[0], Counter[str]()
            for name, where, time_s, moment in node.calls:
                seen[name] += 1
                yield Blow(
                    node.role, node.number, len(nodes), name, seen[name], where, time_s, moment
                )
