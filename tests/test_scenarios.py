"""Every scenario comes out as it expects, and would not if it expected anything else."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar, get_args

import pytest
from attrs import evolve, frozen
from tests.verdicts import DEFINITIONS, SCENARIOS, expected

from callboard.events import Event, Health, Result, Status
from callboard.flow.proof import Outcome
from callboard.report import Run, fold
from callboard.simulation.expectation import Calls, Mismatch, compare
from callboard.simulation.judgement import judge
from callboard.simulation.pattern import Pattern
from callboard.simulation.production import Production
from callboard.simulation.scenario import Expectations, ExpectedHopeless
from callboard.simulation.simulator import Outcome as Ending

T = TypeVar("T")

FILES = sorted(SCENARIOS.rglob("*.scenario.yaml"))
FEW_SEEDS = 2
LARGE = {"thousand"}
"""Scenarios whose rehearsal is long because their group is large."""


def params(*, large: bool) -> list[object]:
    """The scenario files as parameters, large ones marked as long or left out."""
    return [
        pytest.param(
            path,
            id=name(path),
            marks=[pytest.mark.long] if name(path) in LARGE else [],
        )
        for path in FILES
        if large or name(path) not in LARGE
    ]


def name(path: Path) -> str:
    return path.name.removesuffix(".scenario.yaml")


@pytest.mark.parametrize("path", params(large=True))
def test_a_scenario_comes_out_as_it_expects(path: Path) -> None:
    production = Production.load(path)
    found = judge(production, production.scenario.seeds[:FEW_SEEDS])
    assert found.holds, found.text
    assert production.warnings == ()


@pytest.mark.long
@pytest.mark.parametrize("path", params(large=False))
def test_a_scenario_comes_out_as_it_expects_with_each_of_its_seeds(path: Path) -> None:
    found = judge(path)
    assert found.holds, found.text


@pytest.mark.parametrize("path", params(large=True))
def test_a_scenario_expects_of_the_check_what_stands_at_the_end_of_its_definition(
    path: Path,
) -> None:
    scenario = Production.load(path).scenario
    assert Path(scenario.definition) in DEFINITIONS
    assert scenario.check == expected(Path(scenario.definition))


def test_every_kind_of_group_that_testers_write_has_a_scenario() -> None:
    assert {name(path) for path in FILES} >= {
        "demo",  # client and server
        "iperf",
        "barrier",
        "peers",
        "delayed-start",
        "start-data",
        "essential",
        "circle",
        "ssh-guests",
        "lxc-pair",
        "flaky-boot",
        "thousand",
        "two-vlans",
    }


@frozen
class Rehearsed:
    """A scenario rehearsed once; its events, and what they come to."""

    production: Production
    outcome: Ending
    run: Run
    events: tuple[Event, ...]

    def judged(self, expect: Expectations) -> tuple[Mismatch, ...]:
        """What of the rehearsal is not as expected."""
        calls = Calls(expect.order)
        for event in self.events:
            calls(event)
        return compare(expect, self.outcome, self.run, calls)


@cache
def rehearsed(path: Path) -> Rehearsed:
    production = Production.load(path)
    events: list[Event] = []
    outcome = production.rehearsal.run(production.scenario.seeds[0], [events.append])
    return Rehearsed(production, outcome, fold(events), tuple(events))


def mistaken(expect: Expectations, roles: set[str]) -> Iterator[tuple[str, Expectations]]:
    """Other expectations, each of which is wrong in one place if `expect` is right."""
    if expect.status is not None:
        other: Status = "incomplete" if expect.status == "complete" else "complete"
        yield "status", evolve(expect, status=other)
    if expect.exit_code is not None:
        yield "exit-code", evolve(expect, exit_code=expect.exit_code + 1)
    for number, health in enumerate(expect.health):
        words: tuple[Health, ...] = get_args(Health)
        for word in words if isinstance(health.health, str) else ():
            if word != health.health:
                wrong = replaced(expect.health, number, evolve(health, health=word))
                yield f"health {number} {word}", evolve(expect, health=wrong)
        if not isinstance(health.health, str):
            fewer = {word: count - 1 for word, count in health.health.items()}
            wrong = replaced(expect.health, number, evolve(health, health=fewer))
            yield f"health {number} counts", evolve(expect, health=wrong)
    for number, error in enumerate(expect.errors):
        for kind in {"JobError", None} - {error.error}:
            wrong_errors = replaced(expect.errors, number, evolve(error, error=kind))
            yield f"errors {number} {kind}", evolve(expect, errors=wrong_errors)
    for number, result in enumerate(expect.results):
        other_result: Result = "fail" if result.result == "pass" else "pass"
        for wrong_result in (
            evolve(result, result=other_result),
            evolve(result, case=f"{result.case}x"),
        ):
            wrong_results = replaced(expect.results, number, wrong_result)
            yield f"results {number}", evolve(expect, results=wrong_results)
    if expect.hopeless is not None:
        named = {each.role for each in expect.hopeless}
        for each in expect.hopeless:
            fewer_roles = tuple(one for one in expect.hopeless if one != each)
            yield f"hopeless without {each.role}", evolve(expect, hopeless=fewer_roles)
        for role in roles - named:
            more = (*expect.hopeless, ExpectedHopeless(role, expect.places["hopeless"]))
            yield f"hopeless with {role}", evolve(expect, hopeless=more)
    for number in range(len(expect.order) - 1):
        first, second = expect.order[number : number + 2]
        swapped = (*expect.order[:number], second, first, *expect.order[number + 2 :])
        yield f"order {number} swapped", evolve(expect, order=swapped)
        never = replaced(expect.order, number, evolve(first, call=Pattern("lava-wait never")))
        yield f"order {number} never", evolve(expect, order=never)


def replaced(parts: tuple[T, ...], number: int, part: T) -> tuple[T, ...]:
    return (*parts[:number], part, *parts[number + 1 :])


@pytest.mark.parametrize("path", params(large=False))
def test_the_judge_notices_every_mistake_in_what_a_scenario_expects(path: Path) -> None:
    once = rehearsed(path)
    expect = once.production.scenario.expect
    assert once.judged(expect) == ()
    roles = {role.name for role in once.production.given.roles}
    duration = expect.duration
    assert duration is not None, "each scenario bounds its duration"
    bounds = (
        evolve(duration, at_most_s=once.outcome.duration_s / 2),
        evolve(duration, at_least_s=once.outcome.duration_s * 2, at_most_s=None),
    )
    mistakes = [
        *mistaken(expect, roles),
        *((f"duration {each}", evolve(expect, duration=each)) for each in bounds),
    ]
    missed = [what for what, wrong in mistakes if len(once.judged(wrong)) == 0]
    assert missed == []
    assert len(mistakes) >= 10


@pytest.mark.parametrize("path", params(large=False))
def test_the_judge_notices_a_wrong_expectation_of_the_check(path: Path) -> None:
    production = Production.load(path)
    other: Outcome = "deadlocks" if production.scenario.check == "completes" else "completes"
    wrong = Production(evolve(production.scenario, check=other), production.given)
    assert production.check() is None
    found = wrong.check()
    assert found is not None
    assert found.place == production.scenario.places["check"]


def test_a_large_group_is_judged_like_a_small_one() -> None:
    production = Production.load(SCENARIOS / "thousand.scenario.yaml")
    [scale] = production.scenario.scale
    [server, client] = production.scenario.expect.health
    small = evolve(
        production.scenario,
        scale=(evolve(scale, count=9),),
        expect=evolve(
            production.scenario.expect, health=(server, evolve(client, health={"complete": 9}))
        ),
    )
    found = judge(Production(small, production.given))
    assert found.holds, found.text
