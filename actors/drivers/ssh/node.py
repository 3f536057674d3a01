"""What guests and fixed machines have in common: a connection, files on a host, and shells."""

import os
import shlex
import uuid

import anyio

from callboard.actors.drivers import Console
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.local import BASH_SYSTEMS, COMMAND_LOOP
from callboard.actors.drivers.processes import MARK
from callboard.actors.drivers.ssh.keyring import KeyRing
from callboard.actors.drivers.ssh.link import Link
from callboard.actors.drivers.ssh.login import Login
from callboard.actors.drivers.terminal import Terminal
from callboard.actors.overlay import Overlay, archive
from callboard.definition.model import PipelineAction

_LONGEST_COPY_S = 300.0

# Ends whatever carries the node's mark, also what has left its session, then removes its files.
_CLEAN = """
tries=0
while [ "$tries" -lt 30 ]; do
    found=$(grep -ls {mark} /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\\n')
    if [ -z "$found" ]; then break; fi
    kill -s KILL $found 2>/dev/null
    tries=$((tries + 1))
    if [ "$tries" -gt 3 ]; then sleep 0.1; fi
done
rm -rf -- {paths}
status=$?
{more}
exit $status
"""

# sshd gives a session that is no login a path without the system's own folders.
_BEGIN = """
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH TERM=dumb LAVA_KMSG=/dev/tty {mark}
cd
{loop}
"""


class SshNode:
    """A login on a host.

    Args:
        name: Name of the device.
        login: How it logs in.
        ring: The run's keys.
    """

    def __init__(self, name: str, login: Login, ring: KeyRing) -> None:
        self.name = name
        self.mark = uuid.uuid4().hex
        self._login = login
        self._ring = ring
        self._link: Link | None = None
        self._terminals: list[Terminal] = []
        self._left: dict[str, None] = {}

    @property
    def link(self) -> Link:
        """The connection; raises OSError when there is none."""
        if self._link is None:
            raise OSError(f"{self.name} has not logged in yet; {self.before_login}")
        return self._link

    before_login = "prepare it first"
    """What has to be done before there is a connection."""

    longest_cleaning_s = 30.0
    """How long the host may take to remove what the node has left there."""

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache; the node's own, for guests share a host."""
        return f"/tmp/lava-{self.mark}"

    def overlay_root(self, job_id: int) -> str:
        """The overlay lies where LAVA has it."""
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:
        """`/bin/bash` for systems that LAVA tests with bash, else `/bin/sh`."""
        return "/bin/bash" if os in BASH_SYSTEMS else "/bin/sh"

    def unable(self, action: str) -> str | None:
        """Why a login can't execute an action; see `DRIVERS`."""
        return DRIVERS["ssh"](action)

    def perform(self, action: PipelineAction) -> None:
        """Nothing: what a login can't do is skipped, the rest is callboard's own work."""

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        """It is: see `perform`."""
        return True

    def call(self, written: str) -> None:
        """Nothing: actions call for a login whatever has become of it."""

    async def put(self, overlay: Overlay) -> None:
        """Copy an overlay to the host; raises OSError, and ValueError when it can't be built."""
        link = self.link
        self._left |= dict.fromkeys((overlay.root, overlay.cache))
        with os.fdopen(os.memfd_create("overlay"), "wb") as stream:
            await anyio.to_thread.run_sync(archive, overlay, stream)
            stream.flush()
            stream.seek(0)
            script = "umask 022; exec tar -xmf - -C /"
            ran = await link.run(script, limit_s=_LONGEST_COPY_S, stdin=stream.fileno())
        if ran.status:
            reason = " ".join(ran.errors.split()) or f"tar ended with {ran.status}"
            text = f"the overlay can't be copied to {link.address}: {reason}"
            raise OSError(f"{text}; see that there are tar, space, and a root folder to write to")

    async def open_shell(self) -> Console:
        """Start a shell on a terminal of the host; raises OSError."""
        script = _BEGIN.format(mark=f"{MARK}={self.mark}", loop=COMMAND_LOOP)
        terminal = await self.link.open_shell(script)
        self._terminals.append(terminal)
        return terminal

    async def busy(self) -> bool | None:
        """Not while nobody is logged in; else it can't be seen."""
        return False if self._link is None else None

    def kill(self) -> None:
        """End the connection; the host ends the sessions of it."""
        if self._link is not None:
            self._link.kill()

    async def release(self) -> None:
        """End the sessions, remove what they left on the host, and log out.

        Raises:
            OSError: Something is left there; not when the host is gone.
        """
        link, self._link = self._link, None
        if link is None:
            return
        for terminal in self._terminals:
            terminal.close()
        self._terminals.clear()
        with anyio.CancelScope(shield=True):
            try:
                if link.lives:
                    await self._clean(link)
            finally:
                await link.close()

    async def _clean(self, link: Link) -> None:
        paths = " ".join(map(shlex.quote, self._left))
        script = _CLEAN.format(mark=f"{MARK}={self.mark}", paths=paths, more=self.cleaning())
        ran = await link.run(script, limit_s=self.longest_cleaning_s)
        if ran.status and link.lives:
            reason = " ".join(ran.errors.split()) or f"it ended with {ran.status}"
            text = f"the clean-up on {link.address} failed: {reason}"
            raise OSError(f"{text}; remove {', '.join(self._left)} there by hand")

    def cleaning(self) -> str:
        """More of the script that cleans up."""
        return ""
