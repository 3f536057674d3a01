"""Rehearses a group with many seeds, and tells the distinct ways in which it ends."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import define, field, frozen

from callboard.simulation.crew import Crew
from callboard.simulation.seeds import Seeds
from callboard.simulation.signature import Signature
from callboard.simulation.trial import Finding, Trial

_FROM_WORST = (2, 4, 3, 1)


def worst(codes: Iterable[int]) -> int:
    """Of several exit codes the one that a command exits with."""
    found = set(codes)
    return next((code for code in _FROM_WORST if code in found), 0)


@frozen
class Outcome:
    """A way to end, and the seeds that lead there.

    Attributes:
        signature: How it ends.
        count: How many seeds lead there.
        first_seed: The lowest of them.
        shortest: The rehearsal with the fewest events; of several, that of the lowest seed.
    """

    signature: Signature
    count: int
    first_seed: int
    shortest: Finding


@define
class _Tally:
    shortest: Finding
    count: int = 1
    first_seed: int = 0

    def add(self, finding: Finding) -> None:
        self.count += 1
        self.first_seed = min(self.first_seed, finding.seed)
        self.shortest = min(self.shortest, finding, key=_length)


@define
class Outcomes:
    """Collects findings; what comes of it doesn't depend on the order in which they come."""

    _tallies: dict[Signature, _Tally] = field(factory=dict[Signature, _Tally])

    def add(self, finding: Finding) -> None:
        """Take one more finding."""
        tally = self._tallies.get(finding.signature)
        if tally is None:
            self._tallies[finding.signature] = _Tally(finding, first_seed=finding.seed)
        else:
            tally.add(finding)

    def listed(self) -> Sequence[Outcome]:
        """The worst first; of those that are as bad the most frequent."""
        found = [
            Outcome(signature, each.count, each.first_seed, each.shortest)
            for signature, each in self._tallies.items()
        ]
        return sorted(found, key=_rank)


def search(
    crew: Crew, seeds: Seeds, advanced: Callable[[], None] = lambda: None
) -> Sequence[Outcome]:
    """Rehearse with every seed.

    Args:
        crew: Who rehearses.
        seeds: The seeds.
        advanced: Called after each of them.

    Returns:
        The distinct outcomes, the worst first; the same for every size of the crew.

    Raises:
        RehearsalBroke: A rehearsal came to no end.
    """
    outcomes = Outcomes()
    for _, finding in crew.each(Trial(seed) for seed in seeds):
        outcomes.add(finding)
        advanced()
    return outcomes.listed()


def first(
    crew: Crew,
    trials: Iterable[Trial],
    wanted: Callable[[Finding], bool],
    advanced: Callable[[], None] = lambda: None,
) -> tuple[Trial, Finding] | None:
    """The first of the trials, in their order, of which something wanted comes; None without one.

    Raises:
        RehearsalBroke: A rehearsal came to no end.
    """
    begun: list[Trial] = []
    found: tuple[int, Finding] | None = None

    def beginning() -> Iterator[Trial]:
        # What is begun before is awaited, so that the crew's size makes no difference.
        for trial in trials:
            if found is not None:
                return
            begun.append(trial)
            yield trial

    for number, finding in crew.each(beginning()):
        advanced()
        if wanted(finding) and (found is None or number < found[0]):
            found = number, finding
    return None if found is None else (begun[found[0]], found[1])


def _length(finding: Finding) -> tuple[int, int]:
    return finding.events, finding.seed


def _rank(outcome: Outcome) -> tuple[int, int, int]:
    code = outcome.signature.exit_code
    severity = _FROM_WORST.index(code) if code in _FROM_WORST else len(_FROM_WORST)
    return severity, -outcome.count, outcome.first_seed
