"""Whether the switches of a lab can be used, and what dead runs have left on them."""

from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from callboard.actors.drivers.vland.client import Client, Patience, Refused
from callboard.actors.drivers.vland.records import Records
from callboard.actors.drivers.vland.recovery import Leftover, leftovers
from callboard.actors.errors import ActionError, ConfigurationError
from callboard.definition.vland import Daemon

_HURRY = Patience(connect_s=3.0, reply_s=10.0, whole_s=15.0, attempts=1)


@frozen
class Finding:
    """Something about switches.

    Attributes:
        name: What it is about.
        ok: Whether it is as it should be.
        detail: How it is.
        cure: What would mend it, None when nothing needs to be.
    """

    name: str
    ok: bool
    detail: str
    cure: str | None = None


async def examine_daemon(daemon: Daemon, switches: Iterable[str]) -> Finding:
    """Whether a daemon answers, and knows the switches that a devices file names."""
    records = Records(Client(daemon, patience=_HURRY))
    names = sorted(set(switches))
    unknown: list[str] = []
    try:
        # Of a name that no switch has, the daemon says so: that it does is enough.
        for name in names or [""]:
            try:
                await records.switch_id(name)
            except (ConfigurationError, Refused):
                unknown += [name] * bool(names)
    except ActionError as error:
        detail, _, cure = str(error).partition("; ")
        return Finding("VLANd", False, detail, cure or None)
    if unknown:
        detail = f"the one at {daemon} doesn't know {', '.join(unknown)}"
        cure = "register it there, or mend `switch` in the devices file"
        return Finding("VLANd", False, detail, cure)
    known = f", and knows {', '.join(names)}" if names else ""
    return Finding("VLANd", True, f"answers at {daemon}{known}")


def examine_leftovers(folder: Path) -> list[Finding]:
    """What dead runs have left on switches; none where all is as it should be.

    Args:
        folder: Where ledgers are.
    """
    try:
        return [_leftover(each) for each in leftovers(folder)]
    except OSError as error:
        return [Finding("left on switches", False, f"{folder} can't be read: {error}")]


def _leftover(found: Leftover) -> Finding:
    name = "left on switches"
    if found.account is None:
        return Finding(name, False, found.damage)
    account = found.account
    parts = [f"{moved.port} in VLAN {moved.vlan_id}" for moved in account.ports.values()]
    parts += [f"VLAN {made.name}" for made in account.vlans.values()]
    detail = f"by a run that was killed, through VLANd at {account.daemon}: {'; '.join(parts)}"
    cure = (
        "the next `callboard run` puts it back if the daemon answers; after doing that by hand,"
        f" remove {found.path}"
    )
    return Finding(name, False, detail, cure)
