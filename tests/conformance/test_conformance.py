"""What LAVA's documentation says of MultiNode, rule by rule."""

import pytest
from tests.actors.drivers.hosting import needs_sshd
from tests.conformance.page import HOLDS, PAGE, page, shown
from tests.conformance.rule import DEFINITIONS, Rule, complaints, run
from tests.conformance.rules import RULES
from tests.conformance.systems import CONTAINERS, GUESTS
from tests.system.harness import Callboard


def _param(rule: Rule) -> object:
    needs: list[pytest.MarkDecorator] = []
    if rule in GUESTS.rules:
        needs.append(needs_sshd)
    elif rule in CONTAINERS.rules:
        needs.append(pytest.mark.needs_lxc("busybox"))
    return pytest.param(rule, id=rule.name, marks=needs)


@pytest.mark.parametrize("rule", [_param(rule) for rule in RULES])
def test_callboard_keeps_the_rule(board: Callboard, rule: Rule) -> None:
    assert complaints(rule, run(rule, board)) == []


def test_each_rule_has_one_definition_which_says_it_first() -> None:
    assert sorted(DEFINITIONS.iterdir()) == sorted(rule.path for rule in RULES)
    for rule in RULES:
        assert rule.path.read_text().startswith(rule.header), rule.name


def test_the_page_has_the_rules_of_today_and_says_that_they_hold() -> None:
    text = PAGE.read_text()
    results = shown(text)
    assert results == {rule.name: HOLDS for rule in RULES}, "python -m tests.conformance writes it"
    assert text == page(results)
