"""What `callboard simulate` does with a scenario: rehearses it, and says what does not hold."""

from contextlib import nullcontext
from typing import BinaryIO

import click
from attrs import evolve, fields, frozen
from click.core import ParameterSource
from rich.text import Text

from callboard.actors.support import MOST_NODES
from callboard.cli.fetching import source_refusal
from callboard.cli.live import Lines
from callboard.cli.output import Output, Refusal, refusal
from callboard.cli.progress import bar
from callboard.cli.rehearsal import print_command, print_indented
from callboard.cli.trace import Log, opened
from callboard.definition import DefinitionError
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.split import scaled
from callboard.live import Observer
from callboard.report.text import print_hanging, printable
from callboard.simulation.aside import aside
from callboard.simulation.expectation import Mismatch
from callboard.simulation.judgement import Complaint, Judgement, judge
from callboard.simulation.production import Production
from callboard.simulation.scenario import SUFFIX, Expectations
from callboard.simulation.seeds import Seeds
from callboard.sources import Policy, SourcesFailed

_WRITTEN = {name: f"write `{name}:` into the scenario" for name in ("model", "faults", "scale")}
_UNFIT = _WRITTEN | {
    "semantics": "write `semantics:` into the scenario",
    "no_check": "a scenario says with `check:` what the check is to find",
    "replay": "rehearse its definition with it",
    "every_fault": "rehearse its definition with it",
    "shrinks": "rehearse its definition with it",
    "verifies": "rehearse its definition with it",
}
"""Options that have no place beside a scenario, and what to do instead."""

_COMPARED = {each.name for each in fields(Expectations)}


def is_scenario(file: str) -> bool:
    """Whether a file is a scenario, by its name."""
    return file.endswith(SUFFIX)


def refuse_unfit() -> None:
    """Refuse options of the command line that a scenario leaves no room for.

    What the environment or a configuration file says is for definitions.

    Raises:
        Refusal: One is given.
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        name = (parameter.name or "").removesuffix("_file")
        given = context.get_parameter_source(parameter.name or "")
        if name in _UNFIT and given is ParameterSource.COMMANDLINE:
            text = f"{parameter.opts[0]} can't be given with a scenario"
            raise refusal("CB104", text, _UNFIT[name])


@frozen
class Hearing:
    """A scenario that is to be judged, and where it is told.

    Attributes:
        production: The scenario and its group.
        seeds: Its seeds, or those that were given instead.
        said: Where it is told.
    """

    production: Production
    seeds: Seeds
    said: Output

    @classmethod
    def load(cls, file: str, seeds: Seeds | None, policy: Policy, said: Output) -> "Hearing":
        """Read a scenario, fetch what its tests are made of, and compare it with its definition.

        Args:
            file: The scenario.
            seeds: Other seeds than its own.
            policy: How sources are fetched.
            said: Where it is told.

        Raises:
            Refusal: It can't be rehearsed.
        """
        try:
            production = Production.load(file)
            options = ("--allow-local",) if policy.allow_local else ()
            again = ("callboard", "simulate", *options, "--seed")
            production = evolve(production, policy=policy, note=said.note, again=again)
            production.validate()
            _refuse_too_many(production)
        except SourcesFailed as error:
            raise source_refusal(error) from error
        except DefinitionError as error:
            raise Refusal(*error.diagnostics) from error
        said.diagnostics(production.warnings)
        return cls(production, production.scenario.seeds if seeds is None else seeds, said)

    def judge(self, trace: str | None) -> int:
        """Rehearse it with each seed and say what does not hold; 0 if all does, else 1."""
        if trace is not None and len(self.seeds) > 1:
            text = f"--trace is of one rehearsal, and the scenario has {len(self.seeds):,} seeds"
            raise refusal("CB104", text, "give one with --seed N")
        with nullcontext() if trace is None else opened(trace) as file:
            found = self._judged(file)
        code = 0 if found.holds else 1
        if self.said.json:
            self.said.document(self._json(found, code))
        else:
            self._print(found)
        return code

    def _judged(self, file: BinaryIO | None) -> Judgement:
        log = None if file is None else Log(file)
        observers: list[Observer] = [] if log is None else [log]
        if self.said.verbosity > self.said.json:
            observers.append(Lines(self.said))
        with bar(self.said, "seeds", len(self.seeds)) as shown:
            found = aside(lambda: judge(self.production, self.seeds, observers, shown.advance))
        if log is not None and log.error is not None:
            raise log.error
        return found

    def _print(self, found: Judgement) -> None:
        console = self.said.console
        name = printable(self.production.scenario.file)
        if found.check is not None:
            print_hanging(Text(printable(str(found.check)), style="red"), console)
            for line in self.production.verdict.witness:
                print_indented(line, console)
            console.print()
        for complaint in found.complaints:
            self._print_complaint(complaint)
            console.print()
        if found.holds:
            console.print(Text(f"{name}: all is as expected", style="green"), soft_wrap=True)
        else:
            console.print(Text(f"{name}: not as expected", style="bold red"), soft_wrap=True)
        for line in self._summed(found):
            print_indented(line, console)

    def _print_complaint(self, complaint: Complaint) -> None:
        console, ruling = self.said.console, complaint.first
        for mismatch in ruling.mismatches:
            print_hanging(Text(printable(str(mismatch)), style="red"), console)
        console.print(Text(ruling.title, style="bold"))
        for line in ruling.report:
            print_hanging(Text(f"  {line}"), console)
        if (alike := complaint.alike) is not None:
            print_hanging(Text(alike), console)
        print_command(ruling.command, console)

    def _summed(self, found: Judgement) -> list[str]:
        """What was compared, and with how many seeds it held."""
        scenario = self.production.scenario
        lines = []
        if scenario.check is not None:
            verdict = self.production.verdict.outcome
            wrong = "" if found.check is None else f", not {scenario.check}"
            lines.append(f"check: {verdict}{wrong}")
        count = len(self.seeds)
        failed = sum(len(each.seeds) for each in found.complaints)
        number = f"seed {self.seeds[0]}" if count == 1 else f"{count:,} seeds"
        if failed:
            lines.append(f"{number} fails" if count == 1 else f"{failed:,} of {number} fail")
        else:
            compared = [key for key in scenario.expect.places if key.replace("-", "_") in _COMPARED]
            text = ", ".join(compared) or "nothing is expected of a rehearsal"
            lines.append(f"{number}: {text}")
        return lines

    def _json(self, found: Judgement, code: int) -> dict[str, object]:
        scenario = self.production.scenario
        return {
            "scenario": scenario.file,
            "definition": scenario.definition,
            "holds": found.holds,
            "seeds": len(self.seeds),
            "check": None
            if scenario.check is None
            else {"expected": scenario.check, "found": self.production.verdict.outcome},
            "complaints": [_complaint_json(each) for each in found.complaints],
            "exit_code": code,
        }


def _complaint_json(complaint: Complaint) -> dict[str, object]:
    ruling = complaint.first
    return {
        "seeds": list(complaint.seeds),
        "mismatches": [_mismatch_json(each) for each in ruling.mismatches],
        "report": list(ruling.report),
        "command": ruling.command,
    }


def _mismatch_json(mismatch: Mismatch) -> dict[str, object]:
    place = mismatch.place
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "expected": mismatch.expected,
        "found": mismatch.found,
    }


def _refuse_too_many(production: Production) -> None:
    """Refuse a group that is too large."""
    size = scaled(production.definition, production.scenario.counts).size
    if size > MOST_NODES:
        text = f"the group has {size:,} nodes; {MOST_NODES:,} can be rehearsed at once"
        place = production.scenario.places.get("scale")
        hint = "write smaller numbers into `scale`"
        raise Refusal(Diagnostic("CB052", "error", text, place, hint))
