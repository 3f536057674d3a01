"""Reads time-outs: maps of units, as LAVA adds them up."""

import re
from collections.abc import Mapping

from attrs import frozen

from callboard.definition.model import Timeouts
from callboard.definition.reader import Section
from callboard.definition.tree import Node, ScalarNode

DEFAULT_S = 30
"""LAVA's built-in limit of an action and of one wait on a connection."""

_UNITS_S = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_ACTION = re.compile(r"[a-z-]+", re.ASCII)
_LONGEST_S = 10 * 366 * 86_400
_EXAMPLE = "write for instance `{minutes: 5}`"


@frozen
class Timeout:
    """One limit: its length in seconds, and whether `skip: true` stands beside it."""

    duration_s: int
    skip: bool = False


def read_timeout(section: Section, key: str, limit_s: int | None = None) -> Timeout | None:
    """The time-out under `key`; above `limit_s`, the job's own, it can't do anything."""
    node = section.get(key)
    if node is None:
        return None
    timeout = timeout_of(section, node, f"`{key}` of {section.title}")
    if timeout and limit_s is not None and timeout.duration_s > limit_s:
        _warn_above(section, node, f"`{key}` of {section.title}", timeout.duration_s, limit_s)
    return timeout


def read_limit(section: Section, key: str, limit_s: int | None = None) -> int | None:
    """Like `read_timeout`, but only the seconds."""
    timeout = read_timeout(section, key, limit_s)
    return timeout.duration_s if timeout else None


def timeout_of(section: Section, node: Node, what: str) -> Timeout | None:
    """A node as a time-out (LAVA: all units are added up, nothing at all means 30 s)."""
    if isinstance(node, ScalarNode) and node.value is not None:
        unit = f"if seconds are meant, write `{{seconds: {node.text[:20]}}}`"
        hint = unit if type(node.value) is int else _EXAMPLE
        section.error("CB040", node, f"{what} must be a map of units", hint)
        return None
    units = section.section_of(node, what)
    if units is None:
        return None
    total = 0
    given = [unit for unit in _UNITS_S if unit in units]
    for unit in given:
        amount = units.integer(unit, minimum=0, maximum=_LONGEST_S, required=True, code="CB040")
        if amount is None:
            return None
        total += amount * _UNITS_S[unit]
    skip = units.boolean("skip", default=False)
    for key, _ in units.node.pairs:
        if key.text not in _UNITS_S and key.text != "skip":
            hint = f"the units are {', '.join(_UNITS_S)}"
            section.error("CB040", key, f"{what} has the unknown unit `{key.text[:60]}`", hint)
            return None
    if len(given) > 1:
        hint = "LAVA adds them up, but its strict schema wants one"
        section.warning("CB041", node, f"{what} has several units", hint)
    if total == 0:
        message = f"{what} is empty or zero, which LAVA takes as {DEFAULT_S} seconds"
        section.warning("CB044", node, message, _EXAMPLE)
    return Timeout(total or DEFAULT_S, skip)


def read_named(section: Section, key: str, limit_s: int | None) -> Mapping[str, int]:
    """Time-outs by action name, in seconds."""
    limits = section.section(key, f"`{key}` of {section.title}")
    if limits is None:
        return {}
    durations: dict[str, int] = {}
    for name, at, node in limits.labels(f"an action name in {limits.title}"):
        if not _ACTION.fullmatch(name):
            hint = "action names consist of a-z and `-`"
            if name != (plain := name.lower().replace("_", "-").replace(" ", "-")):
                hint = f"did you mean `{plain[:60]}`? {hint}"
            section.error("CB043", at, f"`{name[:60]}` can't be the name of an action", hint)
            continue
        timeout = timeout_of(limits, node, f"the time-out of `{name}`")
        if timeout is None:
            continue
        durations[name] = timeout.duration_s
        if limit_s is not None and timeout.duration_s > limit_s:
            what = f"the time-out of `{name}`"
            _warn_above(section, node, what, timeout.duration_s, limit_s)
    return durations


def read_timeouts(job: Section) -> Timeouts:
    """The job's `timeouts`; without its mandatory `job` a stand-in, as that is an error."""
    section = job.section("timeouts", "`timeouts`")
    if section is None:
        if "timeouts" not in job:
            hint = job.misspelt("timeouts") or "write for instance `timeouts: {job: {minutes: 20}}`"
            job.error("CB045", job.node, "the job has no `timeouts`", hint)
        return Timeouts(DEFAULT_S)
    if "job" not in section:
        hint = "write for instance `job: {minutes: 20}`"
        section.error("CB045", job.key("timeouts"), "`timeouts` has no limit of the `job`", hint)
    limit_s = read_limit(section, "job")
    timeouts = Timeouts(
        job_s=limit_s or DEFAULT_S,
        action_s=read_limit(section, "action", limit_s),
        actions_s=read_named(section, "actions", limit_s),
        connection_s=read_limit(section, "connection", limit_s),
        connections_s=read_named(section, "connections", limit_s),
        queue_s=read_limit(section, "queue"),
    )
    section.close()
    return timeouts


def _warn_above(section: Section, at: Node, what: str, duration_s: int, limit_s: int) -> None:
    message = f"{what} is {duration_s} s, but the whole job ends after {limit_s} s"
    section.warning("CB042", at, message, "raise `timeouts: job`")
