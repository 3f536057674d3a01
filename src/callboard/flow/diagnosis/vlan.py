"""VLANs that nobody makes, that connect nobody, or that a test disturbs."""

from collections.abc import Iterator, Mapping, Set

from attrs import define, field

from callboard.definition.calls import DEPLOY_VLANS, VLAND
from callboard.definition.deployment import making_roles
from callboard.definition.model import Call, Definition, VlanInterface
from callboard.definition.reader import listed
from callboard.events import Where
from callboard.flow.diagnosis.finding import Finding, line, quoted, spoken, stands, verb, written
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting
from callboard.flow.diagnosis.wait import at_first, others, place_of
from callboard.flow.shell.known import VLANS

_REQUEST = f"`{{action: lava-vland-overlay, request: {DEPLOY_VLANS}}}`"


def vlans(definition: Definition, ledger: Ledger) -> list[Finding]:
    """What is wrong with a group's VLANs.

    Args:
        definition: The group.
        ledger: Its calls.
    """
    return list(_Vlans(definition, ledger).findings())


@define
class _Vlans:
    """Looks at each VLAN, and at who deploys it."""

    definition: Definition
    ledger: Ledger
    _makers: Mapping[str, str] = field(init=False)
    _used: list[VlanInterface] = field(init=False)
    _deployed: list[Sighting] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._makers = making_roles(self.definition)
        self._used = [each for each in self.definition.vlans if each.role in self.ledger.roles]
        self._deployed = [each for each in self.ledger.calls if each.call.deploys]

    def findings(self) -> Iterator[Finding]:
        """Everything that is found."""
        unmade = list(self._unmade())
        yield from unmade
        yield from self._alone()
        blamed = {self._makers[str(call.id)] for each in unmade for _, call in each.explains}
        yield from self._undeployed(blamed)
        yield from self._again()
        yield from self._disturbed()
        yield from self._helpless()

    def _unmade(self) -> Iterator[Finding]:
        """VLANs whose users wait for one that never makes them."""
        made = {(each.role, each.call.id.text) for each in self._deployed}
        awaited = self.ledger.named("wait")
        for vlan, maker in self._makers.items():
            waits = awaited.get(vlan, [])
            deploys = [each for each in waits if each.call.deploys]
            if (maker, vlan) in made or not deploys:
                continue
            first = min(deploys, key=place_of)
            yield Finding(
                "CB235",
                first.call.where,
                at_first([first, *deploys]),
                written(first.call),
                f"waits for {spoken([maker])}, which creates the VLAN "
                f"but never calls `{DEPLOY_VLANS}`{others(first, deploys)}",
                f"add {_REQUEST} to a deploy of {quoted(maker)}",
                stands(waits),
            )

    def _alone(self) -> Iterator[Finding]:
        """VLANs with one node."""
        counts = {role.name: role.count for role in self.definition.roles}
        users: dict[str, list[VlanInterface]] = {}
        for each in self._used:
            users.setdefault(each.vlan, []).append(each)
        for vlan, own in users.items():
            if sum(counts[each.role] for each in own) == 1:
                yield Finding(
                    "CB232",
                    _where(own[0]),
                    (own[0].role,),
                    "",
                    f"role {quoted(own[0].role)} is alone on the VLAN {quoted(vlan)}",
                    "let another role use it too, or remove it",
                )

    def _undeployed(self, told: Set[str]) -> Iterator[Finding]:
        """Roles that never get into their VLANs, unless others that wait for them tell of it."""
        for role in dict.fromkeys(each.role for each in self._used):
            own = [each for each in self._used if each.role == role]
            deploys = any(each.role == role for each in self._deployed)
            if deploys or role in told:
                continue
            names = [each.vlan for each in own]
            asked = self._asked(role)
            hint = f"add {_REQUEST} to its deploy, under `protocols: {VLAND}`"
            if asked is not None:
                hint = (
                    f"it has no action {quoted(asked.action)} (line {asked.place.line}); a deploy "
                    "has `lava-vland-overlay` if tests run in its namespace"
                )
            yield Finding(
                "CB233",
                _where(own[0]),
                (role,),
                "",
                f"role {quoted(role)} never gets into the {verb(names, 'VLAN', 'VLANs')} "
                f"{listed(names)}: none of its actions calls `{DEPLOY_VLANS}`",
                hint,
            )

    def _asked(self, role: str) -> Call | None:
        """The request of a role that no action makes."""
        blocks = (each for each in self.definition.blocks if role in each.roles)
        calls = (call for block in blocks for call in block.calls)
        return next((call for call in calls if call.request == DEPLOY_VLANS), None)

    def _again(self) -> Iterator[Finding]:
        """Requests of roles that have made theirs already."""
        first: dict[tuple[str, str], Sighting] = {}
        for each in self._deployed:
            before = first.setdefault((each.role, str(each.call.id)), each)
            where = each.call.where
            if before is not each:
                yield Finding(
                    "CB234",
                    where,
                    (each.role,),
                    f"`{DEPLOY_VLANS}`",
                    f"is requested again, after {line(before.call.where, where)}",
                    "remove it: a job's VLANs stay until it ends",
                )

    def _disturbed(self) -> Iterator[Finding]:
        """Messages that may be taken for that of a VLAN."""
        names = {str(each.call.id): each for each in self._deployed}
        for each in self.ledger.calls:
            call = each.call
            if call.call != "send" or call.deploys or call.id.text not in names:
                continue
            at = line(names[call.id.text].call.where, call.where)
            yield Finding(
                "CB236",
                call.where,
                (each.role,),
                written(call),
                f"has the ID of the message that tells of a VLAN (`{DEPLOY_VLANS}`, {at})",
                "give the message an ID that is no VLAN's name",
            )

    def _helpless(self) -> Iterator[Finding]:
        """Helpers that are not there."""
        connected = {each.role for each in self._used}
        for role, command in self.ledger.commands:
            name = command.text.split(maxsplit=1)[0] if command.text.strip() else ""
            if name in VLANS and role not in connected:
                yield Finding(
                    "CB237",
                    command.where,
                    (role,),
                    quoted(name),
                    "is not there: the job has no VLANs",
                    f"give {spoken([role])} a VLAN in `protocols: {VLAND}`, or remove the command"
                    if role
                    else "VLANs connect the nodes of a MultiNode job; remove the command",
                )


def _where(vlan: VlanInterface) -> Where:
    return Where(vlan.place.file, vlan.place.line, vlan.place.column, "")
