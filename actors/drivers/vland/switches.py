"""Moves the ports of real switches through VLANd, and checks what was done."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from attrs import define, field

from callboard.actors.drivers.switches import Port, Vlan
from callboard.actors.drivers.vland.client import Client, Lost, Refused
from callboard.actors.drivers.vland.ledger import Ledger, Moved, open_ledger
from callboard.actors.drivers.vland.records import PortRecord, Records, Untold
from callboard.actors.drivers.vland.undoing import delete, restore, undo
from callboard.actors.errors import ConfigurationError, InfrastructureError, JobError
from callboard.definition.vland import Daemon

_AT_ONCE = 4
_UNDOING_S = 20.0


@contextlib.asynccontextmanager
async def open_vland(
    daemon: Daemon, folder: Path, run: str, *, client: Client | None = None
) -> AsyncIterator["VlandSwitches"]:
    """The switches that a daemon manages, for one run.

    What the run changes stands in its ledger. On leaving, what is not undone is tried once more;
    what can't be stays in the ledger, for the next run.

    Args:
        daemon: Where the daemon is; it is asked only when something is wanted.
        folder: Where ledgers are.
        run: The run's UUID.
        client: What asks the daemon; None for one with the usual patience.

    Raises:
        OSError: The ledger can't be written.
    """
    ledger = open_ledger(folder, run, daemon)
    records = Records(client or Client(daemon))
    try:
        yield VlandSwitches(records, ledger)
    finally:
        with anyio.CancelScope(shield=True):
            await undo(records, ledger, limit_s=_UNDOING_S)
        ledger.close()


@define(eq=False)
class VlandSwitches:
    """See `Switches`; made by `open_vland`.

    Attributes:
        records: The daemon's.
        ledger: What was changed.
    """

    records: Records
    ledger: Ledger
    _switches: dict[str, int] = field(factory=dict[str, int], init=False)
    _ports: dict[tuple[str, int], int] = field(factory=dict[tuple[str, int], int], init=False)
    _turns: anyio.CapacityLimiter = field(
        factory=lambda: anyio.CapacityLimiter(_AT_ONCE), init=False
    )

    async def create(self, name: str) -> Vlan:
        """Make a VLAN, with a tag that is free.

        Raises:
            JobError: The daemon refuses, or was busy for too long.
            InfrastructureError: It can't be reached, or makes no sense; or others have a VLAN of
                that name.
        """
        async with self._turns:
            try:
                return await self._create(name)
            except Lost:
                # It may be there or not: looked up by its name, it is made anew for certain.
                return await self._create(name)

    async def _create(self, name: str) -> Vlan:
        with contextlib.suppress(Untold):
            if (there := await self.records.vlan_id(name)) is not None:
                if name not in self.ledger.account.vlans:
                    raise InfrastructureError(
                        f"{self.records.client} has a VLAN `{name}` already, with id {there}, that"
                        " is not of this run; delete it there if nobody needs it"
                    )
                await self.records.delete(there)
        self.ledger.making(name)
        try:
            vlan = await self.records.create(name)
        except Refused as refused:
            self.ledger.gone(name)
            # LAVA's words, since its users know them.
            raise JobError(
                f"Deploy vlans failed for {name}: {refused.reason} ({self.records.client})"
            ) from None
        self.ledger.made(name, vlan.id)
        return vlan

    async def move(self, port: Port, vlan: Vlan) -> None:
        """Put a port into a VLAN, and see that it is there.

        Raises:
            InfrastructureError: The port is locked, or in use by others; or the daemon has not
                moved it.
            ConfigurationError: The daemon doesn't know its switch or its number.
            JobError: The daemon was busy for too long.
        """
        async with self._turns:
            port_id = await self._port_id(port)
            with contextlib.suppress(Untold):
                self._check_free(port, port_id, await self.records.port(port_id))
            self.ledger.moving(Moved(port, port_id, vlan.id))
            try:
                await self.records.move(port_id, vlan.id)
            except Refused as refused:
                raise InfrastructureError(
                    f"{self.records.client} has not moved {port} to VLAN `{vlan.name}`:"
                    f" {refused.reason}"
                ) from None
            with contextlib.suppress(Untold):
                record = await self.records.port(port_id)
                if record.current != vlan.id:
                    raise InfrastructureError(
                        f"{self.records.client} says that it has moved {port} to VLAN"
                        f" `{vlan.name}`, but the port is in VLAN {record.current}; its log says"
                        " why"
                    )

    async def restore(self, port: Port) -> None:
        """Put a port back into its base VLAN; one that was never moved is left alone.

        Raises:
            InfrastructureError: The daemon has not done it.
            JobError: It was busy for too long.
        """
        async with self._turns:
            port_id = self._ports.get(_socket(port))
            if port_id is not None and port_id in self.ledger.account.ports:
                await restore(self.records, self.ledger, self.ledger.account.ports[port_id])

    async def delete(self, vlan: Vlan) -> None:
        """Remove a VLAN in which no port is any more; one that is gone already is none.

        Raises:
            InfrastructureError: The daemon has not done it.
            JobError: It was busy for too long.
        """
        async with self._turns:
            if vlan.name in self.ledger.account.vlans:
                await delete(self.records, self.ledger, vlan.name, vlan.id)

    async def _port_id(self, port: Port) -> int:
        switch, number = _socket(port)
        if switch not in self._switches:
            self._switches[switch] = await self.records.switch_id(switch)
        if (switch, number) not in self._ports:
            found = await self.records.port_id(switch, self._switches[switch], number)
            self._ports[switch, number] = found
        return self._ports[switch, number]

    def _check_free(self, port: Port, port_id: int, record: PortRecord) -> None:
        """See that a port may be moved, and that nobody else has moved it."""
        if record.locked:
            raise InfrastructureError(
                f"{port} is locked in {self.records.client}, as ports of a lab's infrastructure"
                " are; see that `switch` and `port` are right, or unlock it there"
            )
        if record.trunk:
            raise InfrastructureError(
                f"{port} is a trunk in {self.records.client}, and in no VLAN; see that `switch` and"
                " `port` are right, or set its mode to `access` there"
            )
        if record.current != record.base and port_id not in self.ledger.account.ports:
            raise InfrastructureError(
                f"{port} is in VLAN {record.current} of {self.records.client}, and not in its base"
                f" VLAN {record.base}: others use it, or have left it there; restore it there if"
                " nobody does"
            )


def _socket(port: Port) -> tuple[str, int]:
    if port.switch is None or port.number is None:
        raise ConfigurationError(
            f"{port} is on no switch, so that VLANd can't move it; write `switch` and `port` of the"
            " interface in the devices file"
        )
    return port.switch, port.number
