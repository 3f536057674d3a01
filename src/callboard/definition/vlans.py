"""Reads the `lava-vland` protocol: the VLANs between the nodes."""

import re

from callboard.definition.model import VlanInterface
from callboard.definition.reader import Section
from callboard.definition.roles import Roles
from callboard.definition.tree import ListNode, Node

_LABEL = re.compile(r"[_a-zA-Z0-9]+")
_EXAMPLE = "write for instance `vlan_one: {tags: [RJ45]}`"


def read_vlans(protocol: Section, roles: Roles) -> tuple[VlanInterface, ...]:
    """The VLANs of each role (LAVA: VLANd protocol)."""
    if not roles.declared:
        hint = "VLANs connect the nodes of a MultiNode job"
        protocol.error("CB130", protocol.node, "`lava-vland` needs `lava-multinode`", hint)
        return ()
    interfaces: list[VlanInterface] = []
    for name, key, node in protocol.labels("the name of a role in `lava-vland`"):
        roles.known(protocol, name, key, "`lava-vland`")
        section = protocol.section_of(node, f"`lava-vland` of role `{name[:60]}`", name)
        if section is not None:
            found = _read_role(section, name)
            role = roles.roles.get(name)
            if found and role is not None and role.connection is not None:
                message = f"role `{name}` logs in on its host, and can't be in a VLAN itself"
                hint = f"write `{name}: {{}}`, and list the VLANs of its host"
                protocol.error("CB246", key, message, hint)
            interfaces.extend(found)
    for role in roles.roles.values():
        if role.name not in protocol:
            message = f"role `{role.name}` is missing in `lava-vland`"
            hint = "every role of the group needs an entry"
            protocol.error("CB131", protocol.node, message, hint)
        elif role.count != 1:
            section = roles.sections[role.name]
            message = (
                f"role `{role.name}` has `count: {role.count}`, but `lava-vland` of LAVA wants 1"
            )
            hint = (
                "make a role of each node, if it is to run there: here all of them are in its VLANs"
            )
            section.warning("CB132", section.get("count") or section.node, message, hint)
    return tuple(interfaces)


def _read_role(section: Section, role: str) -> list[VlanInterface]:
    interfaces: list[VlanInterface] = []
    for label, key, node in section.labels(f"the name of a VLAN in {section.title}"):
        if not _LABEL.fullmatch(label):
            hint = "letters, digits and `_` are allowed"
            section.error("CB133", key, f"a VLAN can't be called `{label[:60]}`", hint)
        tags = _read_tags(section, label, node)
        place = section.findings.source.place(key.offset)
        interfaces.append(VlanInterface(role, label, tags, place))
    return interfaces


def _read_tags(section: Section, label: str, node: Node) -> tuple[str, ...]:
    title = f"the VLAN `{label[:60]}` of {section.title}"
    if isinstance(node, ListNode):
        hint = f"LAVA's documentation has this form, its schema doesn't: {_EXAMPLE}"
        section.warning("CB134", node, f"{title} should be a map with `tags`", hint)
        tags = (section.text_of(item, f"each tag of {title}") for item in node.items)
        return tuple(tag for tag in tags if tag is not None)
    vlan = section.section_of(node, title)
    if vlan is None:
        return ()
    vlan.required("tags", _EXAMPLE)
    found = vlan.strings("tags")
    vlan.close()
    return found
