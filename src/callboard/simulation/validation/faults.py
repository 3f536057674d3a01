"""Compares faults with the group that they happen to."""

from collections.abc import Iterable, Iterator
from typing import assert_never

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Place
from callboard.simulation.cast import Cast, Part
from callboard.simulation.distribution import NONE
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
    Faults,
    Hang,
    Impair,
    LinkFault,
    Moment,
    Noise,
    Partition,
    Refuse,
    Slow,
    Target,
)
from callboard.simulation.pattern import Pattern
from callboard.simulation.validation.critic import Critic, at, shown

_OF_MESSAGES = (Noise, Delay, Partition)


def validate_faults(faults: Faults, cast: Cast) -> tuple[Diagnostic, ...]:
    """What is wrong with faults, given the group that they happen to.

    A role or node that isn't there is an error; a fault that never happens is a warning.
    """
    critic = Critic.of(faults.source, cast)
    for rule in faults.rules:
        if isinstance(rule, Draw):
            _validate_draw(rule, critic)
        else:
            _validate(rule, critic)
    return critic.findings.diagnostics()


def _validate_draw(draw: Draw, critic: Critic) -> None:
    role_at = at(draw.places, "role", draw.place)
    if critic.knows(draw.role, role_at, "the fault `draw`") and draw.rate == 0:
        rate_at = at(draw.places, "rate", draw.place)
        _never(critic, rate_at, "the fault `draw` has the rate 0", "it is never drawn")


def _validate(fault: Fault, critic: Critic) -> None:
    name = f"the fault `{type(fault).__name__.lower()}`"
    parts = critic.cast.parts
    if not isinstance(fault, Crash):
        known = [part for target in fault.targets for part in _part(target, name, critic)]
        if len(known) < len(fault.targets):
            return
        if isinstance(fault, LinkFault) and not _knows_links(fault, name, critic):
            return
        parts = tuple(dict.fromkeys(known))
    if not isinstance(fault, Refuse) and fault.at is not None:
        _validate_moment(fault.at, parts, name, critic)
    for reason in _reasons(fault, critic.cast):
        _never(critic, fault.place, f"{name} {reason}")


def _knows_links(fault: LinkFault, name: str, critic: Critic) -> bool:
    """Whether the other ends of links are there."""
    known = [part for target in fault.between for part in _part(target, name, critic)]
    return len(known) == len(fault.between)


def _part(target: Target, name: str, critic: Critic) -> Iterator[Part]:
    """The part of a target; none, and a finding, if there is no such node."""
    if not critic.knows(target.role, target.place, name, "write `{node: 1}`"):
        return
    part = critic.cast.part(target.role)
    if part is None:
        return
    if target.node is not None and target.node > part.count:
        nodes = f"{part.count} node" if part.count == 1 else f"{part.count:,} nodes"
        who = f"`{part.role}`" if part.role else "the job"
        message = f"{name} names node {target.node:,}, but {who} has {nodes}"
        critic.error("CB213", target.place, message, "nodes are counted from 1")
        return
    yield part


def _validate_moment(moment: Moment, parts: tuple[Part, ...], name: str, critic: Critic) -> None:
    match moment:
        case AtTime(time=time, place=place):
            ends_s = max((part.ends_s for part in parts), default=0)
            if time.least_s >= ends_s:
                hint = f"its jobs have ended after {ends_s:,g} seconds, their time-out"
                _never(critic, place, f"{name} comes too late", hint)
        case AtAction(action=pattern, place=place):
            _expect(pattern, place, "action", parts, critic)
        case AtStep(step=pattern, place=place):
            _expect(pattern, place, "step", parts, critic)
        case AtCall(call=pattern, place=place):
            _expect(pattern, place, "call", parts, critic)
        case _:
            assert_never(moment)


def _expect(
    pattern: Pattern, place: Place, kind: str, parts: tuple[Part, ...], critic: Critic
) -> None:
    """Warns if no node that the fault happens to ever comes to its moment."""
    there = [name for part in parts for name in _names(part, kind)]
    if any(map(pattern.matches, there)):
        return
    elsewhere = [
        part.role
        for part in critic.cast.parts
        if part not in parts and any(map(pattern.matches, _names(part, kind)))
    ]
    message = f"no node that the fault happens to comes to the {kind} {shown(pattern.text)}"
    _never(critic, place, message, critic.suggestion(pattern.text, there, elsewhere))


def _names(part: Part, kind: str) -> Iterable[str]:
    match kind:
        case "action":
            return part.actions
        case "step":
            return [text for _, text in part.steps]
        case _:
            return part.calls


def _reasons(fault: Fault, cast: Cast) -> Iterator[str]:
    """Why a fault has no effect, whatever its group does."""
    if not cast.roles and isinstance(fault, (Crash, *_OF_MESSAGES)):
        yield "never happens: a job without a group sends no messages"
    if isinstance(fault, (Noise, Delay)) and fault.probability == 0:
        yield "has the probability 0, so that it never happens"
    if not cast.roles and isinstance(fault, LinkFault):
        yield "never happens: a job without a group has no links"
    if isinstance(fault, (Hang, Slow, Cut, Impair, *_OF_MESSAGES)) and fault.lasts == NONE:
        yield "lasts no time at all"


def _never(critic: Critic, place: Place, message: str, hint: str | None = None) -> None:
    critic.warning("CB214", place, message, hint)
