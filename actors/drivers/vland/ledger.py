"""What a run has changed on switches, on disk before it is asked for.

A run that is killed leaves its ledger, and the next one puts things back. Each line is one
record; a line without an end was never finished, so that nothing was asked for yet.
"""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

from attrs import define, field, frozen

from callboard.actors.drivers.lock import Lock, lock_of_the_dead, try_lock
from callboard.actors.drivers.switches import Port
from callboard.actors.errors import InfrastructureError
from callboard.definition.vland import Daemon

_LOCKS = ".locks"
_SUFFIX = ".ledger"


class LedgerDamaged(Exception):
    """A ledger can't be read; the text says which one, and where."""


@frozen
class Moved:
    """A port that was put into a VLAN, or was about to be.

    Attributes:
        port: Where somebody is plugged in.
        port_id: What the daemon calls it.
        vlan_id: The same of the VLAN.
    """

    port: Port
    port_id: int
    vlan_id: int


@frozen
class Made:
    """A VLAN that was made, or was about to be.

    Attributes:
        name: What it is called.
        id: What the daemon calls it; None where it hasn't said so.
    """

    name: str
    id: int | None = None


@define
class Account:
    """What is not yet undone.

    Attributes:
        daemon: The daemon that was asked.
        vlans: VLANs, by their names, which are unique within a run.
        ports: Ports, by the daemon's ids.
    """

    daemon: Daemon
    vlans: dict[str, Made] = field(factory=dict[str, Made])
    ports: dict[int, Moved] = field(factory=dict[int, Moved])

    @property
    def settled(self) -> bool:
        """Whether everything is undone."""
        return not self.vlans and not self.ports


class Ledger:
    """The ledger of a run, which this process keeps; made by `open_ledger` and `take_over`.

    Each of its methods writes, and returns when that is on disk.

    Raises:
        InfrastructureError: It can't be written.
    """

    def __init__(self, path: Path, account: Account, lock: Lock) -> None:
        self.account = account
        self._path = path
        self._lock = lock
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._cut()

    def begin(self) -> None:
        """Say which daemon it is about; raises OSError."""
        self._append({"host": self.account.daemon.host, "port": self.account.daemon.port})

    def making(self, name: str) -> None:
        """A VLAN is about to be made."""
        self.account.vlans[name] = Made(name)
        self._write({"making": name})

    def made(self, name: str, vlan_id: int) -> None:
        """It was made."""
        self.account.vlans[name] = Made(name, vlan_id)
        self._write({"made": name, "id": vlan_id})

    def gone(self, name: str) -> None:
        """It is no more, or was never made."""
        self.account.vlans.pop(name, None)
        self._write({"gone": name})

    def moving(self, moved: Moved) -> None:
        """A port is about to be moved."""
        self.account.ports[moved.port_id] = moved
        port = moved.port
        where = [port.device, port.interface, port.switch, port.number]
        self._write({"moving": moved.port_id, "vlan": moved.vlan_id, "where": where})

    def restored(self, port_id: int) -> None:
        """It is where it was, or somebody else has it."""
        self.account.ports.pop(port_id, None)
        self._write({"restored": port_id})

    def close(self) -> None:
        """Keep it for the next run if anything is left to undo, or remove it."""
        if self.account.settled:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._lock.release()

    def _write(self, record: dict[str, object]) -> None:
        try:
            self._append(record)
        except OSError as error:
            raise InfrastructureError(
                f"{self._path} can't be written, and without it nothing is changed: {error}; name"
                " another state directory with $CALLBOARD_STATE"
            ) from None

    def _append(self, record: dict[str, object]) -> None:
        line = json.dumps(record).encode() + b"\n"
        if os.write(self._descriptor, line) < len(line):
            self._cut()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._descriptor)

    def _cut(self) -> None:
        """Take away a line without an end: what is appended is to begin a line of its own."""
        text = os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.ftruncate(self._descriptor, whole)


def open_ledger(folder: Path, run: str, daemon: Daemon) -> Ledger:
    """Begin the ledger of a run; raises OSError."""
    (folder / _LOCKS).mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{run}{_SUFFIX}"
    lock = try_lock(lock_path(path))
    if lock is None:
        raise OSError(f"the ledger of run {run} belongs to another process")
    lock.note(run)
    try:
        ledger = Ledger(path, Account(daemon), lock)
        ledger.begin()
        _sync(folder)
    except BaseException:
        lock.release()
        raise
    return ledger


async def take_over(path: Path) -> Ledger | None:
    """The ledger of a run whose process is dead; None where it lives, or is settled.

    Raises:
        LedgerDamaged: It can't be read.
        OSError: The same of the disk.
    """
    lock_path(path).parent.mkdir(exist_ok=True, mode=0o700)
    lock = await lock_of_the_dead(lock_path(path))
    if lock is None:
        return None
    try:
        ledger = _take(path, lock)
    except BaseException:
        lock.release()
        raise
    if ledger is None:
        lock.release()
    return ledger


def _take(path: Path, lock: Lock) -> Ledger | None:
    account = read(path) if path.exists() else None
    if account is None or account.settled:
        path.unlink(missing_ok=True)
        return None
    lock.note(path.stem)
    return Ledger(path, account, lock)


def lock_path(ledger: Path) -> Path:
    """The file that is locked by whoever keeps a ledger."""
    return ledger.parent / _LOCKS / ledger.stem


def ledgers(folder: Path) -> list[Path]:
    """Every ledger that there is, of the living and of the dead; raises OSError."""
    return sorted(folder.glob(f"*{_SUFFIX}"))


def read(path: Path) -> Account | None:
    """What a ledger says is not undone; None where it was never begun.

    Raises:
        LedgerDamaged: Its text is no ledger's.
        OSError: It can't be read.
    """
    account: Account | None = None
    for number, line in enumerate(_lines(path), 1):
        try:
            account = _follow(account, json.loads(line))
        except (ValueError, KeyError, TypeError):
            raise LedgerDamaged(
                f"line {number} of {path} can't be read; look into it, put back by hand what it"
                " lists, and remove it"
            ) from None
    return account


def _follow(account: Account | None, record: dict[str, object]) -> Account:
    if account is None:
        match record:
            case {"host": str() as host, "port": int() as port}:
                return Account(Daemon(host, port))
            case _:
                raise ValueError("it begins with the daemon")
    match record:
        case {"making": str() as name}:
            account.vlans[name] = Made(name)
        case {"made": str() as name, "id": int() as vlan_id}:
            account.vlans[name] = Made(name, vlan_id)
        case {"gone": str() as name}:
            account.vlans.pop(name, None)
        case {
            "moving": int() as port_id,
            "vlan": int() as vlan_id,
            "where": [str() as device, str() as interface, str() as switch, int() as number],
        }:
            plugged = Port(device, interface, switch, number)
            account.ports[port_id] = Moved(plugged, port_id, vlan_id)
        case {"restored": int() as port_id}:
            account.ports.pop(port_id, None)
        case _:
            raise ValueError("no such record")
    return account


def _lines(path: Path) -> Iterator[str]:
    whole, end, _rest = path.read_text(errors="replace").rpartition("\n")
    return iter(whole.split("\n") if end else ())


def _sync(folder: Path) -> None:
    """Have the name of a new file on disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
