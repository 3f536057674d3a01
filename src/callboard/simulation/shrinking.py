"""Makes a failure small: drops faults and nodes that it does not need."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from attrs import evolve, frozen

from callboard.simulation.crew import Crew
from callboard.simulation.faults import Crash, Draw, Fault, Faults, LinkFault, Target
from callboard.simulation.lot import settled
from callboard.simulation.search import first
from callboard.simulation.trial import Finding, Scale, Stage, Trial

SEEDS = 200
"""A group of another size is another group with the same seed. So where nodes are dropped, further
seeds are tried too: as many as rehearse about this many nodes."""


@frozen
class Shrunk:
    """What is left of a failure.

    Attributes:
        seed: The seed with which it fails.
        faults: What goes wrong, nothing left to chance but times.
        scale: How many nodes those roles have of which some could be dropped.
        finding: What comes of it.
        nodes: How many nodes there are.
    """

    seed: int
    faults: tuple[Fault, ...]
    scale: Scale
    finding: Finding
    nodes: int


def shrink(
    crew: Crew,
    stage: Stage,
    failure: Finding,
    accepts: Callable[[Scale], bool] = lambda _scale: True,
    advanced: Callable[[], None] = lambda: None,
) -> Shrunk:
    """Drop what a failure does not need: it stays the same failure, in a group that may be smaller.

    Args:
        crew: Who rehearses.
        stage: What failed.
        failure: How it failed, with which seed.
        accepts: Whether a group of these counts may be rehearsed at all.
        advanced: Called after each rehearsal.

    Raises:
        RehearsalBroke: A rehearsal came to no end.
    """
    return _Shrinker(crew, stage, failure, accepts, advanced).shrink()


class _Shrinker:
    def __init__(
        self,
        crew: Crew,
        stage: Stage,
        failure: Finding,
        accepts: Callable[[Scale], bool],
        advanced: Callable[[], None],
    ) -> None:
        self._crew = crew
        self._accepts = accepts
        self._advanced = advanced
        self._essence = failure.signature.essence
        self._finding = failure
        self._seed = failure.seed
        self._counts = dict(stage.counts())
        self._begun_with = dict(self._counts)
        self._scale = stage.scale
        self._rules = [
            single
            for fault in settled(stage.faults, self._counts, failure.seed)
            for single in _singles(fault)
        ]

    def shrink(self) -> Shrunk:
        self._drop_faults()
        while self._drop_nodes():
            self._drop_faults()
        return Shrunk(
            self._seed,
            tuple(self._rules),
            self._scale_of(self._counts),
            self._finding,
            sum(self._counts.values()),
        )

    def _drop_faults(self) -> None:
        size = len(self._rules)
        while size:
            groups = (
                [*self._rules[:at], *self._rules[at + size :]]
                for at in range(0, len(self._rules), size)
            )
            scale = self._scale_of(self._counts)
            if self._take(self._trial(self._seed, rules, scale) for rules in groups):
                size = min(size, len(self._rules))
            else:
                size //= 2

    def _drop_nodes(self) -> bool:
        dropped = False
        for role in sorted(self._counts, key=lambda role: -self._counts[role]):
            while role and self._take(self._smaller(role)):
                dropped = True
        return dropped

    def _smaller(self, role: str) -> Iterator[Trial]:
        """Groups with fewer nodes of a role, the smallest first."""
        for count in _fewer(self._counts[role]):
            counts = self._counts | {role: count}
            nodes = sum(counts.values())
            scale = self._scale_of(counts)
            if not nodes or not self._accepts(scale):
                continue
            rules = [_renumbered(rule, role, self._rules) for rule in self._rules]
            others = (seed for seed in range(SEEDS // nodes) if seed != self._seed)
            for seed in (self._seed, *others):
                yield self._trial(seed, rules, scale)

    def _trial(self, seed: int, rules: Sequence[Fault], scale: Scale) -> Trial:
        return Trial(seed, Faults(tuple(rules)), scale)

    def _scale_of(self, counts: Mapping[str, int]) -> Scale:
        """The counts of those roles whose counts are not the definition's."""
        given = dict(self._scale)
        return tuple(
            (role, count)
            for role, count in counts.items()
            if role in given or count != self._begun_with[role]
        )

    def _take(self, trials: Iterable[Trial]) -> bool:
        """Go on with the first of the trials that fails in the same way; whether there is one."""
        found = first(self._crew, trials, self._is_same, self._advanced)
        if found is None:
            return False
        trial, self._finding = found
        self._seed = trial.seed
        assert trial.faults is not None
        self._rules = [rule for rule in trial.faults.rules if not isinstance(rule, Draw)]
        self._counts |= dict(trial.scale or ())
        return True

    def _is_same(self, finding: Finding) -> bool:
        return finding.signature.essence == self._essence


def _singles(fault: Fault) -> Iterator[Fault]:
    """A fault of several targets as one of each."""
    if isinstance(fault, Crash):
        yield fault
        return
    for target in fault.targets:
        yield evolve(fault, targets=(target,))


def _fewer(count: int) -> Sequence[int]:
    """Smaller counts that are worth a trial, in ascending order."""
    powers = (1 << bit for bit in range(count.bit_length()))
    near = (count // 2, count * 3 // 4, count - 1)
    return sorted(number for number in {0, *powers, *near} if 0 <= number < count)


def _renumbered(fault: Fault, role: str, rules: Iterable[Fault]) -> Fault:
    """A fault as it is when the nodes of a role that suffer any are the first ones."""
    if isinstance(fault, Crash):
        return fault
    numbers = sorted({node for rule in rules for node in _nodes(rule, role)})

    def moved(target: Target) -> Target:
        if target.role != role or target.node is None:
            return target
        return evolve(target, node=numbers.index(target.node) + 1)

    if isinstance(fault, LinkFault):
        fault = evolve(fault, between=tuple(map(moved, fault.between)))
    return evolve(fault, targets=tuple(map(moved, fault.targets)))


def _nodes(fault: Fault, role: str) -> Iterator[int]:
    targets = () if isinstance(fault, Crash) else fault.targets
    if isinstance(fault, LinkFault):
        targets += fault.between
    return (each.node for each in targets if each.role == role and each.node is not None)
