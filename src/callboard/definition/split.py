"""The split of a definition into the jobs of its nodes, as LAVA's scheduler does it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial

from attrs import evolve, frozen

from callboard.definition.containers import NAME, name_of
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.dumper import dump
from callboard.definition.masking import MASK, masked
from callboard.definition.model import Definition, LxcContainer, NodeJob, Plain, Role
from callboard.definition.reader import did_you_mean, listed

WAIT_LIMIT_S = 30
"""LAVA's limit of a blocking call when neither role nor group has a `timeout`."""

START_LIMIT_S = 90
"""LAVA's limit of a delayed start when neither role nor group has a `timeout`."""

_EVERYBODY = -7046029254386353131
"""Stands in the text of a job where the group is listed, until that is put there."""

_COPIED = (
    "timeouts",
    "priority",
    "visibility",
    "notify",
    "metadata",
    "reboot_to_fastboot",
    "secrets",
)
_ROLE_TO_TOP = ("device_type", "connection", "host_role", "context")


def split(
    definition: Definition, *, first_id: int, group: str, counts: Mapping[str, int] | None = None
) -> tuple[NodeJob, ...]:
    """The jobs of the group: role by role in the order written, `count` of each.

    Args:
        definition: A validated definition; one without roles gives one job.
        first_id: Id of the first job; the others follow it.
        group: The group's label, LAVA's `target_group`.
        counts: Other counts for some roles than the definition's.

    Raises:
        DefinitionError: `counts` names a role that isn't there, or a container's name becomes
            too long with its job's id.
    """
    if not definition.multinode:
        return (_single(definition, first_id),)
    members = tuple(_members(definition, first_id, counts or {}))
    text = _Text(definition, group, members)
    return tuple(_node(definition, member, text) for member in members)


def one_a_role(definition: Definition) -> tuple[NodeJob, ...]:
    """One job for each role that has nodes, for all jobs of a role are alike."""
    counts = {role.name: min(role.count, 1) for role in definition.roles}
    return split(definition, first_id=1, group="", counts=counts)


def scaled(definition: Definition, counts: Mapping[str, int]) -> Definition:
    """The definition with other counts of nodes for some roles.

    Raises:
        DefinitionError: `counts` names a role that isn't there.
    """
    _know(definition, counts)
    roles = (evolve(role, count=counts.get(role.name, role.count)) for role in definition.roles)
    return evolve(definition, roles=tuple(roles))


def group_first(definition: Definition) -> Definition:
    """The definition with LAVA's own order of limits: the group's `timeout` wins over a role's."""
    if definition.group_timeout_s is None:
        return definition
    roles = (evolve(role, timeout_s=None) for role in definition.roles)
    return evolve(definition, roles=tuple(roles))


@frozen
class _Member:
    id: int
    sub_id: int
    role: Role


def _members(definition: Definition, first_id: int, counts: Mapping[str, int]) -> Iterator[_Member]:
    _know(definition, counts)
    sub_id = 0
    for role in definition.roles:
        for _ in range(counts.get(role.name, role.count)):
            yield _Member(first_id + sub_id, sub_id, role)
            sub_id += 1


def _know(definition: Definition, counts: Mapping[str, int]) -> None:
    names = [role.name for role in definition.roles]
    for name in counts:
        if name not in names:
            hint = did_you_mean(name, names) or f"the roles are {listed(names)}"
            message = f"role `{name}` is not defined, but a count is given for it"
            raise DefinitionError([Diagnostic("CB057", "error", message, hint=hint)])


def _node(definition: Definition, member: _Member, text: "_Text") -> NodeJob:
    role = member.role
    wait_s = definition.group_timeout_s if role.timeout_s is None else role.timeout_s
    return NodeJob(
        id=member.id,
        sub_id=member.sub_id,
        job_name=definition.job_name,
        role=role,
        device_type=role.device_type,
        timeouts=definition.timeouts,
        blocks=tuple(block for block in definition.blocks if role.name in block.roles),
        wait_limit_s=wait_s or WAIT_LIMIT_S,
        start_limit_s=wait_s or START_LIMIT_S,
        environment=role.environment,
        text=partial(text.of, member),
        container=_container(definition, role.name, member.id),
        vlans=tuple(vlan for vlan in definition.vlans if vlan.role == role.name),
        tags=role.tags,
    )


def _single(definition: Definition, job_id: int) -> NodeJob:
    return NodeJob(
        id=job_id,
        sub_id=0,
        job_name=definition.job_name,
        role=None,
        device_type=definition.device_type,
        timeouts=definition.timeouts,
        blocks=definition.blocks,
        wait_limit_s=WAIT_LIMIT_S,
        start_limit_s=START_LIMIT_S,
        environment=definition.environment,
        text=definition.masked_text,
        container=_container(definition, None, job_id),
        tags=definition.tags,
    )


def _container(definition: Definition, role: str | None, job_id: int) -> LxcContainer | None:
    for container in definition.containers:
        if container.role == role:
            name = name_of(container, job_id)
            if not NAME.fullmatch(name):
                message = f"a container can't be called `{name}`"
                hint = "with the job's id it may have 63 characters"
                raise DefinitionError(
                    [Diagnostic("CB120", "error", message, container.place, hint, role=role)]
                )
            return container
    return None


@frozen
class _Text:
    """Writes node jobs as LAVA's split would.

    Each lists the whole group, so the text is made when it is asked for and not kept.
    """

    definition: Definition
    group: str
    members: Sequence[_Member]

    def of(self, member: _Member) -> str:
        """One member's own definition."""
        data = self.definition.data
        role = _map(_map(_map(data, "protocols"), "lava-multinode"), "roles")
        own = _map(role, member.role.name)
        job: dict[str, Plain] = {"job_name": data["job_name"]}
        job |= {key: own[key] for key in _ROLE_TO_TOP if key in own}
        job |= {key: data[key] for key in _COPIED if key in data}
        if "secrets" in job:
            job["secrets"] = dict.fromkeys(self.definition.secrets, MASK)
        job["protocols"] = self._protocols(member, own)
        job["actions"] = list(_actions(data["actions"], member.role.name))
        text = dump(masked(job, self._hidden))
        return text.replace(f" {_EVERYBODY}\n", f"\n{self._roles}", 1)

    @property
    def _hidden(self) -> set[str]:
        return {*self.definition.secrets.values(), *self.definition.hidden}

    @cached_property
    def _roles(self) -> str:
        """The lines that list the group, which are most of a job of a large one."""
        roles: dict[str, Plain] = {
            str(each.id): each.role.name for each in self.members if each.role.connection is None
        }
        nested: dict[str, Plain] = {"protocols": {"lava-multinode": {"roles": roles}}}
        return dump(masked(nested, self._hidden)).split("\n", 3)[3]

    def _protocols(self, member: _Member, own: Mapping[str, Plain]) -> dict[str, Plain]:
        name = member.role.name
        protocols = _map(self.definition.data, "protocols")
        written = _map(protocols, "lava-multinode")
        multinode: dict[str, Plain] = {
            "target_group": self.group,
            "role": name,
            "group_size": len(self.members),
            "sub_id": member.sub_id,
        }
        left_out = {"count", *_ROLE_TO_TOP}
        multinode |= {key: value for key, value in own.items() if key not in left_out}
        if "timeout" in written and "timeout" not in own:
            multinode["timeout"] = written["timeout"]
        multinode["roles"] = _EVERYBODY
        result: dict[str, Plain] = {"lava-multinode": multinode}
        for protocol, value in protocols.items():
            if protocol in {"lava-lxc", "lava-vland"}:
                if isinstance(value, dict) and name in value:
                    result[protocol] = value[name]
            elif protocol != "lava-multinode":
                result[protocol] = value
        return result


def _actions(actions: Plain, role: str) -> Iterator[Plain]:
    for action in actions if isinstance(actions, list) else ():
        if isinstance(action, dict):
            for kind, block in action.items():
                if isinstance(block, dict) and _names(block.get("role"), role):
                    yield {kind: block | {"role": role}}


def _names(written: Plain, role: str) -> bool:
    return role in written if isinstance(written, list) else role == written


def _map(data: Mapping[str, Plain], key: str) -> dict[str, Plain]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}
