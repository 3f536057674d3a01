"""A guest: a login on the host of its group, whose address comes with a message."""

from collections.abc import Callable

from callboard.actors.drivers.ssh.keyring import KeyRing
from callboard.actors.drivers.ssh.link import connect
from callboard.actors.drivers.ssh.login import Login
from callboard.actors.drivers.ssh.node import SshNode
from callboard.actors.overlay import Overlay, build
from callboard.definition.address import Address


class Guest(SshNode):
    """The node of a role with `connection: ssh` (LAVA: secondary connections).

    Its overlay waits here until the address is known.

    Args:
        name: Name of the node.
        login: How it logs in.
        ring: The run's keys.
        port: At which port of the host.
        user: Who logs in.
    """

    before_login = "its boot needs `method: ssh` with `hostID` and `host_key`"
    longest_cleaning_s = 3.0

    def __init__(
        self,
        name: str,
        login: Login,
        ring: KeyRing,
        *,
        port: int = 22,
        user: str = "root",
    ) -> None:
        super().__init__(name, login, ring)
        self._port = port
        self._user = user
        self._waiting: tuple[Overlay, ...] = ()
        self._said: Callable[[str], None] = _unsaid

    def attend(self, heard: Callable[[str], None], said: Callable[[str], None]) -> None:  # noqa: ARG002 - it has no console of its own
        """Have `said` told what is said of the guest from now on."""
        self._said = said

    async def prepare(self) -> None:
        """Nothing: the host is not known yet."""

    async def install(self, overlay: Overlay) -> None:
        """Keep the overlay until `reach`; raises ValueError when it can't be built."""
        build(overlay)
        others = (each for each in self._waiting if each.root != overlay.root)
        self._waiting = (*others, overlay)

    async def reach(self, address: str) -> None:
        """Log in at an address, and put the overlays there.

        Doing so again makes a new connection.

        Raises:
            ValueError: It is no address, or an overlay can't be built.
            OSError: The host lets nobody in, or can't take the overlays.
        """
        if not address:
            raise ValueError("its host sent an empty address; is that the name of its interface?")
        where = Address(address, self._port, self._user)
        # One that stands is kept until then, for what it has left there has to be removed.
        before, self._link = self._link, await connect(where, self._login, self._ring)
        if before is not None:
            await before.close()
        for overlay in self._waiting:
            await self.put(overlay)

    async def release(self) -> None:
        """End the sessions, remove what they left on the host, and log out.

        The host may be taken down at this very moment, so that what goes wrong is only said.
        """
        try:
            await super().release()
        except OSError as error:
            self._said(str(error))


def _unsaid(_text: str) -> None:
    """Nobody attends."""
