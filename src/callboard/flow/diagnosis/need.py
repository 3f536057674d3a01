"""Essential roles, and who needs them."""

from callboard.definition.model import Definition, Role
from callboard.events import Where
from callboard.flow.diagnosis.finding import Finding, quoted
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.sighting import Sighting


def unneeded(definition: Definition, ledger: Ledger) -> list[Finding]:
    """Essential roles that no other role waits for, as far as every call is seen."""
    if ledger.guessed or len(ledger.roles) < 2:
        return []
    return [
        Finding(
            "CB174",
            Where(role.place.file, role.place.line, role.place.column, ""),
            (role.name,),
            "",
            f"role {quoted(role.name)} is essential, but no other role waits for it",
            "remove `essential`, or let the others wait for what it sends",
        )
        for role in definition.roles
        if role.essential and role.name in ledger.roles and not _is_needed(role, definition, ledger)
    ]


def _is_needed(role: Role, definition: Definition, ledger: Ledger) -> bool:
    if any(each.host_role == role.name and each.count for each in definition.roles):
        return True  # the others log in to its device
    own = [each for each in ledger.calls if each.role == role.name]
    sent = [each for each in own if each.call.call == "send"]
    if any(each.call.call == "sync" for each in own):
        return True
    return any(_waits_for(each, role.name, sent) for each in ledger.calls if each.role != role.name)


def _waits_for(sighting: Sighting, role: str, sent: list[Sighting]) -> bool:
    call = sighting.call
    match call.call:
        case "start" | "wait-all" if call.role is not None:
            return call.role.may_be(role)
        case "wait-all":
            return True
        case "wait":
            return any(_may_meet(each, sighting) for each in sent)
        case _:
            return False


def _may_meet(sent: Sighting, waiting: Sighting) -> bool:
    known = waiting.call.id.text
    if known is None:
        return sent.call.id.text is None or waiting.call.id.may_be(sent.call.id.text)
    return sent.call.id.may_be(known)
