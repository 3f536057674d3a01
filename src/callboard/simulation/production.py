"""A scenario with the group that it is about: rehearsed seed by seed, each with a ruling."""

import os
import shlex
from collections.abc import Callable, Iterable
from functools import cached_property

import anyio
from attrs import define, evolve, field, frozen

from callboard.actors.support import unserved
from callboard.definition import load
from callboard.definition.devices import LocalLimits
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.links_reading import unknown_ends
from callboard.definition.model import Definition, Place
from callboard.definition.split import scaled
from callboard.flow.check import GroupRefused, Verdict, check
from callboard.flow.extraction import extract
from callboard.live import Observer
from callboard.report.record import Recorder
from callboard.report.text import explain
from callboard.simulation.aside import alone
from callboard.simulation.cast import cast_of
from callboard.simulation.expectation import Calls, Mismatch, compare
from callboard.simulation.model import Model
from callboard.simulation.reading import read_scenario
from callboard.simulation.scenario import Scenario
from callboard.simulation.simulate import SimulationResult, result
from callboard.simulation.simulator import Rehearsal
from callboard.simulation.trial import Stage
from callboard.simulation.validation import validate
from callboard.sources import Policy, fetch


@frozen
class Ruling:
    """What is to be said of one rehearsal.

    Attributes:
        seed: Its seed.
        mismatches: What came out otherwise than expected; empty if all did as it should.
        report: What failed, who waited where for what, and who is to blame, line by line.
        command: The command line that replays it.
    """

    seed: int
    mismatches: tuple[Mismatch, ...]
    report: tuple[str, ...]
    command: str

    @property
    def title(self) -> str:
        """What stands above the report."""
        return f"seed {self.seed}{':' if self.report else ': no job reports a failure'}"

    @property
    def text(self) -> str:
        """All of it, for people."""
        return "\n".join(
            (
                *map(str, self.mismatches),
                self.title,
                *(f"  {line}" for line in self.report),
                f"again: {self.command}",
            )
        )


@define(slots=False)
class Production:
    """A scenario and the group that it is about.

    Its sources are fetched, and it is prepared, when that is first needed, and once.

    Attributes:
        scenario: The scenario.
        given: Its definition, as it stands in the file.
        warnings: What else has been found so far, none of which hinders a rehearsal.
        again: Words of the command line that replays a rehearsal, before its seed and the file.
        policy: How sources are fetched.
        note: Is told what is being fetched.
    """

    scenario: Scenario
    given: Definition = field(repr=False)
    warnings: tuple[Diagnostic, ...] = ()
    again: tuple[str, ...] = ("callboard", "simulate", "--seed")
    policy: Policy = field(factory=Policy)
    note: Callable[[str], None] = field(default=lambda _text: None, repr=False)
    _validated: bool = field(default=False, init=False, repr=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Production":
        """Read a scenario file and its definition.

        Raises:
            DefinitionError: One of them, or another file that it names, can't be used.
        """
        scenario, found = read_scenario(path)
        if scenario is None:
            raise DefinitionError(found)
        return cls(scenario, load(scenario.definition), found)

    @property
    def inline(self) -> bool:
        """Whether everything that its tests run stands in the definition itself."""
        return all(
            source.inline is not None and not source.inline.install.git_repos
            for block in self.given.blocks
            for source in block.definitions
        )

    @cached_property
    def definition(self) -> Definition:
        """The definition with its sources fetched.

        Raises:
            SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        """
        if self.inline:
            return self.given
        return alone(lambda: anyio.run(fetch, self.given, self.policy, self.note))

    def validate(self) -> None:
        """Compare the scenario, its model and its faults with the definition.

        Raises:
            SourcesFailed: Test definitions can't be had; it is a DefinitionError.
            DefinitionError: They don't fit.
        """
        if self._validated:
            return
        if errors := unrehearsed(self.given):
            raise DefinitionError(errors)
        programs = extract(self.definition).programs
        counts = self.scenario.counts
        found = validate(self.scenario, cast_of(self.definition, programs, counts))
        if not found and (devices := self.scenario.devices) is not None:
            # Whatever drives a device, a rehearsal simulates it.
            usable = [evolve(each, means=LocalLimits()) for each in devices.devices]
            found = tuple(unserved(scaled(self.definition, counts), usable))
            found += unknown_ends(devices.network.links, self.definition)
        if any(each.severity == "error" for each in found):
            raise DefinitionError(found)
        self.warnings += found
        self._validated = True

    @property
    def _model(self) -> Model:
        """The scenario's model, with what its devices file says of links."""
        scenario = self.scenario
        if scenario.devices is None or not scenario.devices.network.links:
            return scenario.model
        return evolve(
            scenario.model, links=(*scenario.devices.network.links, *scenario.model.links)
        )

    @cached_property
    def stage(self) -> Stage:
        """What its rehearsals have in common; raises what `validate` does."""
        self.validate()
        scenario = self.scenario
        return Stage(
            self.definition,
            self._model,
            scenario.faults,
            tuple(scenario.counts.items()),
            scenario.semantics,
        )

    @property
    def rehearsal(self) -> Rehearsal:
        """The group, ready to be rehearsed; raises what `validate` does."""
        return self.stage.rehearsal()

    @cached_property
    def verdict(self) -> Verdict:
        """What `callboard check` says of the group; raises what `definition` does."""
        return check(self.rehearsal.definition, self.scenario.semantics)

    def admit(self) -> None:
        """Refuse a group of which it is proved that it can't finish.

        Raises:
            GroupRefused: It is one.
        """
        if self.verdict.outcome == "deadlocks":
            raise GroupRefused(self.verdict)

    def check(self) -> Mismatch | None:
        """The expectation of `callboard check`, if it doesn't hold."""
        expected, found = self.scenario.check, self.verdict.outcome
        if expected in (None, found):
            return None
        place = self.scenario.places.get("check", Place(self.scenario.file, 1, 1))
        return Mismatch(place, f"the check to say `{expected}`", f"it says `{found}`")

    def rehearse(self, seed: int, observers: Iterable[Observer] = ()) -> Ruling:
        """Rehearse the group once and compare with what the scenario expects.

        It may be called while an event loop runs; that waits meanwhile.
        """
        calls, recorder = Calls(self.scenario.expect.order), Recorder()
        rehearsal = self.rehearsal
        outcome = alone(lambda: rehearsal.run(seed, (recorder.add, calls, *observers)))
        run = recorder.run()
        mismatches = compare(self.scenario.expect, outcome, run, calls)
        report = tuple(explain(run)) if mismatches else ()
        return Ruling(seed, mismatches, report, self.command(seed))

    def perform(self, seed: int) -> tuple[SimulationResult, tuple[str, ...]]:
        """Rehearse the group once: how it ended, and lines that say what failed and why.

        It may be called while an event loop runs; that waits meanwhile.
        """
        recorder, rehearsal = Recorder(), self.rehearsal
        ended = alone(lambda: result(rehearsal, seed, (recorder.add,)))
        return ended, tuple(explain(recorder.run()))

    def command(self, seed: int) -> str:
        """The command line that replays a rehearsal."""
        return shlex.join([*self.again, str(seed), self.scenario.file])


def unrehearsed(found: Definition) -> tuple[Diagnostic, ...]:
    """What no rehearsal can do: nobody knows what calls tests make that are not of the shell."""
    hint = "the definition is valid; rehearse it without this part"
    return tuple(
        Diagnostic(
            "CB101",
            "error",
            f"a test of kind {block.test_kind} is not supported yet",
            block.place,
            hint,
        )
        for block in found.blocks
        if block.kind == "test" and block.test_kind != "shell"
    )
