"""Reads protocol calls: what an action asks of a protocol."""

import json
from collections.abc import Mapping, Sequence

from attrs import frozen

from callboard.definition.model import Call, PipelineAction
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.roles import Roles
from callboard.definition.timeouts import timeout_of
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind

MULTINODE = "lava-multinode"
LXC = "lava-lxc"
VLAND = "lava-vland"
XNBD = "lava-xnbd"
PROTOCOLS = (MULTINODE, LXC, VLAND, XNBD)

START = "lava_start"
"""The message ID that lets delayed jobs begin (LAVA: lava-start)."""

DEPLOY_VLANS = "deploy_vlans"
"""The request that makes a job's VLANs: its calls have the VLANs' names for message IDs."""

MESSAGE_LIMIT = 65_534
"""Characters of a whole message in LAVA, which sends it as JSON."""

_ENVELOPE = 512
"""Characters that LAVA adds to a message, at a guess: host name, group, role, ..."""

_REQUESTS: Mapping[str, tuple[str, ...]] = {
    MULTINODE: ("lava-send", "lava-wait", "lava-wait-all", "lava-sync", "lava-start"),
    LXC: ("pre-os-command", "pre-power-command"),
    VLAND: (DEPLOY_VLANS,),
    XNBD: ("set_port",),
}


SENDS = frozenset({"lava-send", "lava-sync"})
WAITS = frozenset({"lava-wait", "lava-wait-all", "lava-sync"})
"""Requests that may keep an action waiting."""


AT_THE_END = frozenset({"lava-multinode-overlay", "lava-vland-overlay"})
"""Actions whose calls are made when their own work is done (LAVA: when calls are made)."""


def calls_before(action: PipelineAction) -> tuple[Call, ...]:
    """The calls to the group that an action makes before its own work and its children."""
    return tuple(call for call in _own(action) if not _is_late(action, call))


def calls_after(action: PipelineAction) -> tuple[Call, ...]:
    """The calls to the group that an action makes when it has succeeded."""
    return tuple(call for call in _own(action) if _is_late(action, call))


def _own(action: PipelineAction) -> Sequence[Call]:
    return [call for call in action.calls if call.protocol in (MULTINODE, VLAND)]


def _is_late(action: PipelineAction, call: Call) -> bool:
    return call.request == "lava-start" or action.name in AT_THE_END


@frozen
class _Caller:
    """The block that calls are read from; `own` are the roles that run it."""

    block: Section
    own: tuple[str, ...]
    roles: Roles


def read_calls(
    block: Section, own: tuple[str, ...], roles: Roles, declared: tuple[str, ...]
) -> tuple[Call, ...]:
    """The calls of an action block.

    Args:
        block: The block.
        own: The roles that run it.
        roles: All roles of the group.
        declared: The protocols of the job.
    """
    caller = _Caller(block, own, roles)
    protocols = block.section("protocols", f"`protocols` of {block.title}")
    if protocols is None:
        return ()
    calls: list[Call] = []
    for protocol in PROTOCOLS:
        node = protocols.get(protocol)
        if node is None:
            continue
        if protocol not in declared:
            message = f"{block.title} calls `{protocol}`, which the job doesn't declare"
            hint = f"add `{protocol}` to the `protocols` of the job"
            block.warning("CB089", protocols.key(protocol), message, hint)
        calls.extend(
            call
            for item in _listed(block, protocol, node)
            if (call := _read_call(caller, protocol, item)) is not None
        )
    protocols.close()
    return tuple(calls)


def _listed(block: Section, protocol: str, node: Node) -> tuple[Node, ...]:
    match node:
        case ListNode(items=items):
            return items
        case MapNode():
            hint = "begin it with `- `; LAVA fails on a map, callboard takes it as a list of one"
            message = f"the calls of `{protocol}` must be a list"
            block.warning("CB080", node, message, hint)
            return (node,)
        case ScalarNode():
            message = f"the calls of `{protocol}` must be a list, but are {kind(node)}"
            block.error("CB021", node, message)
            return ()


def _read_call(caller: _Caller, protocol: str, node: Node) -> Call | None:
    block = caller.block
    empty = isinstance(node, ScalarNode) and node.value is None
    if empty or (isinstance(node, MapNode) and not node.pairs):
        hint = "write for instance `{action: lava-overlay, request: lava-sync, messageID: ready}`"
        block.error("CB081", node, f"an empty call of `{protocol}`", hint)
        return None
    section = block.section_of(node, f"the call of `{protocol}`")
    if section is None:
        return None
    action = section.string("action") if "action" in section else None
    if "action" not in section:
        section.error("CB082", node, "the call names no `action`", "name the action that makes it")
    request = _read_request(section, protocol, node)
    reader = _multinode if protocol == MULTINODE else _other
    call = reader(section, protocol, action or "", request or "", caller)
    section.close()
    return call if action and request else None


def _read_request(section: Section, protocol: str, node: Node) -> str | None:
    requests = _REQUESTS[protocol]
    if "request" not in section:
        hint = f"it can be {listed(requests, 'or')}"
        section.error("CB082", node, f"the call of `{protocol}` has no `request`", hint)
        return None
    request = section.string("request")
    if request is None or request in requests:
        return request
    hint = (
        did_you_mean(request.replace("_", "-"), requests) or f"it can be {listed(requests, 'or')}"
    )
    if request == "aggregate":
        hint = "it collected results in old versions of LAVA; remove the call"
    message = f"`{protocol}` has no request `{request[:60]}`"
    section.error("CB083", section.get("request") or node, message, hint)
    return None


def _other(section: Section, protocol: str, action: str, request: str, _caller: _Caller) -> Call:
    return Call(
        protocol=protocol,
        action=action,
        request=request,
        place=section.findings.source.place(section.node.offset),
        timeout_s=_read_limit(section),
    )


def _multinode(section: Section, protocol: str, action: str, request: str, caller: _Caller) -> Call:
    message_id = section.string("messageID")
    if "messageID" not in section and request not in {"lava-start", ""}:
        hint = section.misspelt("messageID") or "add for instance `messageID: ready`"
        what = f"the call of `{request}` has no `messageID`"
        section.error("CB084", section.node, what, hint)
    message = _read_message(section, action)
    if request in SENDS:
        _check_placeholders(section, request)
    poll_delay_s = section.integer("poll_delay", minimum=0)
    waited = section.string("role")
    released = section.strings("roles", one=True)
    _check_role(section, request, waited, caller.roles)
    known = [name for name in released if _is_role(section, name, caller.roles)]
    if request == "lava-start":
        _check_start(section, known, caller)
    elif released and request:
        at = section.key("roles")
        section.warning("CB087", at, f"`{request}` ignores `roles`", "only `lava-start` reads it")
    return Call(
        protocol=protocol,
        action=action,
        request=request,
        place=section.findings.source.place(section.node.offset),
        message_id=message_id,
        message=message,
        role=waited,
        roles=released,
        timeout_s=_read_limit(section),
        poll_delay_s=poll_delay_s,
    )


def _check_role(section: Section, request: str, name: str | None, roles: Roles) -> None:
    node = section.get("role")
    if name is None or node is None:
        return
    if request not in {"lava-wait-all", ""}:
        start = request == "lava-start"
        hint = "it reads `roles`" if start else "only `lava-wait-all` reads it"
        section.warning("CB087", section.key("role"), f"`{request}` ignores `role`", hint)
    if not roles.known(section, name, node, "the call"):
        return
    role = roles.roles.get(name)
    if request == "lava-wait-all" and role is not None and role.count == 0:
        message = f"the call waits for role `{name}`, which has no node"
        section.error("CB067", node, message, f"give `{name}` a `count`")


def _is_role(section: Section, name: str, roles: Roles) -> bool:
    return roles.known(section, name, section.get("roles") or section.node, "the call")


def _check_start(section: Section, released: Sequence[str], caller: _Caller) -> None:
    """Checks a call of `lava-start`, in which `released` are those of its roles that exist."""
    for key in ("messageID", "message"):
        if key in section:
            hint = "remove it; data is sent with `lava-send`, before `lava-start`"
            section.warning("CB087", section.key(key), f"`lava-start` ignores `{key}`", hint)
    node = section.get("roles")
    if node is None or (isinstance(node, ListNode) and not node.items):
        hint = (
            "add `roles: [...]`, or write `request: lava-send` with `messageID: lava_start` "
            "to release every role that waits for this one"
        )
        section.error("CB082", node or section.node, "`lava-start` names no `roles`", hint)
        return
    for name in dict.fromkeys(released):
        _check_released(section, name, caller)


def _check_released(section: Section, name: str, caller: _Caller) -> None:
    """Warns of a role that is not delayed, or that none of the block's roles can release."""
    role = caller.roles.roles.get(name)
    if role is None or not caller.own:
        return
    own = listed(caller.own)
    if role.delayed_by is None:
        message = f"`lava-start` has no effect on role `{name}`, which starts at once"
        others = [each[:60] for each in caller.own if each != name]
        hint = (
            f"add `request: lava-start` and `expect_role: {others[0]}` to `{name}`"
            if others
            else "remove it; a role can't start itself"
        )
    elif role.expect_role not in caller.own:
        expected = f"{role.expect_role}"[:60]
        message = f"`lava-start` of {own} can't release role `{name}`, which expects `{expected}`"
        hint = f"make the call in a block of `{expected}`, or change the `expect_role` of `{name}`"
    else:
        return
    section.warning("CB092", section.get("roles") or section.node, message, hint)


def _check_placeholders(section: Section, request: str) -> None:
    node = section.get("message")
    values = [value for _, value in node.pairs] if isinstance(node, MapNode) else [node]
    for value in values:
        if isinstance(value, ScalarNode) and value.text.startswith("$"):
            message = f"`{request}` does not fill in `{value.text[:60]}`"
            sync = request == "lava-sync"
            fate = "a sync hands no data on" if sync else "it is sent as it is written"
            hint = f"{fate}; `lava-wait` and `lava-wait-all` fill in what begins with `$`"
            section.warning("CB093", value, message, hint)


def _read_message(section: Section, action: str) -> Mapping[str, str | None] | None:
    node = section.get("message")
    message: dict[str, str | None] = {}
    match node:
        case None | ScalarNode(value=None):
            return None
        case ScalarNode(text=text):
            message[text] = None
        case ListNode():
            hint = "write for instance `{ipaddr: $ipaddr}`"
            section.error("CB086", node, "`message` must be a map or text, but is a list", hint)
        case MapNode(pairs=pairs):
            for key, value in pairs:
                if isinstance(value, ScalarNode) and isinstance(value.value, str):
                    message[key.text] = value.text
                else:
                    hint = 'quote it, e.g. "1"; LAVA fails on anything but text'
                    what = f"`{key.text[:60]}` of the message"
                    section.error("CB086", value, f"{what} must be text, not {kind(value)}", hint)
    if len(json.dumps(message)) > MESSAGE_LIMIT - _ENVELOPE:
        what = f"the message is longer than LAVA's limit of {MESSAGE_LIMIT:,} characters"
        section.error("CB086", node, what, "send less; large data belongs in a file")
    if action == "prepare-scp-overlay" and isinstance(node, ScalarNode):
        hint = "write for instance `{ipaddr: $ipaddr}`"
        section.error("CB086", node, "the message for `prepare-scp-overlay` must be a map", hint)
    return message


def _read_limit(section: Section) -> int | None:
    """The call's `timeout`: a map of units, or a number of seconds (LAVA: protocol calls)."""
    node = section.get("timeout")
    if isinstance(node, ScalarNode) and type(node.value) is int and node.value > 0:
        return node.value
    timeout = None if node is None else timeout_of(section, node, "the time-out of the call")
    return timeout.duration_s if timeout else None
