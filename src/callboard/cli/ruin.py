"""How it is told what becomes of a group when each node dies at each call."""

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from callboard.cli.rehearsal import (
    Json,
    print_signature,
    signature_json,
)
from callboard.report.text import printable
from callboard.simulation.casualty import Blow, Casualty
from callboard.simulation.signature import Signature
from callboard.simulation.trial import Finding
from callboard.simulation.writing import faults_text


def print_casualties(baseline: Finding, casualties: Sequence[Casualty], console: Console) -> None:
    """A table of the kills, then the outcomes that they lead to."""
    print_signature("without a kill", baseline.signature, console)
    if not casualties:
        console.print("no node makes a call at which it could be killed")
        return
    outcomes = _outcomes(casualties)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("killed at", overflow="fold")
    for name in ("line", "outcome", "exit code", "waits fail", "verdict"):
        table.add_column(_tall(name), justify="right", no_wrap=True)
    killed: tuple[str, int] | None = None
    alike = False
    for each in casualties:
        blow, found = each.blow, each.finding.signature
        if (blow.role, blow.node) != killed:
            table.add_row(Text(printable(_node(blow)), style="bold"))
        killed = blow.role, blow.node
        alike = alike or blow.alike > 1
        line = str(blow.where.line) if blow.where else ""
        waits = "-" if each.failing_s is None else f"{each.failing_s:.1f} s"
        row = [line, str(outcomes.index(found) + 1), str(found.exit_code), waits]
        call = Padding(Text(printable(_call(blow))), (0, 0, 0, 2))
        table.add_row(call, *map(Text, [*row, f"{each.verdict_s:.1f} s"]))
    console.print()
    console.print(table)
    if alike:
        console.print("nodes of a role that make the same calls are alike: the first was killed")
    for number, outcome in enumerate(outcomes, start=1):
        console.print()
        count = sum(each.finding.signature == outcome for each in casualties)
        print_signature(f"{number}  {count} of {len(casualties)} kills", outcome, console)


def ruin_json(baseline: Finding, casualties: Sequence[Casualty], code: int) -> Json:
    """The document."""
    outcomes = _outcomes(casualties)
    return {
        "seed": baseline.seed,
        "baseline": signature_json(baseline.signature)
        | {"events": baseline.events, "virtual_duration": baseline.duration_s},
        "kills": [
            {
                "role": each.blow.role or None,
                "node": each.blow.node,
                "alike": each.blow.alike,
                "call": each.blow.call,
                "occurrence": each.blow.occurrence,
                "file": each.blow.where.file if each.blow.where else None,
                "line": each.blow.where.line if each.blow.where else None,
                "time": each.blow.time_s,
                "fault": faults_text([each.blow.kill]),
                "status": each.finding.signature.status,
                "exit_code": each.finding.signature.exit_code,
                "outcome": outcomes.index(each.finding.signature),
                "waits_fail": each.failing_s,
                "verdict": each.verdict_s,
            }
            for each in casualties
        ],
        "outcomes": [signature_json(outcome) for outcome in outcomes],
        "exit_code": code,
    }


def _outcomes(casualties: Sequence[Casualty]) -> list[Signature]:
    """The distinct outcomes, in the order in which they come."""
    return list(dict.fromkeys(each.finding.signature for each in casualties))


def _tall(title: str) -> str:
    """A column's title, a word a line, so that the column is as narrow as its numbers."""
    return title.replace(" ", "\n")


def _node(blow: Blow) -> str:
    if not blow.role:
        return "the job"
    return f"{blow.role}, node {blow.node}" if blow.alike > 1 else blow.role


def _call(blow: Blow) -> str:
    return blow.call if blow.occurrence == 1 else f"{blow.call} (call {blow.occurrence})"
