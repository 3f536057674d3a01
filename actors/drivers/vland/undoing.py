"""Puts ports back and deletes VLANs, as far as a ledger says that they are a run's own."""

import contextlib
import math

import anyio

from callboard.actors.drivers.switches import Port
from callboard.actors.drivers.vland.client import Lost, Refused
from callboard.actors.drivers.vland.ledger import Ledger, Made, Moved
from callboard.actors.drivers.vland.records import Records, Untold
from callboard.actors.errors import ActionError, ConfigurationError, InfrastructureError

_ATTEMPTS = 2
"""So often a VLAN is deleted whose daemon doesn't say whether it was."""


async def restore(records: Records, ledger: Ledger, moved: Moved) -> None:
    """Put a port back into its base VLAN, and see that it is there.

    Raises:
        InfrastructureError: The daemon has not done it.
        JobError: It was busy for too long.
    """
    try:
        await records.restore(moved.port_id)
    except Refused as refused:
        if not await _is_at_base(records, moved.port_id):
            raise InfrastructureError(
                f"{records.client} has not put {moved.port} back: {refused.reason}; the next run"
                " tries again"
            ) from None
    with contextlib.suppress(Untold):
        record = await records.port(moved.port_id)
        if record.current != record.base:
            raise InfrastructureError(
                f"{records.client} says that it has put {moved.port} back, but the port is in VLAN"
                f" {record.current}, and not in its base VLAN {record.base}"
            )
    ledger.restored(moved.port_id)


async def delete(records: Records, ledger: Ledger, name: str, vlan_id: int) -> None:
    """Delete a VLAN, and see that it is gone; one that is gone already is none.

    Raises:
        InfrastructureError: The daemon has not done it.
        JobError: It was busy for too long.
    """
    reason = "it says that it has"
    for _ in range(_ATTEMPTS):
        failure = await _failure(records, vlan_id)
        gone = await _is_gone(records, name, vlan_id)
        if gone or (gone is None and failure is None):
            ledger.gone(name)
            return
        if failure is not None:
            reason = failure.reason if isinstance(failure, Refused) else str(failure)
        if not isinstance(failure, Lost):
            break
    raise InfrastructureError(
        f"{records.client} has not deleted VLAN `{name}`: {reason}; the next run tries again"
    )


async def _failure(records: Records, vlan_id: int) -> Refused | Lost | None:
    try:
        await records.delete(vlan_id)
    except (Refused, Lost) as error:
        return error
    return None


async def _is_gone(records: Records, name: str, vlan_id: int) -> bool | None:
    """Whether there is no such VLAN; None where the daemon doesn't tell."""
    try:
        return await records.vlan_id(name) != vlan_id
    except Untold:
        return None


async def undo(records: Records, ledger: Ledger, *, limit_s: float = math.inf) -> list[str]:
    """Undo what a ledger lists, where the daemon's records say that it is still as the run left it.

    Args:
        records: The daemon's.
        ledger: What was changed; each thing undone is written there.
        limit_s: How long it may take, in seconds.

    Returns:
        What is left, and why.
    """
    account = ledger.account
    reasons: dict[int | str, str] = {}
    otherwise = "there was no time for it"
    with anyio.move_on_after(limit_s):
        try:
            for port_id, moved in list(account.ports.items()):
                reasons[port_id] = await _undo_move(records, ledger, moved)
            for name, made in list(account.vlans.items()):
                reasons[name] = await _undo_make(records, ledger, made)
        except ActionError as error:  # of the daemon: nothing else would fare better
            otherwise = str(error)
    ports = (
        f"{moved.port} is still in VLAN {moved.vlan_id}: {reasons.get(port_id, otherwise)}"
        for port_id, moved in account.ports.items()
    )
    vlans = (
        f"VLAN `{name}` is still there: {reasons.get(name, otherwise)}" for name in account.vlans
    )
    return [*ports, *vlans]


async def _undo_move(records: Records, ledger: Ledger, moved: Moved) -> str:
    """Put a port back if it is where the run has put it; returns why it isn't put back."""
    try:
        if await _is_where_it_was_put(records, ledger, moved):
            await restore(records, ledger, moved)
        else:
            ledger.restored(moved.port_id)
    except Untold:
        return f"{records.client} doesn't tell where the port is; look there"
    except Refused as refused:
        return refused.reason
    return ""


async def _is_where_it_was_put(records: Records, ledger: Ledger, moved: Moved) -> bool:
    """Whether a port, and the VLAN that it is in, are still the run's; raises Untold."""
    try:
        port_id = await _port_id(records, moved.port)
    except ConfigurationError:
        return False  # the daemon doesn't have it any more
    if port_id != moved.port_id or (await records.port(port_id)).current != moved.vlan_id:
        return False
    names = [each.name for each in ledger.account.vlans.values() if each.id == moved.vlan_id]
    return bool(names) and await records.vlan_id(names[0]) == moved.vlan_id


async def _port_id(records: Records, port: Port) -> int:
    assert port.switch is not None, "it was moved there"
    assert port.number is not None, "it was moved there"
    return await records.port_id(port.switch, await records.switch_id(port.switch), port.number)


async def _undo_make(records: Records, ledger: Ledger, made: Made) -> str:
    """Delete a VLAN if it is the one that the run has made; returns why it isn't deleted."""
    try:
        there = await records.vlan_id(made.name)
        if there is None or there != (made.id or there):
            ledger.gone(made.name)
        elif any(moved.vlan_id == there for moved in ledger.account.ports.values()):
            return "a port is in it"
        else:
            await delete(records, ledger, made.name, there)
    except Untold:
        return f"{records.client} doesn't tell which VLANs it has; look there"
    except Refused as refused:
        return refused.reason
    return ""


async def _is_at_base(records: Records, port_id: int) -> bool:
    try:
        record = await records.port(port_id)
    except Untold:
        return False
    return record.current == record.base
