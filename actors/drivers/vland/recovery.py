"""Puts back what runs have left on switches whose processes were killed."""

from pathlib import Path

from attrs import define, field, frozen

from callboard.actors.drivers.lock import is_held
from callboard.actors.drivers.vland.client import Client, Patience
from callboard.actors.drivers.vland.ledger import (
    Account,
    LedgerDamaged,
    ledgers,
    lock_path,
    read,
    take_over,
)
from callboard.actors.drivers.vland.records import Records
from callboard.actors.drivers.vland.undoing import undo

_HURRY = Patience(connect_s=2.0, reply_s=10.0, whole_s=15.0, attempts=2)
_LIMIT_S = 30.0


@define
class Recovered:
    """What was put back.

    Attributes:
        ports: Ports that are in their base VLANs again, or that others have now.
        vlans: Names of VLANs that are gone.
        left: What is left on switches, and why.
    """

    ports: list[str] = field(factory=list[str])
    vlans: list[str] = field(factory=list[str])
    left: list[str] = field(factory=list[str])


@frozen
class Leftover:
    """What a dead run has left.

    Attributes:
        path: Its ledger.
        account: What is to be undone; None where the ledger can't be read.
        damage: Why not.
    """

    path: Path
    account: Account | None
    damage: str = ""


async def recover(folder: Path) -> Recovered:
    """Undo what dead runs have left, as far as their daemons answer now.

    Runs that live are left alone, and so is what isn't as the dead run left it.

    Args:
        folder: Where ledgers are.
    """
    done = Recovered()
    try:
        found = ledgers(folder)
    except OSError as error:
        return Recovered(left=[f"{folder} can't be read: {error}"])
    for path in found:
        try:
            ledger = await take_over(path)
        except (LedgerDamaged, OSError) as error:
            done.left.append(str(error))
            continue
        if ledger is None:
            continue
        try:
            ports = {key: str(moved.port) for key, moved in ledger.account.ports.items()}
            vlans = set(ledger.account.vlans)
            client = Client(ledger.account.daemon, patience=_HURRY)
            done.left += await undo(Records(client), ledger, limit_s=_LIMIT_S)
            done.ports += (ports[key] for key in ports.keys() - ledger.account.ports.keys())
            done.vlans += vlans - ledger.account.vlans.keys()
        finally:
            ledger.close()
    for each in (done.ports, done.vlans):
        each.sort()
    return done


def leftovers(folder: Path) -> list[Leftover]:
    """What dead runs have left; nothing is changed. Raises OSError."""
    found: list[Leftover] = []
    for path in ledgers(folder):
        if is_held(lock_path(path)):
            continue
        try:
            account = read(path)
        except (LedgerDamaged, OSError) as error:
            found.append(Leftover(path, None, str(error)))
        else:
            if account is not None and not account.settled:
                found.append(Leftover(path, account))
    return found
