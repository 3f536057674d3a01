"""Reads to whom and when a fault happens."""

from collections.abc import Mapping

from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind
from callboard.simulation.faults import (
    AtAction,
    AtCall,
    AtStep,
    AtTime,
    Moment,
    Target,
    Targets,
)
from callboard.simulation.pattern import ANY
from callboard.simulation.reading.document import place_of
from callboard.simulation.reading.quantity import read_distribution, read_pattern

NODES_LIMIT = 10_000_000
"""Nodes of a role, at most."""

_AT_PLACES: Mapping[str, type[AtAction] | type[AtStep] | type[AtCall]] = {
    "action": AtAction,
    "step": AtStep,
    "call": AtCall,
}
_MOMENTS = ("time", *_AT_PLACES)
_TARGET = "write a role, `{role: client, node: 2}`, `{any: client}`, or a list of these"
_BETWEEN = "write for instance `{between: [client, server]}`"
_MOMENT = "write for instance `{time: 30}` or `{call: lava-wait ready}`"


def read_targets(fault: Section, key: str) -> Targets:
    """The nodes that a fault happens to; empty if they can't be read."""
    node = fault.get(key)
    if node is None:
        return ()
    if isinstance(node, ListNode):
        if not node.items:
            fault.error("CB206", node, f"`{key}` of {fault.title} is empty", _TARGET)
        found = [_target(fault, item, f"each item of `{key}`") for item in node.items]
    else:
        found = [_target(fault, node, f"`{key}` of {fault.title}")]
    return tuple(target for target in found if target is not None)


def read_ends(fault: Section, key: str) -> tuple[Targets, Targets]:
    """The nodes at both ends of links; the second ones are none where all links are meant."""
    node = fault.get(key)
    if not isinstance(node, MapNode) or "between" not in (name.text for name, _ in node.pairs):
        return read_targets(fault, key), ()
    section = Section(node, fault.findings, f"`{key}` of {fault.title}")
    ends = section.get("between")
    section.close(strict=True)
    if not isinstance(ends, ListNode) or len(ends.items) != 2:
        what = f"`between` of {section.title}"
        fault.error("CB206", ends or node, f"{what} must name two ends", _BETWEEN)
        return (), ()
    one, other = (_target(fault, item, "each item of `between`") for item in ends.items)
    return ((), ()) if one is None or other is None else ((one,), (other,))


def _target(fault: Section, node: Node, what: str) -> Target | None:
    place = place_of(fault, node)
    if not isinstance(node, MapNode):
        if not isinstance(node, ScalarNode):
            fault.error("CB206", node, f"{what} must be a role, but is {kind(node)}", _TARGET)
            return None
        role = fault.text_of(node, what)
        return None if role is None else Target(role, place)
    section = Section(node, fault.findings, what)
    any_of = section.string("any")
    role = section.string("role")
    number = section.integer("node", minimum=1, maximum=NODES_LIMIT, code="CB206")
    section.close(strict=True)
    if "any" in section:
        if "role" in section or "node" in section:
            message = f"{what} names both `any` and a role or node"
            fault.error("CB206", node, message, "`{any: client}` is one that the seed chooses")
            return None
        return None if any_of is None else Target(any_of, place, any=True)
    if "role" not in section and "node" not in section:
        fault.error("CB206", node, f"{what} names no node", _TARGET)
        return None
    # A job without roles has one node, which is named by its number.
    return Target(role or "", place, number)


def read_moment(fault: Section, *, required: bool = False) -> Moment | None:
    """When a fault begins, None for the beginning of the rehearsal."""
    node = fault.required("at", _MOMENT) if required else fault.get("at")
    if node is None:
        return None
    what = f"`at` of {fault.title}"
    if not isinstance(node, MapNode):
        fault.error("CB207", node, f"{what} must be a map, but is {kind(node)}", _meant(node))
        return None
    section = Section(node, fault.findings, what)
    given = [name for name in section.names if name in _MOMENTS]
    if len(given) != 1:
        _refuse(section, given)
        return None
    moment = _moment(section, given[0])
    section.close(strict=True)
    return moment


def read_time(fault: Section) -> AtTime | None:
    """When a fault begins that happens to no node in particular."""
    moment = read_moment(fault, required=True)
    if moment is None or isinstance(moment, AtTime):
        return moment
    message = f"`at` of {fault.title} must be a time, for no node comes to the moment"
    fault.error("CB207", fault.get("at") or fault.node, message, "write for instance `{time: 30}`")
    return None


def _moment(section: Section, key: str) -> Moment | None:
    place = place_of(section, section.get(key) or section.node)
    if key == "time":
        time = read_distribution(section, key, required=True)
        return None if time is None else AtTime(time, place)
    pattern = read_pattern(section, key, required=True)
    at = section.integer("occurrence", minimum=1, maximum=1_000_000, code="CB207")
    return _AT_PLACES[key](pattern or ANY, place, at or 1)


def _refuse(section: Section, given: list[str]) -> None:
    """Says that a moment has not exactly one key that tells which it is."""
    if given:
        message = f"{section.title} names {listed(given)}, but there can be one moment"
        section.error("CB207", section.key(given[1]), message, "write one fault for each")
        return
    near = next((hint for name in section.names if (hint := did_you_mean(name, _MOMENTS))), None)
    section.error("CB207", section.node, f"{section.title} names no moment", near or _MOMENT)


def _meant(node: Node) -> str:
    if isinstance(node, ScalarNode) and node.text and type(node.value) in (int, float):
        return f"write `{{time: {node.text[:20]}}}`"
    return _MOMENT
