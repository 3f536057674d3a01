"""Reads the model of a rehearsal."""

import os
from collections.abc import Callable
from typing import TypeVar

from callboard.definition.links_reading import read_links
from callboard.definition.reader import Section
from callboard.definition.source import decode, read_source
from callboard.definition.tree import ListNode, Node, ScalarNode, kind
from callboard.definition.units import read_size
from callboard.simulation.distribution import NONE
from callboard.simulation.model import (
    ActionRule,
    ConditionRule,
    LoopRule,
    Model,
    StepRule,
    Transfer,
    Ways,
)
from callboard.simulation.pattern import ANY
from callboard.simulation.reading.document import Found, place_of, places_of, read_document
from callboard.simulation.reading.quantity import (
    number,
    read_distribution,
    read_pattern,
    read_probability,
)

Rule = TypeVar("Rule")

WAYS_LIMIT = 1_000
"""Ways of a condition, at most."""

_EXAMPLE = "write for instance `actions: [{action: auto-login-action, takes: 20}]`"


def read_model(path: str | os.PathLike[str]) -> Found[Model]:
    """The model in a file, None if it has any error, and all that is wrong with it."""
    return read_document(read_source(path), "the model", _EXAMPLE, model_in)


def read_model_text(text: str | bytes, file: str = "<string>") -> Found[Model]:
    """Like `read_model`, for a model that is not in a file; `file` stands in messages."""
    return read_document(decode(text, file), "the model", _EXAMPLE, model_in)


def model_in(section: Section) -> Model:
    """The model in a map; what is wrong goes to the findings of the section."""
    model = Model(
        actions=_rules(section, "actions", "action", _action),
        steps=_rules(section, "steps", "step", _step),
        conditions=_rules(section, "conditions", "condition", _condition),
        loops=_rules(section, "loops", "loop", _loop),
        latency=read_distribution(section, "latency") or NONE,
        links=read_links(section),
        source=section.findings.source,
    )
    section.close(strict=True)
    return model


def _rules(
    section: Section, key: str, subject: str, read: Callable[[Section], Rule | None]
) -> tuple[Rule, ...]:
    rules = []
    for node in section.items(key):
        rule = section.section_of(node, f"each item of `{key}`")
        if rule is None:
            continue
        rule.title = _title(rule, subject)
        rules.append(read(rule))
        rule.close(strict=True)
    return tuple(rule for rule in rules if rule is not None)


def _title(rule: Section, subject: str) -> str:
    """The rule by what it is about."""
    node = rule.get(subject)
    if isinstance(node, ScalarNode) and node.text.strip():
        return f"the rule for `{node.text.strip().splitlines()[0][:40]}`"
    return f"the rule for {'an' if subject[0] in 'aeiou' else 'a'} {subject}"


def _action(rule: Section) -> ActionRule:
    action = read_pattern(rule, "action", required=True)
    role = rule.string("role")
    takes = read_distribution(rule, "takes")
    fails = read_probability(rule, "fails")
    _needs_effect(rule, "takes", "fails")
    place = place_of(rule, rule.get("action") or rule.node)
    return ActionRule(action or ANY, place, role, takes, fails, places_of(rule))


def _step(rule: Section) -> StepRule:
    step = read_pattern(rule, "step", required=True)
    test = read_pattern(rule, "test")
    role = rule.string("role")
    takes = read_distribution(rule, "takes")
    fails = read_probability(rule, "fails")
    transfers = _transfer(rule)
    _needs_effect(rule, "takes", "fails", "transfers")
    place = place_of(rule, rule.get("step") or rule.node)
    return StepRule(step or ANY, place, test, role, takes, fails, transfers, places_of(rule))


def _transfer(rule: Section) -> Transfer | None:
    section = rule.section("transfers", f"`transfers` of {rule.title}")
    if section is None:
        return None
    to = section.string("to", required=True)
    size_bytes = read_size(section, "size", required=True)
    section.close(strict=True)
    return None if to is None or size_bytes is None else Transfer(to, size_bytes)


def _condition(rule: Section) -> ConditionRule | None:
    condition = read_pattern(rule, "condition", required=True)
    test = read_pattern(rule, "test")
    role = rule.string("role")
    ways = _ways(rule)
    if condition is None or ways is None:
        return None
    place = place_of(rule, rule.get("condition") or rule.node)
    return ConditionRule(condition, ways, place, test, role, places_of(rule))


def _loop(rule: Section) -> LoopRule | None:
    loop = read_pattern(rule, "loop", required=True)
    test = read_pattern(rule, "test")
    role = rule.string("role")
    turns = read_distribution(rule, "turns", required=True)
    if loop is None or turns is None:
        return None
    place = place_of(rule, rule.get("loop") or rule.node)
    return LoopRule(loop, turns, place, test, role, places_of(rule))


def _needs_effect(rule: Section, *keys: str) -> None:
    if not any(key in rule for key in keys):
        said = " nor ".join(f"`{key}`" for key in keys)
        near = next((hint for hint in map(rule.misspelt, keys) if hint), None)
        rule.error("CB204", rule.node, f"{rule.title} has neither {said}", near)


def _ways(rule: Section) -> Ways | None:
    if "ways" in rule and "way" in rule:
        hint = "`way` fixes one way; `ways` gives each a weight"
        rule.error("CB205", rule.key("way"), f"{rule.title} has both `ways` and `way`", hint)
        rule.ignore("ways", "way")
        return None
    if "way" in rule:
        way = rule.integer("way", minimum=1, maximum=WAYS_LIMIT, code="CB205")
        return None if way is None else Ways((*[0.0] * (way - 1), 1.0))
    rule.ignore("ways", "way")
    node = rule.get("ways")
    if node is None:
        _needs_effect(rule, "ways", "way")
        return None
    return _weights(rule, node)


def _weights(rule: Section, node: Node) -> Ways | None:
    what = f"`ways` of {rule.title}"
    if not isinstance(node, ListNode) or not 1 <= len(node.items) <= WAYS_LIMIT:
        given = f"a list of {len(node.items):,}" if isinstance(node, ListNode) else kind(node)
        message = f"{what} must be a list of weights, but is {given}"
        rule.error("CB205", node, message, "write for instance `[0.3, 0.7]`, or `way: 1`")
        return None
    weights = [number(item) for item in node.items]
    for item, weight in zip(node.items, weights, strict=True):
        if weight is None or not 0 <= weight <= 1_000_000:
            message = f"{what} has a weight that is {kind(item)}"
            rule.error("CB205", item, message, "weights are numbers from 0 to 1,000,000")
            return None
    if not any(weights):
        rule.error("CB205", node, f"{what} are all 0", "one of the ways must be possible")
        return None
    return Ways(tuple(float(weight or 0) for weight in weights))
