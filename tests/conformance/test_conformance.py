"""What LAVA's documentation says of MultiNode, rule by rule."""

from collections.abc import Callable

import pytest
from tests.actors.drivers.hosting import needs_sshd
from tests.conformance.page import HOLDS, PAGE, page, shown
from tests.conformance.placements import Elsewhere, Machines, OneProcess, Placement, VirtualTime
from tests.conformance.rule import DEFINITIONS, Rule, complaints
from tests.conformance.rules import RULES
from tests.conformance.systems import CONTAINERS, GUESTS
from tests.system.harness import Callboard

ONE_PROCESS, VIRTUAL_TIME = OneProcess(), VirtualTime()


def _marks(rule: Rule) -> list[pytest.MarkDecorator]:
    if rule in GUESTS.rules:
        return [needs_sshd]
    return [pytest.mark.needs_lxc("busybox")] if rule in CONTAINERS.rules else []


def _rules(
    placement: Placement, marked: Callable[[Rule], list[pytest.MarkDecorator]]
) -> pytest.MarkDecorator:
    rules = [rule for rule in RULES if rule.name not in placement.excepted]
    return pytest.mark.parametrize(
        "rule", [pytest.param(each, id=each.name, marks=marked(each)) for each in rules]
    )


def _complaints(placement: Placement, rule: Rule, board: Callboard) -> list[str]:
    ran = placement.run(rule, board)
    return complaints(placement.expected(rule, ran), ran)


@_rules(ONE_PROCESS, _marks)
def test_callboard_keeps_the_rule(board: Callboard, rule: Rule) -> None:
    assert _complaints(ONE_PROCESS, rule, board) == []


@_rules(VIRTUAL_TIME, lambda _rule: [])
def test_callboard_keeps_the_rule_in_virtual_time(board: Callboard, rule: Rule) -> None:
    assert _complaints(VIRTUAL_TIME, rule, board) == []


@_rules(Machines(""), _marks)
def test_callboard_keeps_the_rule_on_many_machines(
    machines: Machines, board: Callboard, rule: Rule
) -> None:
    assert _complaints(machines, rule, board) == []


def _sampled(rule: Rule) -> list[pytest.MarkDecorator]:
    """What is beyond the coordinator is the same as in one process: a few rules show it."""
    return _marks(rule) if RULES.index(rule) % 6 == 0 else [*_marks(rule), pytest.mark.long]


@_rules(Elsewhere(""), _sampled)
def test_callboard_keeps_the_rule_with_a_coordinator_elsewhere(
    elsewhere: Elsewhere, board: Callboard, rule: Rule
) -> None:
    assert _complaints(elsewhere, rule, board) == []


def test_each_rule_has_one_definition_which_says_it_first() -> None:
    assert sorted(DEFINITIONS.iterdir()) == sorted(rule.path for rule in RULES)
    for rule in RULES:
        assert rule.path.read_text().startswith(rule.header), rule.name


def test_the_page_has_the_rules_of_today_and_says_that_they_hold() -> None:
    text = PAGE.read_text()
    results = shown(text)
    assert results == {rule.name: HOLDS for rule in RULES}, "python -m tests.conformance writes it"
    assert text == page(results)
