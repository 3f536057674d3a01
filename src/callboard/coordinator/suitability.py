"""What needs all nodes of a definition in one run, found before a part of them joins others."""

from collections.abc import Iterator

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Definition
from callboard.definition.quoting import with_lines
from callboard.definition.reader import did_you_mean, listed

UNFIT = "CB296"
NO_ROLE = "CB295"


def unfit(definition: Definition, roles: frozenset[str]) -> tuple[Diagnostic, ...]:
    """What of a valid definition can't be run by nodes of these roles, beside others elsewhere.

    Args:
        definition: The definition.
        roles: Those of its roles whose nodes are here; they may be unknown.
    """
    if not definition.multinode:
        text = "the definition has no roles, so there is no group that it could join"
        return (Diagnostic(UNFIT, "error", text, hint="run it without --coordinator"),)
    names = [role.name for role in definition.roles]
    if unknown := sorted(roles.difference(names)):
        return tuple(_unknown(each, names) for each in unknown)
    if not any(role.count for role in definition.roles if role.name in roles):
        text = f"no node has one of the roles {', '.join(sorted(roles))}: their `count` is 0"
        return (Diagnostic(UNFIT, "error", text, hint="name others with --roles"),)
    found = [*_guests(definition, roles), *_vlans(definition, roles), *_starts(definition)]
    return with_lines(found)


def _unknown(name: str, names: list[str]) -> Diagnostic:
    hint = did_you_mean(name, names) or f"the roles are {listed(names)}"
    return Diagnostic(NO_ROLE, "error", f"the definition has no role `{name}`", hint=hint)


def _guests(definition: Definition, roles: frozenset[str]) -> Iterator[Diagnostic]:
    for role in definition.roles:
        host = role.host_role
        if host is None or (role.name in roles) == (host in roles):
            continue
        here, there = (role.name, host) if role.name in roles else (host, role.name)
        message = f"`{role.name}` logs in on `{host}`, with keys that only one run of both has"
        hint = f"name both with --roles, or neither: now `{here}` is, and `{there}` isn't"
        yield Diagnostic(UNFIT, "error", message, role.place, hint, role=role.name)


def _vlans(definition: Definition, roles: frozenset[str]) -> Iterator[Diagnostic]:
    if all(role.name in roles for role in definition.roles):
        return
    for vlan in definition.vlans[:1]:
        message = f"VLANs such as `{vlan.vlan}` are made by one run for all of its nodes"
        hint = "run all roles here, or leave the VLANs out"
        yield Diagnostic(UNFIT, "error", message, vlan.place, hint, role=vlan.role)


def _starts(definition: Definition) -> Iterator[Diagnostic]:
    """Starts of only some of the roles that wait for one: all of them would begin."""
    for block in definition.blocks:
        for call in block.calls:
            if call.request != "lava-start":
                continue
            others = [each for each in _started(definition, block.roles) if each not in call.roles]
            if others:
                message = f"`lava-start` would let {listed(others)} begin, too"
                hint = "a coordinator elsewhere knows one start for all; name all of these roles"
                yield Diagnostic(UNFIT, "error", message, call.place, hint)


def _started(definition: Definition, by: tuple[str, ...]) -> list[str]:
    return [each.name for each in definition.roles if each.delayed_by in by]
