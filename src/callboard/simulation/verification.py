"""Proves that a seed decides everything: two processes must write the same event log."""

import hashlib
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from callboard.simulation.crew import Crew
from callboard.simulation.seeds import Seeds
from callboard.simulation.trial import Stage, Trial

HASH_SEEDS = (1, 2)
"""`PYTHONHASHSEED` of the two processes: sets and dicts of one are in another order."""


@frozen
class Difference:
    """Two event logs of the same seed that are not the same.

    Attributes:
        seed: The seed.
        line: Number of the first event that differs; 0 if a second try made no difference, so
            that it depends on what was rehearsed before.
        events: That event as each of the logs has it, as JSON; None where the log has ended.
    """

    seed: int
    line: int
    events: tuple[str | None, str | None]


@frozen
class Verified:
    """What came of it.

    Attributes:
        hashes: The hash of each seed's event log, in the order of the seeds.
        difference: The first seed's that differs, None if there is none.
    """

    hashes: Sequence[str]
    difference: Difference | None

    @property
    def sha256(self) -> str:
        """Of the only seed's log; of several seeds, of their hashes one after the other."""
        if len(self.hashes) == 1:
            return self.hashes[0]
        return hashlib.sha256("".join(self.hashes).encode()).hexdigest()


def verify(stage: Stage, seeds: Seeds, advanced: Callable[[], None] = lambda: None) -> Verified:
    """Rehearse each seed in two new processes of different hash seeds, and compare the logs.

    The second process takes the seeds backwards, so that what one rehearsal might leave behind
    for the next shows too.

    Args:
        stage: The group.
        seeds: The seeds.
        advanced: Called after each of the rehearsals, two a seed.

    Raises:
        RehearsalBroke: A rehearsal came to no end.
    """
    orders: Sequence[Seeds] = (seeds, seeds[::-1])
    hashes: tuple[dict[int, str], dict[int, str]] = ({}, {})
    with Crew(stage, hash_seeds=HASH_SEEDS) as crew:
        trials = [(Trial(seed, hashed=True) for seed in order) for order in orders]
        for worker, _, finding in crew.compare(trials):
            hashes[worker][finding.seed] = finding.sha256 or ""
            advanced()
        differing = next((seed for seed in seeds if hashes[0][seed] != hashes[1][seed]), None)
        found = None if differing is None else _difference(crew, differing)
    return Verified([hashes[0][seed] for seed in seeds], found)


def _difference(crew: Crew, seed: int) -> Difference:
    with TemporaryDirectory(prefix="callboard-") as folder:
        logs = [Path(folder) / f"{number}.jsonl" for number in range(len(HASH_SEEDS))]
        trial = Trial(seed)
        for _ in crew.compare([evolve(trial, log=log)] for log in logs):
            pass
        with logs[0].open(encoding="utf-8") as one, logs[1].open(encoding="utf-8") as other:
            for number, events in enumerate(zip_longest(one, other), start=1):
                if events[0] != events[1]:
                    return Difference(seed, number, events)
    return Difference(seed, 0, (None, None))
