"""Reads a whole job definition."""

import os
from collections.abc import Mapping
from typing import Literal

from callboard.definition.blocks import read_blocks
from callboard.definition.calls import LXC, MULTINODE, PROTOCOLS, VLAND, XNBD
from callboard.definition.checks import check_jobs
from callboard.definition.composer import compose
from callboard.definition.containers import read_containers
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.findings import Findings
from callboard.definition.masking import SHORTEST, hide_secrets, masked_text
from callboard.definition.model import Definition, LxcContainer, Plain, VlanInterface, Xnbd
from callboard.definition.reader import Section
from callboard.definition.roles import Roles, check_roles, read_roles
from callboard.definition.source import Source, decode, read_source
from callboard.definition.timeouts import read_limit, read_timeouts
from callboard.definition.tree import ListNode, MapNode, ScalarNode, kind, plain
from callboard.definition.vlans import read_vlans

Diagnostics = tuple[Diagnostic, ...]

_PRIORITIES = {"high": 100, "medium": 50, "low": 0}
_IN_ROLE = ("context", "tags", "environment")
_NAME_LIMIT = 200


def load(path: str | os.PathLike[str]) -> Definition:
    """The definition in a file.

    Raises:
        DefinitionError: It can't be read, or LAVA would refuse it; the error holds every
            problem of the file, warnings too.
    """
    definition, diagnostics = read(path)
    if definition is None:
        raise DefinitionError(diagnostics)
    return definition


def read(path: str | os.PathLike[str]) -> tuple[Definition | None, Diagnostics]:
    """The definition in a file, None if it has any error, and all that is wrong with it."""
    return _read(read_source(path))


def read_text(text: str | bytes, file: str = "<string>") -> tuple[Definition | None, Diagnostics]:
    """Like `read`, for a definition that is not in a file; `file` stands in messages."""
    return _read(decode(text, file))


def _read(source: Source | Diagnostic) -> tuple[Definition | None, Diagnostics]:
    if isinstance(source, Diagnostic):
        return None, (source,)
    findings = Findings(source)
    root = compose(source, findings)
    hide_secrets(root, source)
    definition = None
    if isinstance(root, MapNode):
        definition = _read_job(Section(root, findings, "the job"))
    elif not findings.errors:
        what = "the file is empty" if root is None else f"the file holds {kind(root)}, not a map"
        hint = "a job definition begins with `job_name: ...`; was another file meant?"
        findings.error("CB014", root or 0, what, hint)
    return (None if findings.errors else definition), findings.diagnostics()


def _read_job(job: Section) -> Definition:
    name = job.string("job_name", required=True)
    if name is not None and len(name) > _NAME_LIMIT:
        message = f"`job_name` has {len(name)} characters; the limit is {_NAME_LIMIT}"
        job.error("CB035", job.get("job_name") or job.node, message, "shorten it")
    timeouts = read_timeouts(job)
    visibility = _read_visibility(job)
    priority = _read_priority(job)
    secrets = _read_secrets(job)
    protocols = job.section("protocols", "`protocols`")
    declared = tuple(name for name in PROTOCOLS if protocols is not None and name in protocols)
    roles = _read_roles(protocols)
    blocks = read_blocks(job, roles, declared, timeouts.job_s)
    if roles.names:
        check_roles(roles, {role for item in blocks for role in item.block.roles})
    containers = _read_containers(protocols, roles)
    vlans = _read_vlans(protocols, roles)
    xnbd = _read_xnbd(protocols)
    if protocols is not None:
        protocols.close()
    device_type = _read_device_type(job, roles)
    if roles.names or not roles.declared:
        check_jobs(blocks, roles, timeouts, containers)
    source = job.findings.source
    definition = Definition(
        file=source.file,
        text=source.text,
        job_name=name or "",
        timeouts=timeouts,
        blocks=tuple(item.block for item in blocks),
        data={} if job.findings.errors else _data(job),
        roles=tuple(roles.roles.values()),
        device_type=device_type,
        group_timeout_s=roles.group_timeout_s,
        containers=containers,
        vlans=vlans,
        secrets=secrets,
        hidden=job.findings.source.secrets,
        context=job.data("context"),
        environment=job.data("environment"),
        tags=job.strings("tags"),
        masked_text="" if job.findings.errors else masked_text(job.node, source),
        priority=priority,
        visibility=visibility,
        metadata=job.data("metadata"),
        notify=job.data("notify"),
        reboot_to_fastboot=job.boolean("reboot_to_fastboot", default=True),
        xnbd=xnbd,
    )
    _check_misplaced(job, roles)
    job.close()
    return definition


def _data(job: Section) -> Mapping[str, Plain]:
    data = plain(job.node)
    return data if isinstance(data, dict) else {}


def _read_roles(protocols: Section | None) -> Roles:
    if protocols is None or protocols.get(MULTINODE) is None:
        return Roles(declared=False)
    multinode = protocols.section(MULTINODE, f"`{MULTINODE}`")
    return Roles() if multinode is None else read_roles(multinode)


def _read_device_type(job: Section, roles: Roles) -> str | None:
    device_type = job.string("device_type")
    if not roles.declared and "device_type" not in job:
        hint = job.misspelt("device_type")
        hint = hint or "add `device_type`, or `protocols: lava-multinode` with its roles"
        message = "the job has neither `device_type` nor `lava-multinode`"
        job.error("CB030", job.node, message, hint)
    if roles.declared and "device_type" in job:
        message = "`device_type` stands beside `lava-multinode`"
        hint = "each role has its own; LAVA's strict schema refuses it here"
        job.warning("CB031", job.key("device_type"), message, hint)
        return None
    return device_type


def _read_containers(protocols: Section | None, roles: Roles) -> tuple[LxcContainer, ...]:
    section = protocols.section(LXC, f"`{LXC}`") if protocols is not None else None
    return () if section is None else read_containers(section, roles)


def _read_vlans(protocols: Section | None, roles: Roles) -> tuple[VlanInterface, ...]:
    section = protocols.section(VLAND, f"`{VLAND}`") if protocols is not None else None
    return () if section is None else read_vlans(section, roles)


def _read_xnbd(protocols: Section | None) -> Xnbd | None:
    section = protocols.section(XNBD, f"`{XNBD}`") if protocols is not None else None
    if section is None:
        return None
    automatic = isinstance(node := section.get("port"), ScalarNode) and node.text == "auto"
    port = None if automatic else section.integer("port", minimum=1, maximum=65_535)
    timeout_s = read_limit(section, "timeout")
    section.close()
    place = section.findings.source.place(section.node.offset)
    return Xnbd(place, port, timeout_s)


def _read_priority(job: Section) -> int:
    node = job.get("priority")
    match node:
        case None:
            return _PRIORITIES["medium"]
        case ScalarNode(value=str() as word) if word in _PRIORITIES:
            return _PRIORITIES[word]
        case ScalarNode(value=int() as number) if type(number) is int and 0 <= number <= 100:
            return number
        case _:
            hint = "write `high`, `medium`, `low`, or a number from 0 to 100"
            job.error("CB036", node, f"`priority` can't be {kind(node)}", hint)
            return _PRIORITIES["medium"]


def _read_visibility(job: Section) -> Literal["public", "personal"] | tuple[str, ...]:
    node = job.required("visibility", "write `visibility: public`, or `personal`")
    match node:
        case None:
            return "public"
        case ScalarNode(value="public"):
            return "public"
        case ScalarNode(value="personal"):
            return "personal"
        case MapNode():
            section = Section(node, job.findings, "`visibility`")
            groups = section.strings("group")
            if not groups:
                message = "`visibility` names no group"
                job.error("CB037", node, message, "write `visibility: {group: [developers]}`")
            section.close()
            return groups
        case _:
            hint = "write `public`, `personal`, or `{group: [developers]}`"
            job.error("CB037", node, f"`visibility` can't be {kind(node)}", hint)
            return "public"


def _read_secrets(job: Section) -> Mapping[str, str]:
    """Names and values; no message here may show a value."""
    node = job.get("secrets")
    if node is None:
        return {}
    if not isinstance(node, MapNode):
        hint = "write for instance `secrets: {TOKEN: ...}`"
        job.error("CB033", node, "`secrets` must be a map of names to texts", hint)
        return {}
    secrets: dict[str, str] = {}
    for key, value in node.pairs:
        match value:
            case ScalarNode(value=str() as secret) if len(secret) >= SHORTEST:
                secrets[key.text] = secret
            case ScalarNode(value=str()):
                message = f"a secret has fewer than {SHORTEST} characters"
                hint = "use a longer one: masking this would destroy the logs"
                job.error("CB033", key, message, hint)
            case ScalarNode():
                job.error("CB033", key, "a secret must be text", "quote it")
            case ListNode() | MapNode():
                job.error("CB033", key, "a secret must be text, not a list or map")
    return secrets


def _check_misplaced(job: Section, roles: Roles) -> None:
    for key in _IN_ROLE:
        if roles.declared and key in job:
            message = f"`{key}` at the top of a MultiNode job reaches no node"
            job.warning("CB032", job.key(key), message, "put it into the roles that need it")
