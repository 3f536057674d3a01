"""Reads the `lava-lxc` protocol: the containers of the job."""

import re

from callboard.definition.model import LxcContainer
from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.roles import Roles
from callboard.definition.timeouts import read_timeout
from callboard.definition.tree import ScalarNode

TEMPLATES = ("download", "debian", "ubuntu", "busybox")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
"""What a container may be called in the end, job id included."""

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,62}")
"""What a distribution, release or architecture may be called: templates make paths of them."""

MIRROR = re.compile(r"https?://[A-Za-z0-9._~:/?&=%@+\[\]-]{1,1000}")
"""Where packages may come from: templates write it into files of the container."""

_ID_DIGITS = 7
_KEYS = ("name", "distribution", "release")


def read_containers(protocol: Section, roles: Roles) -> tuple[LxcContainer, ...]:
    """The container of the job, or of each role that has one (LAVA: LXC protocol)."""
    if not roles.declared:
        return (_read_container(protocol, None),)
    misplaced = [key for key in _KEYS if key in protocol and key not in roles.names]
    if misplaced:
        hint = "write one map a role: `lava-lxc: {server: {name: ..., ...}}`"
        message = "in a MultiNode job the container belongs to a role"
        protocol.error("CB122", protocol.key(misplaced[0]), message, hint)
        return ()
    containers: list[LxcContainer] = []
    for name, key, node in protocol.labels("the name of a role in `lava-lxc`"):
        section = protocol.section_of(node, f"the container of role `{name[:60]}`", name)
        known = roles.known(protocol, name, key, "`lava-lxc`")
        if section is None:
            continue
        container = _read_container(section, name)
        if known:
            containers.append(container)
            _check_sharing(section, container, containers, roles)
    return tuple(containers)


def name_of(container: LxcContainer, job_id: int) -> str:
    """What the container of a job is called in the end."""
    return container.name if container.persist else f"{container.name}-{job_id}"


def _read_container(section: Section, role: str | None) -> LxcContainer:
    release_hint = 'quote a number: release: "12"'
    name = section.string("name", required=True)
    persist = section.boolean("persist", default=False)
    if name is not None:
        _check_name(section, name, persist=persist)
    distribution = section.string("distribution", required=True)
    if "release" not in section:
        section.required("release", release_hint)
    container = LxcContainer(
        role=role,
        name=name or "",
        distribution=distribution or "",
        release=section.string("release") or "",
        place=section.findings.source.place(section.node.offset),
        template=_read_template(section),
        arch=section.string("arch"),
        mirror=section.string("mirror"),
        security_mirror=section.string("security_mirror"),
        verbose=section.boolean("verbose", default=False),
        persist=persist,
    )
    check_recipe(section)
    read_timeout(section, "timeout")
    section.close()
    return container


def check_recipe(section: Section) -> None:
    """Reports what can't be handed to a template, which is a shell script that runs as root."""
    for key in ("distribution", "release", "arch", "mirror", "security_mirror"):
        node = section.get(key)
        text = node.value if isinstance(node, ScalarNode) else None
        if node is None or not isinstance(text, str) or not text:
            continue
        is_mirror = key.endswith("mirror")
        if not (MIRROR if is_mirror else WORD).fullmatch(text):
            hint = "write its address, such as `http://mirror.example/debian`"
            if not is_mirror:
                hint = "it begins with a letter or digit, and goes on with those and `._+-`"
            message = f"`{key}` of {section.title} can't be `{text[:60]}`"
            section.error("CB125", node, message, hint)


def _read_template(section: Section) -> str:
    template = section.string("template")
    if template is None or template in TEMPLATES:
        return template or "download"
    hint = did_you_mean(template, TEMPLATES) or f"it can be {listed(TEMPLATES, 'or')}"
    message = f"`template` of {section.title} can't be `{template[:60]}`"
    section.error("CB121", section.get("template") or section.node, message, hint)
    return "download"


def _check_name(section: Section, name: str, *, persist: bool) -> None:
    final = name if persist else f"{name}-{'0' * _ID_DIGITS}"
    if NAME.fullmatch(final):
        return
    node = section.get("name") or section.node
    hint = "it begins with a letter or digit, and goes on with those, `-` and `_`"
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        limit = 63 if persist else 62 - _ID_DIGITS
        hint = f"it may have {limit} characters; the job's id is added to it"
    section.error("CB120", node, f"a container can't be called `{name[:60]}`", hint)


def _check_sharing(
    section: Section, container: LxcContainer, others: list[LxcContainer], roles: Roles
) -> None:
    """Warns of nodes that want one persistent container at the same time."""
    if not container.persist:
        return
    role = roles.roles.get(container.role or "")
    twice = any(other.persist and other.name == container.name for other in others[:-1])
    if twice or (role is not None and role.count > 1):
        hint = "give each role its own, with `count: 1`, or remove `persist`"
        message = f"several nodes share the persistent container `{container.name[:60]}`"
        section.warning("CB124", section.key("persist"), message, hint)
