"""What `callboard simulate` does when all is known: rehearses, and tells what came of it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import BinaryIO

from attrs import evolve, frozen

from callboard.cli.live import Lines
from callboard.cli.output import Output
from callboard.cli.progress import bar
from callboard.cli.rehearsal import (
    Replay,
    outcome_json,
    print_command,
    print_outcomes,
    print_roles,
    print_signature,
    roles_json,
    signature_json,
)
from callboard.cli.ruin import print_casualties, ruin_json
from callboard.cli.trace import Log, opened
from callboard.events import Event, RunEnded, RunStarted
from callboard.live import Observer
from callboard.report import document
from callboard.report.record import Recorder
from callboard.report.text import MOST_ROWS, summary
from callboard.simulation import Seeds
from callboard.simulation.aside import aside
from callboard.simulation.casualty import blows, kill_each
from callboard.simulation.census import Census
from callboard.simulation.crew import Crew
from callboard.simulation.search import first, search, worst
from callboard.simulation.shrinking import Shrunk, shrink
from callboard.simulation.trial import Finding, Scale, Stage, Trial
from callboard.simulation.verification import Difference, Verified, verify
from callboard.simulation.writing import faults_text

MOST_JOBS = 1_000
"""Nodes of a group whose jobs stand in the JSON document one by one."""

_SHRUNK = "shrunk-faults.yaml"


@frozen
class Session:
    """What is to be rehearsed, and where it is told."""

    stage: Stage
    seeds: Seeds
    replay: Replay
    said: Output
    faults_file: str | None

    def rehearse(self, trace: str | None) -> int:
        """One rehearsal."""
        with nullcontext() if trace is None else opened(trace) as file:
            return self._rehearse(file)

    def _rehearse(self, file: BinaryIO | None) -> int:
        nodes = sum(self.stage.counts().values())
        rehearsal = self.stage.rehearsal()
        trace, census, recorder = Log(file), Census(), Recorder()
        sinks: list[Observer] = [trace, census]
        sinks.append(recorder.add if nodes <= MOST_JOBS else _Cover(recorder))
        if self.said.verbosity > self.said.json:
            sinks.append(Lines(self.said))
        with bar(self.said, "jobs ended", nodes) as shown:
            sinks.append(lambda _event: shown.reach(census.ended))
            outcome = aside(lambda: rehearsal.run(self.seeds[0], sinks))
        code = outcome.exit_code
        if trace.error is not None:
            raise trace.error
        run = evolve(recorder.run(), exit_code=code)
        if self.said.json:
            self.said.document(
                document(run, None)
                | {
                    "seed": outcome.seed,
                    "virtual_duration": outcome.duration_s,
                    "events": census.events,
                    "trace_sha256": trace.sha256,
                    "roles": roles_json(census.roles()),
                }
            )
            return code
        console = self.said.console
        if nodes <= MOST_ROWS:
            summary(run, None, console)
        else:
            print_roles(census.roles(), console)
            console.print(f"{outcome.status}, exit code {code}, {outcome.duration_s:.1f} s")
        about = f"seed {outcome.seed}, {census.events:,} events, sha256 {trace.sha256}"
        console.print(about, style="dim", soft_wrap=True)
        return code

    def search(self) -> int:
        """Every seed, and the distinct outcomes."""
        with Crew(self.stage) as crew, bar(self.said, "seeds", len(self.seeds)) as shown:
            outcomes = search(crew, self.seeds, shown.advance)
        code = worst(each.signature.exit_code for each in outcomes)
        if self.said.json:
            found = [outcome_json(each, self.replay) for each in outcomes]
            self.said.document({"seeds": len(self.seeds), "outcomes": found, "exit_code": code})
        else:
            print_outcomes(outcomes, len(self.seeds), self.replay, self.said.console)
        return code

    def verify(self) -> int:
        """Every seed twice."""
        with bar(self.said, "rehearsals", 2 * len(self.seeds)) as shown:
            found = verify(self.stage, self.seeds, shown.advance)
        code = 0 if found.difference is None else 3
        if self.said.json:
            self.said.document(_verified_json(found, code))
        elif found.difference is None:
            count = len(self.seeds)
            what = f"seed {self.seeds[0]}" if count == 1 else f"{count:,} seeds"
            text = f"{what} verified: two processes wrote the same event log"
            self.said.console.print(text if count == 1 else f"{text} for each", style="green")
            self.said.console.print(f"sha256 {found.sha256}", style="dim", soft_wrap=True)
        else:
            self._print_difference(found.difference)
        return code

    def _print_difference(self, found: Difference) -> None:
        console = self.said.console
        text = f"seed {found.seed} does not decide everything: two processes wrote different logs"
        console.print(text, style="bold red", soft_wrap=True)
        if not found.line:
            text = "they were the same the next time, so it depends on earlier rehearsals"
            console.print(text, soft_wrap=True)
            return
        console.print(f"event {found.line} is the first that differs:")
        for event in found.events:
            shown = (event or "the log has ended").strip()
            console.print(f"  {shown}", markup=False, soft_wrap=True, highlight=False)

    def kill_each(self) -> int:
        """Each node killed at each call in turn."""
        seed = self.seeds[0]
        baseline, found = blows(self.stage, seed)
        with Crew(self.stage) as crew, bar(self.said, "kills", len(found)) as shown:
            casualties = kill_each(crew, self.stage, seed, found, shown.advance)
        findings = [baseline, *(each.finding for each in casualties)]
        code = worst(each.signature.exit_code for each in findings)
        if self.said.json:
            self.said.document(ruin_json(baseline, casualties, code))
        else:
            print_casualties(baseline, casualties, self.said.console)
        return code

    def shrink(self, accepts: Callable[[Scale], bool]) -> int:
        """The first failing seed's failure, made small."""
        with Crew(self.stage) as crew:
            with bar(self.said, "seeds", len(self.seeds)) as shown:
                trials = (Trial(seed) for seed in self.seeds)
                failing = first(crew, trials, _fails, shown.advance)
            if failing is None:
                return self._say_that_none_fails()
            with bar(self.said, "rehearsals") as shown:
                shrunk = shrink(crew, self.stage, failing[1], accepts, shown.advance)
        code = shrunk.finding.signature.exit_code
        if self.said.json:
            self.said.document(self._shrunk_json(failing[1], shrunk, code))
        else:
            self._print_shrunk(failing[1], shrunk)
        return code

    def _say_that_none_fails(self) -> int:
        if self.said.json:
            self.said.document(
                {"seeds": len(self.seeds), "failure": None, "shrunk": None, "exit_code": 0}
            )
        else:
            count = len(self.seeds)
            what = f"seed {self.seeds[0]} does not fail" if count == 1 else "no seed fails"
            self.said.console.print(f"{what}: there is nothing to shrink")
        return 0

    def _print_shrunk(self, failure: Finding, shrunk: Shrunk) -> None:
        console = self.said.console
        nodes = sum(self.stage.counts().values())
        print_signature(f"seed {failure.seed}", failure.signature, console)
        console.print()
        left = f"{shrunk.nodes:,} of {_nouns(nodes, 'node')}"
        if self.stage.faults.rules:
            left += f" and {_nouns(len(shrunk.faults), 'fault')}"
        console.print(f"the same failure with {left}:", style="bold")
        if shrunk.faults:
            console.print(f"   with this as {_SHRUNK}:")
            for line in faults_text(shrunk.faults).splitlines():
                console.print(f"      {line}", markup=False, highlight=False, soft_wrap=True)
        print_command(self._shrunk_command(shrunk), console)

    def _shrunk_command(self, shrunk: Shrunk) -> str:
        options = list(self.replay.options)
        if self.faults_file is not None:
            at = options.index("--faults")
            options[at : at + 2] = ["--faults", _SHRUNK] if shrunk.faults else []
        return Replay(self.replay.file, shrunk.scale, tuple(options)).seed(shrunk.seed)

    def _shrunk_json(self, failure: Finding, shrunk: Shrunk, code: int) -> dict[str, object]:
        return {
            "seeds": len(self.seeds),
            "failure": signature_json(failure.signature) | {"seed": failure.seed},
            "shrunk": signature_json(shrunk.finding.signature)
            | {
                "seed": shrunk.seed,
                "nodes": shrunk.nodes,
                "scale": dict(shrunk.scale),
                "faults": faults_text(shrunk.faults) if shrunk.faults else None,
                "events": shrunk.finding.events,
                "virtual_duration": shrunk.finding.duration_s,
                "command": self._shrunk_command(shrunk),
            },
            "exit_code": code,
        }


def _fails(finding: Finding) -> bool:
    return finding.signature.fails


def _verified_json(found: Verified, code: int) -> dict[str, object]:
    difference = found.difference
    return {
        "seeds": len(found.hashes),
        "verified": difference is None,
        "trace_sha256": found.sha256,
        "difference": None
        if difference is None
        else {
            "seed": difference.seed,
            "event": difference.line or None,
            "logs": list(difference.events),
        },
        "exit_code": code,
    }


def _nouns(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


class _Cover:
    """Gives a recorder the events that say how a group as a whole began and ended."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __call__(self, event: Event) -> None:
        if isinstance(event.body, RunStarted | RunEnded):
            self._recorder.add(event)
