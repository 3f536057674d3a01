"""Reads what a scenario expects of its rehearsals."""

from collections.abc import Iterator, Mapping
from typing import get_args

from callboard.actors.errors import (
    Bug,
    Canceled,
    ConfigurationError,
    InfrastructureError,
    JobError,
    LAVATimeoutError,
    MultinodeTimeout,
    TestError,
)
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.tree import MapNode, Node, ScalarNode, kind
from callboard.events import Health, Result, Status
from callboard.simulation.pattern import Pattern
from callboard.simulation.reading.document import place_of, places_of
from callboard.simulation.reading.quantity import read_seconds
from callboard.simulation.scenario import (
    Expectations,
    ExpectedCall,
    ExpectedDuration,
    ExpectedError,
    ExpectedHealth,
    ExpectedHopeless,
    ExpectedResult,
)

_STATUSES: Mapping[str, Status] = {word: word for word in get_args(Status)}
_HEALTHS: Mapping[str, Health] = {word: word for word in get_args(Health)}
_RESULTS: Mapping[str, Result] = {word: word for word in get_args(Result)}
_ERRORS = {
    error.kind(): error.kind()
    for error in (
        InfrastructureError,
        JobError,
        TestError,
        LAVATimeoutError,
        MultinodeTimeout,
        Canceled,
        ConfigurationError,
        Bug,
    )
}
_WORST_EXIT_CODE = 4
_ROLE = "the name of a role"
_ORDER = "write `role: call`, for instance `client: lava-wait ready`"


def read_expectations(expect: Section) -> Expectations:
    """The expectations in a map; what is wrong goes to its findings."""
    found = Expectations(
        status=expect.choice("status", _STATUSES),
        exit_code=expect.integer("exit-code", minimum=0, maximum=_WORST_EXIT_CODE),
        health=tuple(_health(expect)),
        errors=tuple(_errors(expect)),
        results=tuple(_results(expect)),
        hopeless=_hopeless(expect),
        order=tuple(_order(expect)),
        duration=_duration(expect),
        places=places_of(expect),
    )
    expect.close(strict=True)
    return found


def _health(expect: Section) -> Iterator[ExpectedHealth]:
    for role, section, key, node in _by_role(expect, "health"):
        place = place_of(expect, node)
        if isinstance(node, MapNode) and role is not None:
            yield ExpectedHealth(role, _counts(section, role, node), place)
        elif health := section.choice(key, _HEALTHS):
            yield ExpectedHealth(role, health, place)


def _by_role(expect: Section, key: str) -> Iterator[tuple[str | None, Section, str, Node]]:
    """What is expected of each role, or of every job where no role is named.

    Each with the section and the key where it stands.
    """
    if isinstance(node := expect.get(key), ScalarNode):
        yield None, expect, key, node
        return
    roles = expect.section(key, f"`{key}`")
    if roles is not None:
        for role, _, value in roles.labels(_ROLE):
            yield role, roles, role, value


def _counts(roles: Section, role: str, node: MapNode) -> Mapping[Health, int]:
    """How many jobs of a role end in each way."""
    section = Section(node, roles.findings, f"`health` of `{role[:60]}`")
    counts: dict[Health, int] = {}
    for name, key, _ in section.labels("a health"):
        health = _HEALTHS.get(name)
        count = section.integer(name, minimum=0)
        if health is None:
            hint = did_you_mean(name, _HEALTHS) or f"it can be {listed(_HEALTHS, 'or')}"
            section.error("CB024", key, f"no job ends with the health `{name[:60]}`", hint)
        elif count is not None:
            counts[health] = count
    if not node.pairs:
        section.error("CB026", node, f"{section.title} is empty", "write `{complete: 2}`")
    return counts


def _errors(expect: Section) -> Iterator[ExpectedError]:
    for role, section, key, node in _by_role(expect, "errors"):
        place = place_of(expect, node)
        if isinstance(node, ScalarNode) and node.value is None:
            yield ExpectedError(role, None, place)
        elif error := section.choice(key, _ERRORS):
            yield ExpectedError(role, error, place)


def _results(expect: Section) -> Iterator[ExpectedResult]:
    results = expect.section("results", "`results`")
    if results is None:
        return
    for name, key, node in results.labels(_ROLE):
        if isinstance(node, ScalarNode):
            yield from _result(results, None, name, key)
            continue
        cases = results.section_of(node, f"`results` of `{name[:60]}`")
        if cases is None:
            continue
        for case, at, _ in cases.labels("the name of a result"):
            yield from _result(cases, name, case, at)


def _result(
    section: Section, role: str | None, name: str, key: ScalarNode
) -> Iterator[ExpectedResult]:
    result = section.choice(name, _RESULTS)
    suite, slash, case = name.partition("/")
    if not (suite and slash and case):
        message = f"`{name[:60]}` names no test case of a suite"
        hint = "write `suite/case`, for instance `0_serve/lava-sync-done`"
        section.error("CB215", key, message, hint)
    elif result is not None:
        place = place_of(section, section.get(name) or key)
        yield ExpectedResult(role, suite, case, result, place)


def _hopeless(expect: Section) -> tuple[ExpectedHopeless, ...] | None:
    if "hopeless" not in expect:
        return None
    items = expect.items("hopeless")
    named = [(expect.text_of(item, "each item of `hopeless`"), item) for item in items]
    return tuple(ExpectedHopeless(role, place_of(expect, at)) for role, at in named if role)


def _order(expect: Section) -> Iterator[ExpectedCall]:
    for item in expect.items("order"):
        words = _words(item)
        if words is None or not all(words):
            message = f"each item of `order` must be a role and its call, but is {kind(item)}"
            expect.error("CB215", item, message, _ORDER)
        else:
            role, call = words
            yield ExpectedCall(role, Pattern(call), place_of(expect, item))


def _words(item: Node) -> tuple[str, str] | None:
    """Role and call; without quotes YAML reads them as a map of one entry."""
    match item:
        case MapNode(pairs=((key, ScalarNode(value=str() as call)),)):
            return key.text.strip(), call.strip()
        case ScalarNode(value=str() as text) if ": " in text:
            role, _, call = text.partition(": ")
            return role.strip(), call.strip()
        case _:
            return None


def _duration(expect: Section) -> ExpectedDuration | None:
    bounds = expect.section("duration", "`duration`")
    if bounds is None:
        return None
    least_s = read_seconds(bounds, "at-least") or 0.0
    most_s = read_seconds(bounds, "at-most")
    bounds.close(strict=True)
    if most_s is not None and least_s > most_s:
        message = "`at-least` is more than `at-most`, so that no duration fits"
        bounds.error("CB216", bounds.get("at-least") or bounds.node, message)
    return ExpectedDuration(place_of(bounds, bounds.node), least_s, most_s)
