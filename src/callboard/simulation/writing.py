"""Faults as the text of a faults file."""

from collections.abc import Iterable
from typing import assert_never

from callboard.definition.dumper import dump
from callboard.definition.links import Conditions
from callboard.definition.model import Plain
from callboard.simulation.distribution import (
    Distribution,
    Exponential,
    Fixed,
    Normal,
    Triangular,
    Uniform,
)
from callboard.simulation.faults import (
    AtAction,
    AtCall,
    AtStep,
    AtTime,
    Crash,
    Cut,
    Delay,
    Draw,
    Fault,
    Hang,
    Heal,
    Impair,
    Kill,
    LinkFault,
    Moment,
    Noise,
    Partition,
    Reboot,
    Refuse,
    Rule,
    Slow,
    Target,
)

_Keys = dict[str, Plain]


def faults_text(rules: Iterable[Rule]) -> str:
    """The text of a faults file with these rules, which reads as the same ones."""
    return dump({"faults": [_rule(rule) for rule in rules]})


def _rule(rule: Rule) -> Plain:
    if isinstance(rule, Draw):
        drawn: _Keys = {"draw": list(rule.kinds), "rate": rule.rate, "within": rule.within_s}
        return drawn | ({} if rule.role is None else {"role": rule.role})
    if isinstance(rule, Crash):
        return {"crash": "coordinator", "at": _moment(rule.at)} | _time("for", rule.lasts)
    name = type(rule).__name__.lower()
    targets = _targets(rule.targets)
    if isinstance(rule, LinkFault) and rule.between:
        targets = {"between": [targets, _targets(rule.between)]}
    return {name: targets} | _when(rule) | _how(rule)


def _when(fault: Fault) -> _Keys:
    at = None if isinstance(fault, Refuse) else fault.at
    return {} if at is None else {"at": _moment(at)}


def _how(fault: Fault) -> _Keys:
    match fault:
        case Kill() | Heal() | Crash():
            return {}
        case Impair(conditions=conditions, lasts=lasts):
            return {"with": _conditions(conditions)} | _time("for", lasts)
        case Hang(lasts=lasts) | Partition(lasts=lasts) | Cut(lasts=lasts):
            return _time("for", lasts)
        case Reboot(takes=takes):
            return _time("takes", takes)
        case Slow(factor=factor, lasts=lasts):
            return {"factor": factor} | _time("for", lasts)
        case Noise(probability=probability, lasts=lasts):
            return {"probability": probability} | _time("for", lasts)
        case Delay(by=by, probability=probability, lasts=lasts):
            return _time("by", by) | {"probability": probability} | _time("for", lasts)
        case Refuse(times=times):
            return {} if times is None else {"times": times}
        case _:
            assert_never(fault)


def _conditions(like: Conditions) -> Plain:
    if like.cut:
        return {"cut": True}
    rate: _Keys = {} if like.rate_bps is None else {"rate": f"{like.rate_bps}bit"}
    return {"delay": like.delay_s, "jitter": like.jitter_s, "loss": like.loss} | rate


def _targets(targets: Iterable[Target]) -> Plain:
    found = [_target(target) for target in targets]
    return found[0] if len(found) == 1 else found


def _target(target: Target) -> Plain:
    if target.any:
        return {"any": target.role}
    if target.node is None:
        return target.role
    return ({"role": target.role} if target.role else {}) | {"node": target.node}


def _moment(moment: Moment) -> Plain:
    match moment:
        case AtTime(time):
            return _time("time", time)
        case AtAction(action, occurrence=occurrence):
            return {"action": action.text} | _occurrence(occurrence)
        case AtStep(step, occurrence=occurrence):
            return {"step": step.text} | _occurrence(occurrence)
        case AtCall(call, occurrence=occurrence):
            return {"call": call.text} | _occurrence(occurrence)
        case _:
            assert_never(moment)


def _occurrence(number: int) -> _Keys:
    return {} if number == 1 else {"occurrence": number}


def _time(key: str, time: Distribution | None) -> _Keys:
    match time:
        case None:
            return {}
        case Fixed(value):
            return {key: value}
        case Uniform(low, high):
            return {key: {"uniform": [low, high]}}
        case Normal(mean, deviation):
            return {key: {"normal": [mean, deviation]}}
        case Exponential(mean):
            return {key: {"exponential": mean}}
        case Triangular(low, mode, high):
            return {key: {"triangular": [low, mode, high]}}
        case _:
            assert_never(time)
