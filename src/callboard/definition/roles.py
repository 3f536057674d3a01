"""Reads the `lava-multinode` protocol: the roles of the group."""

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from callboard.definition.model import Role
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.timeouts import read_limit
from callboard.definition.tree import Node, ScalarNode

COUNT_LIMIT = 1_000_000
"""Nodes of one role; more is a slip, and would only fill the memory."""

_SPLIT = ("target_group", "sub_id", "group_size")


@frozen
class Roles:
    """The roles of a definition, and where the file says so.

    Attributes:
        roles: By name, in the order written; those with errors too, as far as they could be read.
        sections: The map of each role.
        group_timeout_s: The `timeout` beside `roles`, in seconds.
        names: Every name that the file gives to a role, whatever else is wrong with it.
        declared: Whether the definition is MultiNode, even if its roles can't be read.
    """

    roles: Mapping[str, Role] = field(factory=dict[str, Role])
    sections: Mapping[str, Section] = field(factory=dict[str, Section])
    group_timeout_s: int | None = None
    names: Mapping[str, None] = field(factory=dict[str, None])
    declared: bool = True

    def known(self, section: Section, name: str, at: Node, what: str) -> bool:
        """Whether a role exists that `what` names; reports it otherwise."""
        if name in self.names:
            return True
        if self.names:
            near = None if section.findings.full else did_you_mean(name, self.names)
            hint = near or f"the roles are {listed(self.names)}"
            message = f"role `{name[:60]}` is not defined, but {what} names it"
            section.error("CB057", at, message, hint)
        return False


def read_roles(protocol: Section) -> Roles:
    """The roles of a submission (LAVA: MultiNode protocol)."""
    if any(key in protocol for key in _SPLIT):
        protocol.error(
            "CB034",
            protocol.key(next(key for key in _SPLIT if key in protocol)),
            "this is one node's part of a MultiNode job, after LAVA's split",
            "use the definition as it was submitted, with `roles` that have `count`",
        )
        protocol.ignore(*protocol.names)
        return Roles()
    group_s = read_limit(protocol, "timeout")
    node = protocol.get("roles")
    hint = "write for instance `roles: {server: {device_type: qemu, count: 1}}`"
    if node is None:
        protocol.error("CB050", protocol.node, "`lava-multinode` has no `roles`", hint)
        return Roles(group_timeout_s=group_s)
    labelled = protocol.section_of(node, "`roles`")
    for misplaced in ("request", "expect_role"):
        if misplaced in protocol:
            protocol.ignore(misplaced)
            message = f"`{misplaced}` can't stand beside `roles`"
            at = protocol.key(misplaced)
            protocol.error("CB069", at, message, "put it into the role that starts later")
    protocol.close()
    if labelled is None:
        return Roles(group_timeout_s=group_s)
    if not labelled.node.pairs:
        protocol.error("CB050", node, "`roles` is empty", hint)
    sections: dict[str, Section] = {}
    roles: dict[str, Role] = {}
    for name, key, value in labelled.labels("the name of a role"):
        section = labelled.section_of(value, f"role `{name[:60]}`", name)
        if section is None:
            continue
        sections[name] = section
        role = _read_role(section, name, key)
        roles[name] = role
        if role.timeout_s is not None and group_s is not None:
            section.warning(
                "CB064",
                section.key("timeout"),
                f"role `{name}` and its group both have a `timeout`",
                "the role's holds here, but LAVA lets the group's win: keep one",
            )
    names = dict.fromkeys(key.text for key, _ in labelled.node.pairs)
    return Roles(roles, sections, group_s, names)


def _read_role(section: Section, name: str, key: ScalarNode) -> Role:
    count = section.integer("count", minimum=0, maximum=COUNT_LIMIT, required=True, code="CB052")
    device_type = section.string("device_type")
    connection = section.string("connection")
    if "device_type" in section and "connection" in section:
        section.error(
            "CB054",
            section.key("connection"),
            f"{section.title} has both `device_type` and `connection`",
            "a role's nodes are either devices or logins on another role's device",
        )
    elif "device_type" not in section and "connection" not in section:
        section.error(
            "CB053",
            key,
            f"{section.title} has neither `device_type` nor `connection`",
            "add `device_type`",
        )
    role = Role(
        name=name,
        count=1 if count is None else count,
        place=section.findings.source.place(key.offset),
        device_type=device_type,
        connection=connection,
        host_role=section.string("host_role"),
        expect_role=section.string("expect_role"),
        request=section.string("request"),
        essential=section.boolean("essential", default=False),
        timeout_s=read_limit(section, "timeout"),
        context=section.data("context"),
        tags=section.strings("tags"),
        environment=section.data("environment"),
        device=section.string("device"),
        worker=section.string("worker"),
    )
    section.close()
    return role


def check_roles(roles: Roles, used: Iterable[str]) -> None:
    """Checks what roles say of each other; `used` are the roles that any action names."""
    for role in roles.roles.values():
        section = roles.sections[role.name]
        _check_host(roles, role, section)
        _check_start(roles, role, section)
        _check_pin(role, section)
        misspelt = section.findings.has("CB057")
        if role.name not in used and not misspelt:
            hint = "add it to the `role` of an action, or remove it"
            section.error("CB051", section.node, f"no action names {section.title}", hint)
    _check_delays(roles)
    if roles.roles and not any(role.count for role in roles.roles.values()):
        section = roles.sections[next(iter(roles.roles))]
        hint = "one role must have a `count` of 1 or more"
        section.findings.error("CB068", section.key("count"), "every role has `count: 0`", hint)


def _check_host(roles: Roles, role: Role, section: Section) -> None:
    if role.connection is not None and "host_role" not in section:
        message = f"{section.title} has `connection`, but no `host_role`"
        hint = "name the role whose device it logs in to"
        section.error("CB055", section.key("connection"), message, hint)
    # A device needs no host; LAVA's server ties the two together all the same.
    report = section.error if role.connection is not None else section.warning
    for first, second in (("host_role", "expect_role"), ("expect_role", "host_role")):
        if first in section and second not in section:
            hint = f"LAVA wants both; often `{second}` is the same role"
            message = f"{section.title} has `{first}`, but no `{second}`"
            report("CB058", section.key(first), message, hint)
    if role.connection is None and role.host_role is not None and role.delayed_by is None:
        message = f"{section.title} is a device, and still has `host_role`"
        hint = (
            "remove it; LAVA's server needs it beside `expect_role`, its strict schema refuses it"
        )
        section.warning("CB065", section.key("host_role"), message, hint)
    if role.connection is not None and "environment" in section:
        message = f"{section.title} is a connection, and still has `environment`"
        hint = "LAVA's strict schema refuses it"
        section.warning("CB065", section.key("environment"), message, hint)
    host = _referred(roles, section, "host_role", role.host_role)
    if host is None:
        return
    if host.connection is not None:
        message = f"the host `{host.name}` of {section.title} has no device of its own"
        report("CB059", section.key("host_role"), message, "name a role with `device_type`")
    if host.count != 1:
        message = f"the host `{host.name}` of {section.title} has `count: {host.count}`"
        report("CB059", section.key("host_role"), message, "in LAVA a host has `count: 1`")


def _check_start(roles: Roles, role: Role, section: Section) -> None:
    expected = _referred(roles, section, "expect_role", role.expect_role)
    if role.request is not None and role.request != "lava-start":
        hint = did_you_mean(role.request, ["lava-start"]) or "only `lava-start` has an effect"
        message = f"`request: {role.request[:60]}` of {section.title} does nothing"
        section.warning("CB063", section.key("request"), message, hint)
    if role.request != "lava-start":
        return
    if role.expect_role is None and "expect_role" not in section:
        message = f"{section.title} asks for `lava-start`, but has no `expect_role`"
        hint = "name the role that starts it; as it is, it starts at once"
        section.warning("CB063", section.key("request"), message, hint)
    if expected is not None and expected.count == 0:
        message = f"{section.title} waits for role `{expected.name}`, which has no node"
        hint = f"give `{expected.name}` a `count`"
        section.error("CB067", section.key("expect_role"), message, hint)


def _check_pin(role: Role, section: Section) -> None:
    if role.device is not None and role.count != 1:
        message = f"{section.title} names one `device`, but has `count: {role.count}`"
        section.error("CB066", section.key("device"), message, "with `device` the count is 1")
    for key in ("device", "worker"):
        if role.connection is not None and key in section:
            message = f"{section.title} is a connection, and can't have `{key}`"
            section.error("CB066", section.key(key), message, "its `host_role` decides where it is")


def _check_delays(roles: Roles) -> None:
    """Finds roles that wait for each other's start in a circle; then nobody can begin."""
    awaited = {
        role.name: role.expect_role
        for role in roles.roles.values()
        if role.delayed_by in roles.sections
    }
    nobody = all(role.name in awaited for role in roles.roles.values() if role.count)
    end = ": all roles are delayed, so nobody starts" if nobody else ""
    reported: set[str] = set()
    for name in awaited:
        path = [name]
        while (following := awaited.get(path[-1])) is not None and following not in path:
            path.append(following)
        circle = path[path.index(following) :] if following is not None else []
        if not circle or reported & set(circle):
            continue
        reported.update(circle)
        section = roles.sections[circle[0]]
        at = section.key("expect_role")
        if len(circle) == 1:
            message = f"{section.title} waits for its own start{end}"
            section.error("CB060", at, message, "name the role that sends `lava_start`")
        else:
            message = f"the roles {listed(circle)} wait for each other's start{end}"
            section.error("CB061", at, message, "one of them must start at once")


def _referred(roles: Roles, section: Section, key: str, name: str | None) -> Role | None:
    node = section.get(key)
    if name is None or node is None:
        return None
    if not roles.known(section, name, node, f"`{key}` of {section.title}"):
        return None
    return roles.roles.get(name)
