"""How rehearsals and what came of them are told: as text and as JSON."""

import shlex
from collections.abc import Iterable, Iterator, Sequence

from attrs import frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from callboard.events import Health
from callboard.report.text import print_hanging, printable
from callboard.simulation.census import Fact, RoleCount, told
from callboard.simulation.search import Outcome
from callboard.simulation.signature import Signature
from callboard.simulation.trial import Scale

Json = dict[str, object]

MOST_FACTS = 50
"""Kinds of failures that are told of a rehearsal or of an outcome; the JSON document has all."""

MOST_OUTCOMES = 20
"""Outcomes that are told of a search; the JSON document has all."""

_INDENT = "   "
_HEALTHS: tuple[Health, ...] = ("complete", "incomplete", "canceled")
_COLOUR = {"complete": "green", "incomplete": "red", "canceled": "yellow"}


@frozen
class Replay:
    """The command line that rehearses again, but for the seed.

    Attributes:
        file: The definition.
        scale: Counts of roles.
        options: What else was given.
    """

    file: str
    scale: Scale
    options: tuple[str, ...]

    def command(self, *more: str) -> str:
        """The line, for a shell."""
        scale = [word for role, count in self.scale for word in ("--scale", f"{role}={count}")]
        return shlex.join(["callboard", "simulate", self.file, *scale, *self.options, *more])

    def seed(self, seed: int) -> str:
        """The line that rehearses with a seed."""
        return self.command("--seed", str(seed))


def print_roles(roles: Sequence[RoleCount], console: Console) -> None:
    """What became of each role of a large group, and what failed on how many of its nodes."""
    lines = [
        f"{_of(count, role.nodes)} {role.role or 'job'}: {fact.text}"
        for role in roles
        for fact, count in told(role.facts.items())
    ]
    for line in lines[:MOST_FACTS]:
        print_hanging(Text(printable(line), style="red"), console)
    if len(lines) > MOST_FACTS:
        console.print(f"and {len(lines) - MOST_FACTS} kinds of failures more, see --json")
    if lines:
        console.print()
    table = _table("role")
    for name in ("nodes", *_HEALTHS, "ended"):
        table.add_column(name, justify="right", no_wrap=True)
    for role in roles:
        counts = [_count(role.health.get(health, 0), health) for health in _HEALTHS]
        ended = Text(f"{role.finished_s:.1f} s")
        table.add_row(Text(printable(role.role or "-")), Text(f"{role.nodes:,}"), *counts, ended)
    console.print(table)


def print_outcomes(
    outcomes: Sequence[Outcome], rehearsals: int, replay: Replay, console: Console
) -> None:
    """A table of the distinct outcomes, then what happened in each, and how to see it."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for name in ("exit code", "seeds", "first", "shortest", "events"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = outcomes[:MOST_OUTCOMES]
    for number, each in enumerate(shown, start=1):
        shortest = each.shortest
        row = [
            str(each.signature.exit_code),
            f"{each.count:,}",
            str(each.first_seed),
            f"{shortest.duration_s:.1f} s",
            f"{shortest.events:,}",
        ]
        status = each.signature.status
        table.add_row(Text(str(number)), Text(status, style=_COLOUR[status]), *map(Text, row))
    console.print(table)
    if len(outcomes) > MOST_OUTCOMES:
        console.print(f"and {len(outcomes) - MOST_OUTCOMES:,} outcomes more, see --json")
    for number, each in enumerate(shown, start=1):
        if each.signature.fails or len(outcomes) > 1:
            console.print()
            share = f"{each.count:,} of {rehearsals:,} seeds"
            print_signature(f"{number}  {share}", each.signature, console)
            print_command(replay.seed(each.shortest.seed), console)


def print_signature(title: str, found: Signature, console: Console) -> None:
    """How a rehearsal ended and what failed where and why."""
    head = Text(f"{title}: ", style="bold")
    head.append(f"{found.status}, exit code {found.exit_code}", style=_COLOUR[found.status])
    console.print(head, soft_wrap=True)
    lines = list(_told(found))
    for line in lines[:MOST_FACTS]:
        print_indented(line, console, "red")
    if len(lines) > MOST_FACTS:
        console.print(f"{_INDENT}and {len(lines) - MOST_FACTS} kinds of failures more, see --json")


def print_indented(text: str, console: Console, style: str = "") -> None:
    """A line that belongs to the one above; where it is too long it goes on in the next."""
    print_hanging(Text(f"{_INDENT}{printable(text)}", style=style), console)


def print_command(command: str, console: Console) -> None:
    """A command line that the reader may copy."""
    console.print(Text(f"{_INDENT}{printable(command)}", style="dim"), soft_wrap=True)


def _told(found: Signature) -> Iterator[str]:
    for fact, share in told(found.facts):
        some = "some " if share == "some" else ""
        yield f"{some}{fact.role or 'job'}: {fact.text}"
    for end in found.ends:
        if end.health == "canceled":
            yield f"{end.share} {end.role or 'job'}: canceled"


def outcome_json(outcome: Outcome, replay: Replay) -> Json:
    """An outcome in the document of a search."""
    shortest = outcome.shortest
    return {
        **signature_json(outcome.signature),
        "count": outcome.count,
        "first_seed": outcome.first_seed,
        "shortest": {
            "seed": shortest.seed,
            "events": shortest.events,
            "virtual_duration": shortest.duration_s,
        },
        "command": replay.seed(shortest.seed),
    }


def signature_json(found: Signature) -> Json:
    """A signature: how a rehearsal ended and what failed."""
    health: dict[str, dict[str, str]] = {}
    for end in found.ends:
        health.setdefault(end.role, {})[end.health] = end.share
    return {
        "status": found.status,
        "exit_code": found.exit_code,
        "health": health,
        "failures": [_fact_json(fact) | {"nodes": share} for fact, share in found.facts],
    }


def roles_json(roles: Iterable[RoleCount]) -> list[Json]:
    """What became of each role, in the document of a rehearsal."""
    return [
        {
            "role": role.role or None,
            "nodes": role.nodes,
            "health": {health: role.health.get(health, 0) for health in _HEALTHS},
            "finished": role.finished_s,
            "failures": [_fact_json(fact) | {"nodes": count} for fact, count in role.facts.items()],
        }
        for role in roles
    ]


def _fact_json(fact: Fact) -> Json:
    return {
        "role": fact.role or None,
        "kind": fact.kind,
        "what": fact.what,
        "why": fact.why or None,
        "file": fact.file or None,
        "line": fact.line or None,
        "hopeless": fact.hopeless,
    }


def _table(first: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first, overflow="fold")
    return table


def _count(number: int, health: Health) -> Text:
    return Text(f"{number:,}", style=_COLOUR[health] if number else "dim")


def _of(count: int, nodes: int) -> str:
    if count == nodes:
        return "all" if nodes > 1 else "the"
    return f"{count:,} of {nodes:,}"
