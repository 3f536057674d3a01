"""Rehearsing a group once, for those who embed callboard."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

import anyio
from attrs import frozen

from callboard.definition.model import Definition
from callboard.flow.check import GroupRefused
from callboard.flow.check import check as prove
from callboard.flow.proof import Semantics
from callboard.live import GroupResult, Observer
from callboard.report.record import Recorder
from callboard.simulation.aside import alone
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.recording import Recording
from callboard.simulation.simulator import Rehearsal, Trace, prepare
from callboard.sources import Policy, fetch

T = TypeVar("T")


@frozen
class SimulationResult(GroupResult):
    """How a rehearsal ended; its times are virtual seconds.

    Attributes:
        seed: What decided everything that is left to chance.
        events: How many events its log has.
        trace_sha256: SHA-256 of the log, in hexadecimal digits.
        hopeless: Whether a wait was given up because nobody could satisfy it any more.
    """

    seed: int
    events: int
    trace_sha256: str
    hopeless: bool


def simulate(
    definition: Definition,
    seed: int = 0,
    *,
    model: Model | None = None,
    faults: Faults | None = None,
    scale: Mapping[str, int] | None = None,
    semantics: Semantics = "documented",
    recording: Recording | None = None,
    check: bool = True,
    observers: Iterable[Observer] = (),
) -> SimulationResult:
    """Rehearse a group in virtual time; sources of test definitions are fetched before.

    It may be called while an event loop runs; that waits meanwhile.

    Args:
        definition: What to rehearse.
        seed: Decides everything that is left to chance.
        model: How long things take; None for the defaults.
        faults: What goes wrong; None for nothing.
        scale: How many nodes some roles have, in place of what the definition says.
        semantics: What LAVA documents, or what its coordinator does.
        recording: What a real run did (`read_recording`), to be done again; `model` wins over it.
        check: Refuse a group of which it is proved that it can't finish.
        observers: Are given every event.

    Raises:
        DefinitionError: `scale` names a role that isn't there, or `recording` has no node of one.
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
    """

    def rehearsed() -> SimulationResult:
        fetched = anyio.run(fetch, definition, Policy(), lambda _text: None)
        rehearsal = prepare(
            fetched,
            model=model,
            faults=faults,
            scale=scale,
            semantics=semantics,
            recording=recording,
        )
        if check:
            verdict = prove(rehearsal.definition, semantics)
            if verdict.outcome == "deadlocks":
                raise GroupRefused(verdict)
        return result(rehearsal, seed, observers)

    return alone(rehearsed)


def result(rehearsal: Rehearsal, seed: int, observers: Iterable[Observer] = ()) -> SimulationResult:
    """Rehearse a group once, and fold what happened into the results of its jobs."""
    trace, recorder = Trace(), Recorder()
    outcome = rehearsal.run(seed, (trace, recorder.add, *observers))
    return SimulationResult(
        outcome.status,
        outcome.exit_code,
        outcome.duration_s,
        recorder.run().jobs,
        None,
        seed,
        trace.events,
        trace.sha256,
        outcome.hopeless,
    )
