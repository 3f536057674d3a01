"""Compares a scenario with its definition."""

from collections.abc import Mapping

from callboard.definition.diagnostics import Diagnostic
from callboard.simulation.cast import Cast
from callboard.simulation.scenario import (
    Expectations,
    ExpectedCall,
    ExpectedHealth,
    ExpectedResult,
    Scenario,
)
from callboard.simulation.validation.critic import Critic, shown
from callboard.simulation.validation.faults import validate_faults
from callboard.simulation.validation.model import validate_model

LAVA = "lava"
"""The suite of LAVA's own results."""


def validate_scenario(scenario: Scenario, cast: Cast) -> tuple[Diagnostic, ...]:
    """What is wrong with a scenario, its model and faults, given the group that it is for.

    Args:
        scenario: The scenario.
        cast: The group of its definition, of the size that `scenario.counts` gives.
    """
    critic = Critic.of(scenario.source, cast)
    for each in scenario.scale:
        critic.knows(each.role, each.place, "`scale`")
    _validate(scenario.expect, critic)
    found = (
        *critic.findings.diagnostics(),
        *validate_model(scenario.model, cast),
        *validate_faults(scenario.faults, cast),
    )
    return tuple(sorted(found, key=lambda each: _order(each, scenario)))


def _order(found: Diagnostic, scenario: Scenario) -> tuple[bool, str, int, int]:
    """The scenario itself first, then the other files, each from its beginning."""
    place = found.place
    if place is None:
        return (True, "", 0, 0)
    return (place.file != scenario.file, place.file, place.line, place.column)


def _validate(expect: Expectations, critic: Critic) -> None:
    for health in expect.health:
        if critic.knows(health.role, health.place, "`health`"):
            _count(health, critic)
    for error in expect.errors:
        critic.knows(error.role, error.place, "`errors`")
    for result in expect.results:
        if critic.knows(result.role, result.place, "`results`"):
            _find_suite(result, critic)
    for hopeless in expect.hopeless or ():
        critic.knows(hopeless.role, hopeless.place, "`hopeless`")
    for call in expect.order:
        if critic.knows(call.role, call.place, "`order`"):
            _find_call(call, critic)


def _count(expected: ExpectedHealth, critic: Critic) -> None:
    if not isinstance(expected.health, Mapping):
        return
    count = sum(part.count for part in critic.cast.of(expected.role))
    given = sum(expected.health.values())
    if given != count:
        message = f"`health` counts {given:,} jobs of `{expected.role}`, which has {count:,}"
        critic.error("CB216", expected.place, message)


def _find_suite(expected: ExpectedResult, critic: Critic) -> None:
    if expected.suite == LAVA:
        return
    parts = critic.cast.of(expected.role)
    without = next((part for part in parts if expected.suite not in part.tests), None)
    if without is None:
        return
    who = f"`{without.role}`" if without.role else "the job"
    message = f"{who} has no suite {shown(expected.suite)}"
    others = [part.role for part in critic.cast.parts if expected.suite in part.tests]
    tests = [*without.tests, LAVA]
    critic.error("CB216", expected.place, message, critic.suggestion(expected.suite, tests, others))


def _find_call(expected: ExpectedCall, critic: Critic) -> None:
    calls = [call for part in critic.cast.of(expected.role) for call in part.calls]
    if any(map(expected.call.matches, calls)):
        return
    others = [
        part.role for part in critic.cast.parts if any(map(expected.call.matches, part.calls))
    ]
    message = f"no node of `{expected.role}` ever calls {shown(expected.call.text)}"
    hint = critic.suggestion(expected.call.text, calls, others)
    critic.error("CB216", expected.place, message, hint)
