"""Compares a model with the group that it is for."""

from collections.abc import Callable, Iterator
from typing import assert_never

from callboard.definition.diagnostics import Diagnostic
from callboard.simulation.cast import Cast, Part
from callboard.simulation.model import (
    ActionRule,
    ConditionRule,
    LoopRule,
    Model,
    Rule,
    StepRule,
    Transfer,
)
from callboard.simulation.pattern import Pattern
from callboard.simulation.validation.critic import Critic, at, shown


def validate_model(model: Model, cast: Cast) -> tuple[Diagnostic, ...]:
    """What is wrong with a model, given the group that it is for: rules that match nothing."""
    critic = Critic.of(model.source, cast)
    for link in model.links:
        for role in link.ends:
            critic.knows(role, link.place, "a rule of `links`", "a job without roles has no links")
    rules: tuple[Rule, ...] = (*model.actions, *model.steps, *model.conditions, *model.loops)
    for rule in rules:
        _validate(rule, critic)
    return critic.findings.diagnostics()


def _validate(rule: Rule, critic: Critic) -> None:
    subject, pattern, names = _subject(rule)
    if not critic.knows(rule.role, at(rule.places, "role", rule.place), f"the rule for {subject}"):
        return
    parts = critic.cast.of(rule.role)
    if not _knows_test(rule, parts, critic):
        return
    there = [name for part in parts for name in names(part)]
    if not any(map(rule.means, there)):
        elsewhere = [
            part.role
            for part in critic.cast.parts
            if part not in parts and any(map(rule.means, names(part)))
        ]
        who = f"no node of `{rule.role}`" if rule.role else "nobody"
        hint = critic.suggestion(pattern.text, there, elsewhere)
        critic.error("CB211", rule.place, f"{who} comes to {subject}", hint)
    elif isinstance(rule, ConditionRule):
        _count_ways(rule, parts, critic)
    elif isinstance(rule, StepRule) and rule.transfers is not None:
        _find_receiver(rule, rule.transfers, parts, critic)


def _subject(rule: Rule) -> tuple[str, Pattern, Callable[[Part], Iterator[str]]]:
    """What a rule is about, in words and as a pattern; and what there is of the kind."""
    match rule:
        case ActionRule(action=pattern):
            return f"the action {shown(pattern.text)}", pattern, lambda part: iter(part.actions)
        case StepRule(step=pattern):
            return (
                f"the step {shown(pattern.text)}",
                pattern,
                lambda part: (text for test, text in part.steps if _is_in(rule, test)),
            )
        case ConditionRule(condition=pattern):
            return (
                f"the condition {shown(pattern.text)}",
                pattern,
                lambda part: (fork.condition for fork in part.forks if _is_in(rule, fork.test)),
            )
        case LoopRule(loop=pattern):
            return (
                f"the loop {shown(pattern.text)}",
                pattern,
                lambda part: (text for test, text in part.loops if _is_in(rule, test)),
            )
        case _:
            assert_never(rule)


def _is_in(rule: StepRule | ConditionRule | LoopRule, test: str) -> bool:
    return rule.test is None or rule.test.matches(test)


def _knows_test(rule: Rule, parts: tuple[Part, ...], critic: Critic) -> bool:
    """Whether the test that a rule names is there; says so if not."""
    if isinstance(rule, ActionRule) or rule.test is None:
        return True
    there = [test for part in parts for test in part.tests]
    if any(map(rule.test.matches, there)):
        return True
    elsewhere = [
        part.role
        for part in critic.cast.parts
        if part not in parts and any(map(rule.test.matches, part.tests))
    ]
    who = f"`{rule.role}` has" if rule.role else "the group has"
    hint = critic.suggestion(rule.test.text, there, elsewhere)
    message = f"{who} no test {shown(rule.test.text)}"
    critic.error("CB211", at(rule.places, "test", rule.place), message, hint)
    return False


def _find_receiver(
    rule: StepRule, transfer: Transfer, parts: tuple[Part, ...], critic: Critic
) -> None:
    """Says so if a node would transfer something to nobody."""
    place = at(rule.places, "transfers", rule.place)
    what = f"`transfers` of the rule for the step {shown(rule.step.text)}"
    if not critic.knows(transfer.to, place, what, "a job without roles has no other nodes"):
        return
    to = critic.cast.part(transfer.to)
    doers = [each for each in parts if any(map(rule.means, (text for _, text in each.steps)))]
    if to is not None and to.count == 1 and doers == [to]:
        message = f"{what} names the role `{transfer.to}`, whose only node runs the step itself"
        critic.error("CB213", place, message, "name the role at the other end")


def _count_ways(rule: ConditionRule, parts: tuple[Part, ...], critic: Critic) -> None:
    forks = (fork for part in parts for fork in part.forks)
    meant = [fork for fork in forks if _is_in(rule, fork.test) and rule.means(fork.condition)]
    fewest = min(meant, key=lambda fork: fork.ways)
    given = len(rule.ways.weights)
    if given > fewest.ways:
        key = "way" if "way" in rule.places else "ways"
        what = f"way {given} is taken" if key == "way" else f"{given} weights are given"
        message = f"the condition {shown(fewest.condition)} has {fewest.ways} ways, but {what}"
        critic.error("CB212", at(rule.places, key, rule.place), message)
