"""Reads what the links of a group's network are like: `links` of a devices file or a model."""

from collections.abc import Iterable, Iterator

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.links import Conditions, Link
from callboard.definition.model import Definition
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.tree import ListNode
from callboard.definition.units import read_duration, read_rate, read_share

_EXAMPLE = "write for instance `{between: [client, server], delay: 20ms}`"
_KEYS = ("delay", "jitter", "loss", "rate", "cut")


def read_links(section: Section) -> tuple[Link, ...]:
    """The rules under the key `links` of a map; what is wrong goes to its findings.

    Conditions of one rule each for the same links are a contradiction; a rule for a role and one
    for a pair that it belongs to hold together (`Conditions.and_also`).
    """
    found: list[Link] = []
    for node in section.items("links"):
        rule = section.section_of(node, "each item of `links`")
        link = None if rule is None else _link(rule)
        if rule is None or link is None:
            continue
        twin = next((each for each in found if sorted(each.ends) == sorted(link.ends)), None)
        if twin is not None:
            message = f"the links {described(link.ends)} are described twice"
            hint = f"write all in one item, as that in line {twin.place.line}"
            rule.error("CB262", node, message, hint)
        found.append(link)
    return tuple(found)


def read_conditions(section: Section) -> Conditions:
    """The conditions among the keys of a map; what is wrong goes to its findings."""
    delay_s, jitter_s = read_duration(section, "delay"), read_duration(section, "jitter")
    conditions = Conditions(
        delay_s or 0.0,
        jitter_s or 0.0,
        read_share(section, "loss") or 0.0,
        read_rate(section, "rate"),
        section.boolean("cut", default=False),
    )
    delayed = delay_s is not None or "delay" not in section
    if not any(key in section for key in _KEYS):
        near = next((hint for key in _KEYS if (hint := section.misspelt(key))), None)
        message = f"{section.title} says nothing of the links"
        section.error("CB262", section.node, message, near or f"it can have {listed(_KEYS)}")
    elif conditions.cut and (other := next(_others(section), None)) is not None:
        message = f"{section.title} has `{other}` and `cut: true`"
        hint = "a link that is cut carries nothing, so nothing else can be said of it"
        section.error("CB262", section.key(other), message, hint)
    elif delayed and conditions.jitter_s > conditions.delay_s:
        message = f"`jitter` of {section.title} is longer than `delay`"
        hint = "packets are under way from `delay - jitter` to `delay + jitter`"
        section.error("CB262", section.key("jitter"), message, hint)
    return conditions


def _others(section: Section) -> Iterator[str]:
    """What a map says of links besides whether they are cut."""
    return (key for key in _KEYS if key in section and key != "cut")


def described(ends: Iterable[str]) -> str:
    """Which links a rule is about, in a sentence."""
    one, *other = ends
    return f"between `{one}` and `{other[0]}`" if other else f"of `{one}`"


def unknown_ends(links: Iterable[Link], definition: Definition) -> tuple[Diagnostic, ...]:
    """An error for each rule about a role that a definition doesn't have."""
    roles = [role.name for role in definition.roles]
    found = []
    for link in links:
        for role in dict.fromkeys(link.ends):
            if role not in roles:
                known = f"the roles are {listed(roles)}" if roles else "the job has no roles"
                message = f"`links` names the role `{role[:60]}`, which the group doesn't have"
                hint = did_you_mean(role, roles) or known
                found.append(Diagnostic("CB263", "error", message, link.place, hint))
    return tuple(found)


def _link(rule: Section) -> Link | None:
    ends = _ends(rule)
    if ends is not None:
        rule.title = f"the rule for the links {described(ends)}"
    conditions = read_conditions(rule)
    rule.close(strict=True)
    place = rule.findings.source.place(rule.node.offset)
    return None if ends is None else Link(ends, conditions, place)


def _ends(rule: Section) -> tuple[str] | tuple[str, str] | None:
    role, between = rule.get("role"), rule.get("between")
    if (role is None) is (between is None):
        both = "both `role` and `between`" if role else "neither `role` nor `between`"
        near = rule.misspelt("between") if not role else None
        rule.error("CB261", rule.node, f"an item of `links` has {both}", near or _EXAMPLE)
        return None
    if role is not None:
        name = rule.string("role")
        return None if name is None else (name,)
    if not isinstance(between, ListNode) or len(between.items) != 2:
        at = between or rule.node
        message = "`between` of an item of `links` must be two roles"
        rule.error("CB261", at, message, _EXAMPLE)
        return None
    one, other = (rule.text_of(item, "each item of `between`") for item in between.items)
    return None if one is None or other is None else (one, other)
