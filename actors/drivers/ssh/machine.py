"""A fixed machine of the devices file, which stays when the job has ended."""

import contextlib
import shlex

import anyio
from attrs import evolve

from callboard.actors.drivers import Console
from callboard.actors.drivers.local import BASH_SYSTEMS
from callboard.actors.drivers.ssh.keyring import KeyRing
from callboard.actors.drivers.ssh.link import connect
from callboard.actors.drivers.ssh.login import Login
from callboard.actors.drivers.ssh.node import SshNode
from callboard.actors.overlay import Overlay
from callboard.actors.overlay.builder import LAVA_CACHE
from callboard.definition.address import Address

_LONGEST_CHANGE_S = 30.0

# A line is added to the file, for the others in it are none of this run's.
_AUTHORIZE = """
umask 077
mkdir -p "$HOME/.ssh" && cd "$HOME/.ssh" || exit
if [ -s authorized_keys ] && [ -n "$(tail -c 1 authorized_keys)" ]; then
    echo >> authorized_keys
fi
printf '%s\\n' {key} >> authorized_keys
"""
_WITHDRAW = """
cd "$HOME/.ssh" || exit
umask 077
grep -vxF {key} authorized_keys > authorized_keys.callboard
cat authorized_keys.callboard > authorized_keys && rm authorized_keys.callboard
"""


class Machine(SshNode):
    """A device of driver `ssh`.

    Args:
        name: Name of the device.
        address: Where it is.
        login: How to log in.
        ring: The run's keys.
    """

    def __init__(self, name: str, address: Address, login: Login, ring: KeyRing) -> None:
        super().__init__(name, login, ring)
        self._address = address
        self._authorized: dict[str, None] = {}
        self._killed = False

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache, where LAVA has it: the job has the machine for itself."""
        return LAVA_CACHE

    async def prepare(self) -> None:
        """Log in; raises OSError."""
        self._link = await connect(self._address, self._login, self._ring)

    def overlay_root(self, job_id: int) -> str:
        """The overlay lies where LAVA has it, or in the user's home where that can't be."""
        host = self.link.host
        return f"/lava-{job_id}" if host.open else f"{host.home.rstrip('/')}/lava-{job_id}"

    def shell(self, os: str | None) -> str:
        """`/bin/bash` for systems that LAVA tests with bash if it is there, else `/bin/sh`."""
        return "/bin/bash" if os in BASH_SYSTEMS and self.link.host.bash else "/bin/sh"

    async def install(self, overlay: Overlay) -> None:
        """Copy the overlay to the machine; raises OSError and ValueError.

        Guests are let in by one more line of the user's `authorized_keys`, until the job ends.
        The machine keeps its own host keys.
        """
        await self.put(evolve(overlay, access=None))
        if overlay.access is not None and overlay.access.authorized not in self._authorized:
            key = overlay.access.authorized
            script = _AUTHORIZE.format(key=shlex.quote(key))
            ran = await self.link.run(script, limit_s=_LONGEST_CHANGE_S)
            if ran.status:
                reason = " ".join(ran.errors.split())
                raise OSError(f"{self.link.address} lets no guests in: {reason}")
            self._authorized[key] = None

    async def open_shell(self) -> Console:
        """Start a shell; logs in again where the machine has started anew. Raises OSError."""
        await self._log_in_again()
        return await super().open_shell()

    def kill(self) -> None:
        """End the connection; the machine ends the sessions of it."""
        self._killed = True
        super().kill()

    async def release(self) -> None:
        """End the sessions, remove what they left, and log out.

        Where the connection was lost, a new one is made for it, if that can be.

        Raises:
            OSError: Something is left there; not when the machine is gone.
        """
        if self._link is not None and not self._killed:
            with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
                await self._log_in_again()
        await super().release()

    async def _log_in_again(self) -> None:
        """Have a connection that stands; raises OSError."""
        lost = self.link
        if not lost.lives:
            self._link = await connect(self._address, self._login, self._ring)
            await lost.close()

    def cleaning(self) -> str:
        """Take the lines for guests out again."""
        keys = (shlex.quote(key) for key in self._authorized)
        return "".join(f"({_WITHDRAW.format(key=key)})\n" for key in keys)
