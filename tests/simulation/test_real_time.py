"""A rehearsal reads no clock of the machine, and draws nothing that its seed doesn't decide."""

import ast
import os
import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.timeless import no_real_time

from callboard.definition import load
from callboard.simulation.simulator import Trace, prepare

ROOT = Path(__file__).parents[2]
PARTS = ("runtime", "actors", "src/callboard/simulation")
FILES = ("src/callboard/live.py", "src/callboard/journal.py", "src/callboard/events.py")
DRIVERS = "actors/drivers"  # of real devices, which no rehearsal has
CLOCKS = frozenset({"time", "datetime", "calendar", "secrets", "sched"})
CHANCE = {"random": {"Random"}, "uuid": {"UUID"}}
"""Modules that draw at random, and what may be used of them."""


class Drawn(AssertionError):
    """Something has been drawn that no seed decides."""


def refusal(name: str) -> Callable[..., Any]:
    def draw(*_arguments: Any, **_more: Any) -> Any:
        raise Drawn(name)

    return draw


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever draws at random without a generator that has been seeded fails."""
    monkeypatch.setattr(os, "urandom", refusal("os.urandom"))
    for name in ("uuid1", "uuid4"):
        monkeypatch.setattr(uuid, name, refusal(f"uuid.{name}"))
    for name in ("random", "randint", "randrange", "uniform", "choice", "shuffle", "getrandbits"):
        monkeypatch.setattr(random, name, refusal(f"random.{name}"))


@pytest.mark.usefixtures("nothing_drawn")
@pytest.mark.parametrize("name", ["demo", "branches", "circle", "wait-all-role"])
def test_a_rehearsal_reads_no_clock_and_draws_only_by_its_seed(name: str) -> None:
    rehearsal = prepare(load(f"scenarios/{name}.yaml"))
    with no_real_time():
        trace = Trace()
        rehearsal.run(5, [trace])
    assert trace.events > 100


def modules() -> list[Path]:
    found = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    return sorted(
        path
        for path in (*found, *(ROOT / name for name in FILES))
        if not path.is_relative_to(ROOT / DRIVERS)
    )


def offences(tree: ast.AST) -> Iterator[str]:
    """What a module uses of clocks and of chance."""
    nodes = list(ast.walk(tree))
    plain = [each for node in nodes if isinstance(node, ast.Import) for each in node.names]
    modules = {each.name for each in plain}
    yield from modules & CLOCKS
    for node in nodes:
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                used = {each.name for each in names}
                yield from (f"{module}.{name}" for name in used if module in CLOCKS)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in modules:
                used = {name}
            case _:
                continue
        if module in CHANCE:
            yield from (f"{module}.{name}" for name in used - CHANCE[module])
        elif module == "os":
            yield from (f"os.{name}" for name in used & {"urandom", "times"})


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_that_rehearsals_use_knows_neither_clocks_nor_chance(path: Path) -> None:
    assert list(offences(ast.parse(path.read_text()))) == []
