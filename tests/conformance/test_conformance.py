"""What LAVA's documentation says of MultiNode, rule by rule."""

import pytest
from tests.conformance.page import HOLDS, PAGE, page, shown
from tests.conformance.rule import DEFINITIONS, Rule, complaints, run
from tests.conformance.rules import RULES
from tests.system.harness import Callboard


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_callboard_keeps_the_rule(callboard: Callboard, rule: Rule) -> None:
    assert complaints(rule, run(rule, callboard)) == []


def test_each_rule_has_one_definition_which_says_it_first() -> None:
    assert sorted(DEFINITIONS.iterdir()) == sorted(rule.path for rule in RULES)
    for rule in RULES:
        assert rule.path.read_text().startswith(rule.header), rule.name


def test_the_page_has_the_rules_of_today_and_says_that_they_hold() -> None:
    text = PAGE.read_text()
    results = shown(text)
    assert results == {rule.name: HOLDS for rule in RULES}, "python -m tests.conformance writes it"
    assert text == page(results)
