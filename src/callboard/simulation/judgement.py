"""Whether a scenario comes out as it expects, whatever the seed."""

import os
from collections.abc import Callable, Sequence

from attrs import frozen

from callboard.definition.model import Place
from callboard.live import Observer
from callboard.simulation.expectation import Mismatch
from callboard.simulation.production import Production, Ruling
from callboard.simulation.seeds import Seeds

_MOST_NAMED = 10


@frozen
class Complaint:
    """Rehearsals that failed alike: the first of them, and the seeds of all in order."""

    first: Ruling
    seeds: tuple[int, ...]

    @property
    def text(self) -> str:
        """All that is to be said of them, for people."""
        alike = self.alike
        return self.first.text if alike is None else f"{self.first.text}\n{alike}"

    @property
    def alike(self) -> str | None:
        """Which seeds fail so, None if there is but one."""
        count = len(self.seeds)
        if count == 1:
            return None
        named = ", ".join(map(str, self.seeds[:_MOST_NAMED]))
        more = f" and {count - _MOST_NAMED:,} more" if count > _MOST_NAMED else ""
        return f"{count:,} seeds fail so: {named}{more}"


@frozen
class Judgement:
    """What is to be said of a scenario.

    Attributes:
        seeds: The seeds that it was rehearsed with.
        check: The expectation of `callboard check`, if it doesn't hold.
        complaints: What failed, in the order in which each first did.
    """

    seeds: Seeds
    check: Mismatch | None
    complaints: tuple[Complaint, ...]

    @property
    def holds(self) -> bool:
        """Whether every rehearsal came out as expected."""
        return self.check is None and not self.complaints

    @property
    def text(self) -> str:
        """Everything that doesn't hold, for people; empty if all does."""
        check = () if self.check is None else (str(self.check),)
        return "\n\n".join((*check, *(each.text for each in self.complaints)))


def judge(
    scenario: Production | str | os.PathLike[str],
    seeds: Seeds | None = None,
    observers: Sequence[Observer] = (),
    advance: Callable[[], object] = lambda: None,
) -> Judgement:
    """Rehearse a scenario with each of its seeds, and say what is not as it expects.

    Args:
        scenario: The scenario, or its file.
        seeds: Other seeds than its own.
        observers: Are given every event of every rehearsal.
        advance: Is called after each rehearsal.

    Raises:
        DefinitionError: A file can't be used.
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
    """
    production = scenario if isinstance(scenario, Production) else Production.load(scenario)
    chosen = production.scenario.seeds if seeds is None else seeds
    failed: dict[tuple[Place, ...], tuple[Ruling, list[int]]] = {}
    for seed in chosen:
        ruling = production.rehearse(seed, observers)
        advance()
        if ruling.mismatches:
            key = tuple(each.place for each in ruling.mismatches)
            failed.setdefault(key, (ruling, []))[1].append(seed)
    complaints = tuple(Complaint(first, tuple(alike)) for first, alike in failed.values())
    return Judgement(chosen, production.check(), complaints)
