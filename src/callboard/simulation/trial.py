"""One rehearsal of many: what is to be tried, and what came of it."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import evolve, field, frozen

from callboard.definition.model import Definition
from callboard.flow.proof import Semantics
from callboard.live import Observer
from callboard.simulation.census import Census
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.recording import Recording
from callboard.simulation.signature import Signature, signature
from callboard.simulation.simulator import Rehearsal, Trace, prepare

Scale = tuple[tuple[str, int], ...]
"""Roles and how many nodes they have, in place of what the definition says."""


@frozen
class Trial:
    """A rehearsal to be made.

    Attributes:
        seed: Its seed.
        faults: What goes wrong, None for what the stage has.
        scale: Counts of roles, None for those of the stage.
        log: Where its event log is written, None for nowhere.
        hashed: Whether the hash of its event log is wanted.
    """

    seed: int
    faults: Faults | None = None
    scale: Scale | None = None
    log: Path | None = None
    hashed: bool = False


@frozen
class Finding:
    """What came of a trial; times are virtual seconds.

    Attributes:
        seed: Its seed.
        signature: How it ended, and what failed.
        events: How many events there were.
        duration_s: How long it took.
        finished_s: When the last job ended.
        failed_s: When the last call failed, None if none did.
        sha256: Of the event log in hexadecimal digits, None if it was not wanted.
    """

    seed: int
    signature: Signature
    events: int
    duration_s: float
    finished_s: float
    failed_s: float | None
    sha256: str | None = None


@frozen
class Stage:
    """Everything that trials have in common.

    Attributes:
        definition: The definition, with everything fetched.
        model: How long things take.
        faults: What goes wrong, unless a trial says otherwise.
        scale: How many nodes roles have, unless a trial says otherwise.
        semantics: The reading of the protocol.
        recording: What a real run did, None to do it by the model alone.
    """

    definition: Definition
    model: Model = field(factory=Model)
    faults: Faults = field(factory=Faults)
    scale: Scale = ()
    semantics: Semantics = "documented"
    recording: Recording | None = None
    _prepared: dict[Scale, Rehearsal] = field(factory=dict, init=False, eq=False, repr=False)

    def __getstate__(self) -> Mapping[str, object]:
        """What other processes need of it."""
        names = ("definition", "model", "faults", "scale", "semantics", "recording")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: Mapping[str, object]) -> None:
        """Take over what another process has sent."""
        for name, value in (*state.items(), ("_prepared", {})):
            object.__setattr__(self, name, value)

    def counts(self) -> Mapping[str, int]:
        """How many nodes each role has; the role "" in a job without roles."""
        if not self.definition.multinode:
            return {"": 1}
        given = dict(self.scale)
        return {role.name: given.get(role.name, role.count) for role in self.definition.roles}

    def rehearsal(self, scale: Scale | None = None, faults: Faults | None = None) -> Rehearsal:
        """The group, ready to be rehearsed; with the counts and faults of a trial, if any.

        Raises:
            DefinitionError: The recording has no nodes of a role.
        """
        scale = self.scale if scale is None else scale
        if scale not in self._prepared:
            self._prepared.clear()  # one at a time: a large group is large
            self._prepared[scale] = prepare(
                self.definition,
                model=self.model,
                faults=self.faults,
                scale=dict(scale),
                semantics=self.semantics,
                recording=self.recording,
            )
        found = self._prepared[scale]
        return found if faults is None else evolve(found, faults=faults)

    def perform(self, trial: Trial, sinks: Iterable[Observer] = ()) -> Finding:
        """Make a trial in this thread.

        Args:
            trial: What is to be tried.
            sinks: Are given every event.

        Raises:
            OSError: Its log can't be written.
        """
        if trial.log is None:
            trace = Trace() if trial.hashed else None
            return self._performed(trial, trace, sinks)
        with trial.log.open("wb") as file:
            return self._performed(trial, Trace(file), sinks)

    def _performed(self, trial: Trial, trace: Trace | None, sinks: Iterable[Observer]) -> Finding:
        rehearsal = self.rehearsal(trial.scale, trial.faults)
        census = Census()
        traces = () if trace is None else (trace,)
        outcome = rehearsal.run(trial.seed, (census, *traces, *sinks))
        return Finding(
            trial.seed,
            signature(outcome.status, outcome.exit_code, census.roles()),
            census.events,
            outcome.duration_s,
            census.finished_s or 0.0,
            census.failed_s,
            None if trace is None else trace.sha256,
        )
