"""Mistakes made in good scenarios, and what becomes of each when its nodes really run.

`python -m tests.flow.mutated` prints how many of those that get stuck the check finds, and how
many that finish it takes for stuck.
"""

import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import yaml
from attrs import frozen
from tests.flow.orders import Nodes
from tests.flow.programs import program
from tests.verdicts import DEFINITIONS, expected

from callboard.definition import read_text
from callboard.flow.check import check
from callboard.flow.program import Call, Program

_CALL = re.compile(r"(?P<before>.*?)lava-(?P<call>send|wait-all|wait|sync) (?P<rest>.*)")
_ORDERS = 5
Group = dict[str, tuple[int, list[str]]]
"""The steps of each role's one test, and how many nodes it has."""


@frozen
class Mutant:
    """A scenario with one mistake; `kind` is what was done to it."""

    scenario: str
    kind: str
    what: str
    text: str


def good() -> list[Path]:
    """Those that finish, and whose roles each run one test with steps that go straight."""
    return [
        path
        for path in DEFINITIONS
        if expected(path) == "completes" and "request: " not in path.read_text()
    ]


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mistake of each kind that can be made in a scenario, one at a time."""
    text = path.read_text()
    lines = text.splitlines()
    roles = re.findall(r"^      (\w+): \{device_type", text, re.MULTILINE)
    calls = [n for n, line in enumerate(lines) if re.match(r" +- lava-(send|wait|sync)", line)]
    for number in calls:
        line = lines[number]
        indent, call, identity, rest = re.fullmatch(  # type: ignore[union-attr]
            r"( +- )(lava-[\w-]+) (\S+)(.*)", line
        ).groups()
        where = f"line {number + 1}: {line.strip()}"
        yield _mutant(path, "dropped", where, lines, {number: f'{indent}"true"'})
        renamed = f"{indent}{call} {identity}x{rest}"
        yield _mutant(path, "renamed", where, lines, {number: renamed})
        if number + 1 in calls:
            swapped = {number: lines[number + 1], number + 1: line}
            yield _mutant(path, "swapped", where, lines, swapped)
        if call == "lava-wait-all":
            for role in (*roles, "nobody"):
                other = f"{indent}{call} {identity} {role}"
                if other != line:
                    yield _mutant(path, "other role", where, lines, {number: other})
    for number, line in enumerate(lines):
        if match := re.fullmatch(r"( +\w+: \{device_type: \w+, count: )(\d+)(.*)", line):
            for count in (0, int(match[2]) + 1):
                other = f"{match[1]}{count}{match[3]}"
                yield _mutant(path, "other count", line.strip(), lines, {number: other})


def _mutant(path: Path, kind: str, what: str, lines: list[str], changed: dict[int, str]) -> Mutant:
    text = "\n".join(changed.get(number, line) for number, line in enumerate(lines))
    return Mutant(path.stem, kind, what, f"{text}\n")


def finishes(text: str) -> bool:
    """Whether all nodes come to their end, by the coordinator's own state machine."""
    programs = [_program(role, count, steps) for role, (count, steps) in _group(text).items()]
    nodes = [
        (each.role, tuple(item for item in each.items if isinstance(item, Call)))
        for each in programs
        for _ in range(each.count)
    ]
    outcomes = {Nodes(nodes).run(Random(seed)) for seed in range(_ORDERS)}
    assert len(outcomes) == 1, "the order of straight nodes has made a difference"
    return outcomes.pop()


def _group(text: str) -> Group:
    data = yaml.safe_load(text)
    roles = data.get("protocols", {}).get("lava-multinode", {}).get("roles", {})
    steps: dict[str, list[str]] = {role: [] for role in roles}
    for action in data["actions"]:
        for role in action.get("test", {}).get("role", []):
            for test in action["test"]["definitions"]:
                steps[role] += test["repository"]["run"]["steps"]
    return {role: (roles[role]["count"], steps[role]) for role in roles}


def _program(role: str, count: int, steps: list[str]) -> Program:
    """The calls of a role, read without a shell: its steps are single commands."""
    found = [shlex.split(step) for step in steps if step.startswith("lava-") and "case" not in step]
    lines = [
        " ".join([call.removeprefix("lava-"), *(words[:1] if call == "lava-send" else words)])
        for call, *words in found
    ]
    return program(role, *lines, count=count)


def verdict(text: str) -> str:
    """What the check says of a definition; `invalid` if it is refused before that."""
    definition, _ = read_text(text)
    return "invalid" if definition is None else check(definition).outcome


def main() -> int:
    """Print the table; returns 1 unless all is found and nothing wrongly."""
    stuck, found, fine, alarms = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for mutant in (each for path in good() for each in mutants(path)):
        said = verdict(mutant.text)
        if said == "invalid":
            continue
        if finishes(mutant.text):
            fine[mutant.kind] += 1
            alarms[mutant.kind] += said != "completes"
        else:
            stuck[mutant.kind] += 1
            found[mutant.kind] += said == "deadlocks"
    print(f"{'mistake':12} {'stuck':>6} {'found':>6} {'fine':>6} {'alarms':>6}")
    for kind in sorted({*stuck, *fine}):
        print(f"{kind:12} {stuck[kind]:6} {found[kind]:6} {fine[kind]:6} {alarms[kind]:6}")
    missed = stuck.total() - found.total()
    print(f"{found.total()} of {stuck.total()} found, {alarms.total()} false alarms")
    return 1 if missed or alarms.total() else 0


if __name__ == "__main__":
    sys.exit(main())
