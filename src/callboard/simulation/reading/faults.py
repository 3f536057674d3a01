"""Reads the faults of a rehearsal."""

import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from callboard.definition.links import UNDISTURBED
from callboard.definition.links_reading import read_conditions
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.source import decode, read_source
from callboard.definition.tree import ListNode, Node, kind
from callboard.simulation.distribution import NONE
from callboard.simulation.faults import (
    DRAWN_KINDS,
    REBOOT,
    Crash,
    Cut,
    Delay,
    Draw,
    DrawnKind,
    Duplicate,
    Faults,
    Hang,
    Heal,
    Impair,
    Kill,
    Lose,
    Noise,
    Partition,
    Reboot,
    Refuse,
    Reorder,
    Rule,
    Slow,
)
from callboard.simulation.reading.document import Found, place_of, places_of, read_document
from callboard.simulation.reading.quantity import (
    number,
    read_distribution,
    read_probability,
    read_seconds,
)
from callboard.simulation.reading.target import (
    read_ends,
    read_moment,
    read_targets,
    read_time,
)

_EXAMPLE = "write for instance `faults: [{kill: client, at: {time: 30}}]`"
_FACTOR_LIMIT = 1_000_000
_TIMES_LIMIT = 1_000_000


def read_faults(path: str | os.PathLike[str]) -> Found[Faults]:
    """The faults in a file, None if it has any error, and all that is wrong with it."""
    return read_document(read_source(path), "the faults file", _EXAMPLE, _file)


def read_faults_text(text: str | bytes, file: str = "<string>") -> Found[Faults]:
    """Like `read_faults`, for faults that are not in a file; `file` stands in messages."""
    return read_document(decode(text, file), "the faults file", _EXAMPLE, _file)


def _file(section: Section) -> Faults:
    section.required("faults", _EXAMPLE)
    faults = faults_in(section)
    section.close(strict=True)
    return faults


def faults_in(section: Section) -> Faults:
    """The faults under the key `faults` of a map; what is wrong goes to its findings."""
    rules = [_rule(section, node) for node in section.items("faults")]
    found = tuple(rule for rule in rules if rule is not None)
    return Faults(found, section.findings.source)


def _rule(section: Section, node: Node) -> Rule | None:
    fault = section.section_of(node, "each item of `faults`")
    if fault is None:
        return None
    kinds = [name for name in fault.names if name in _READERS]
    if len(kinds) != 1:
        _refuse(fault, kinds)
        return None
    fault.title = f"the fault `{kinds[0]}`"
    rule = _READERS[kinds[0]](fault)
    fault.close(strict=True)
    return rule


def _refuse(fault: Section, kinds: list[str]) -> None:
    """Says that a fault has not exactly one key that tells what happens."""
    if kinds:
        message = f"a fault names {listed(kinds)}, but can be one of them"
        fault.error("CB208", fault.key(kinds[1]), message, "begin another item with `-`")
        return
    near = next((hint for name in fault.names if (hint := did_you_mean(name, _READERS))), None)
    hint = near or f"it can be {listed(_READERS, 'or')}"
    fault.error("CB208", fault.node, "a fault does not say what happens", hint)


def _kill(fault: Section) -> Kill | None:
    targets, at = read_targets(fault, "kill"), read_moment(fault, required=True)
    place = place_of(fault, fault.node)
    return None if at is None else Kill(targets=targets, at=at, place=place)


def _hang(fault: Section) -> Hang | None:
    targets, at = read_targets(fault, "hang"), read_moment(fault, required=True)
    lasts, place = read_distribution(fault, "for"), place_of(fault, fault.node)
    return None if at is None else Hang(targets=targets, at=at, lasts=lasts, place=place)


def _reboot(fault: Section) -> Reboot | None:
    targets, at = read_targets(fault, "reboot"), read_moment(fault, required=True)
    takes, place = read_distribution(fault, "takes") or REBOOT, place_of(fault, fault.node)
    return None if at is None else Reboot(targets=targets, at=at, takes=takes, place=place)


def _slow(fault: Section) -> Slow:
    targets = read_targets(fault, "slow")
    node = fault.required("factor", "write for instance `factor: 4`")
    value = None if node is None else number(node)
    if node is not None and (value is None or not 0 < value <= _FACTOR_LIMIT):
        message = f"`factor` of {fault.title} must be a number above 0, but is {kind(node)}"
        limit = f"4 is four times as long; the limit is {_FACTOR_LIMIT:,}"
        fault.error("CB023", node, message, limit)
    return Slow(
        targets=targets,
        factor=float(value or 1),
        at=read_moment(fault),
        lasts=read_distribution(fault, "for"),
        place=place_of(fault, fault.node),
    )


N = TypeVar("N", bound=Noise)


def _noise(kind: type[N], key: str) -> Callable[[Section], N]:
    def read(fault: Section) -> N:
        return kind(
            targets=read_targets(fault, key),
            probability=read_probability(fault, "probability", required=True) or 0.0,
            at=read_moment(fault),
            lasts=read_distribution(fault, "for"),
            place=place_of(fault, fault.node),
        )

    return read


def _delay(fault: Section) -> Delay:
    targets = read_targets(fault, "delay")
    by = read_distribution(fault, "by", required=True)
    probability = read_probability(fault, "probability")
    return Delay(
        targets=targets,
        by=by or NONE,
        probability=1.0 if probability is None else probability,
        at=read_moment(fault),
        lasts=read_distribution(fault, "for"),
        place=place_of(fault, fault.node),
    )


def _partition(fault: Section) -> Partition:
    return Partition(
        targets=read_targets(fault, "partition"),
        at=read_moment(fault),
        lasts=read_distribution(fault, "for"),
        place=place_of(fault, fault.node),
    )


def _cut(fault: Section) -> Cut:
    targets, between = read_ends(fault, "cut")
    return Cut(
        targets=targets,
        between=between,
        at=read_moment(fault),
        lasts=read_distribution(fault, "for"),
        place=place_of(fault, fault.node),
    )


def _impair(fault: Section) -> Impair:
    targets, between = read_ends(fault, "impair")
    like = fault.section("with", f"`with` of {fault.title}", required=True)
    conditions = UNDISTURBED if like is None else read_conditions(like)
    if like is not None:
        like.close(strict=True)
    return Impair(
        targets=targets,
        between=between,
        conditions=conditions,
        at=read_moment(fault),
        lasts=read_distribution(fault, "for"),
        place=place_of(fault, fault.node),
    )


def _heal(fault: Section) -> Heal | None:
    targets, between = read_ends(fault, "heal")
    at, place = read_moment(fault, required=True), place_of(fault, fault.node)
    return None if at is None else Heal(targets=targets, between=between, at=at, place=place)


def _crash(fault: Section) -> Crash | None:
    fault.choice("crash", {"coordinator": True}, code="CB206", hint="write `crash: coordinator`")
    at, lasts = read_time(fault), read_distribution(fault, "for")
    place = place_of(fault, fault.node)
    return None if at is None else Crash(at=at, lasts=lasts, place=place)


def _refusal(fault: Section) -> Refuse:
    targets = read_targets(fault, "refuse")
    times = fault.integer("times", minimum=1, maximum=_TIMES_LIMIT)
    return Refuse(targets=targets, times=times, place=place_of(fault, fault.node))


def _draw(fault: Section) -> Draw:
    rate = read_probability(fault, "rate", required=True)
    within_s = read_seconds(fault, "within", required=True)
    return Draw(
        kinds=_kinds(fault),
        rate=rate or 0.0,
        within_s=within_s or 0.0,
        role=fault.string("role"),
        place=place_of(fault, fault.node),
        places=places_of(fault),
    )


def _kinds(fault: Section) -> tuple[DrawnKind, ...]:
    kinds: list[DrawnKind] = []
    items = fault.items("draw")
    for item in items:
        name = fault.text_of(item, f"each item of {fault.title}")
        known = next((each for each in DRAWN_KINDS if each == name), None)
        if known is not None:
            kinds.append(known)
        elif name is not None:
            hint = did_you_mean(name, DRAWN_KINDS) or f"it can be {listed(DRAWN_KINDS, 'or')}"
            fault.error("CB024", item, f"`{name[:60]}` can't be drawn", hint)
    node = fault.get("draw")
    if isinstance(node, ListNode) and not items:
        hint = "write for instance `draw: [kill, hang]`"
        fault.error("CB026", node, f"{fault.title} has nothing to draw from", hint)
    return tuple(kinds)


_READERS: Mapping[str, Callable[[Section], Rule | None]] = {
    "kill": _kill,
    "hang": _hang,
    "reboot": _reboot,
    "slow": _slow,
    "lose": _noise(Lose, "lose"),
    "duplicate": _noise(Duplicate, "duplicate"),
    "reorder": _noise(Reorder, "reorder"),
    "delay": _delay,
    "partition": _partition,
    "cut": _cut,
    "impair": _impair,
    "heal": _heal,
    "crash": _crash,
    "refuse": _refusal,
    "draw": _draw,
}
