"""One container of one job: made, started, entered, and in the end removed or kept."""

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import anyio
from attrs import evolve

from callboard.actors.drivers import Console, Creation, survey
from callboard.actors.drivers.local import BASH_SYSTEMS
from callboard.actors.drivers.lock import Lock, holder, lock
from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.address import wait_for_address
from callboard.actors.drivers.lxc.archive import unpack
from callboard.actors.drivers.lxc.bases import Bases, is_ready
from callboard.actors.drivers.lxc.configuration import Configuration, Label
from callboard.actors.drivers.lxc.connection import connect, is_init
from callboard.actors.drivers.lxc.order import Order
from callboard.actors.drivers.lxc.recipe import Recipe
from callboard.actors.drivers.lxc.removal import halt, remove
from callboard.actors.drivers.lxc.session import COMMAND, Session, open_session
from callboard.actors.drivers.lxc.settings import OWN_MOUNT, settings
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.processes import MARK, marked
from callboard.actors.drivers.segment import Attachment
from callboard.actors.drivers.survey import Process
from callboard.actors.drivers.tool import Said, run_tool
from callboard.actors.errors import InfrastructureError, JobError
from callboard.actors.overlay import File, Overlay, archive, pack
from callboard.actors.overlay.builder import LAVA_CACHE
from callboard.definition.model import PipelineAction

VARIABLES = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/sh",
    "TERM": "dumb",
    "LANG": "C.UTF-8",
    # A container shares the kernel's log with this machine: what a test writes there goes to the
    # console of its shell.
    "LAVA_KMSG": "/dev/tty",
}
"""The variables that a container's shells and commands start with."""

_ADDRESS_S = 300.0
_RUN_S = 86_400.0
_OWNED_S = 600.0
_BASHES = ("bin/bash", "usr/bin/bash")


class LxcContainer:
    """A container, from `create` to `remove`.

    Args:
        tools: LXC's tools.
        order: What is asked for.
        attachment: Its cables to the network of the group; None where it has none.
        patience_s: How long to wait for a name that another job has, in seconds.
    """

    def __init__(
        self,
        tools: Tools,
        order: Order,
        attachment: Attachment | None = None,
        patience_s: float = _OWNED_S,
    ) -> None:
        self._attachment = attachment
        self._tools = tools
        self._order = order
        self._patience_s = patience_s
        self._bases = Bases(tools, VARIABLES)
        self._said: Said = _unsaid
        self._lock: Lock | None = None
        self._made = False
        self._init: int | None = None
        self._sessions: list[Session] = []
        self._mark = uuid.uuid4().hex
        self._files = anyio.Lock()

    @property
    def name(self) -> str:
        """Its final name."""
        return self._order.name.text

    @property
    def cache(self) -> str:
        """Path of the MultiNode cache, where LAVA has it."""
        return LAVA_CACHE

    def overlay_root(self, job_id: int) -> str:
        """The overlay lies where LAVA has it."""
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:
        """`/bin/bash` for systems that LAVA tests with bash if it is there, else `/bin/sh`."""
        return "/bin/bash" if os in BASH_SYSTEMS and self._has_bash() else "/bin/sh"

    def perform(self, action: PipelineAction) -> None:
        """Nothing: what is asked of a container, the LXC protocol asks."""

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        """It is: see `perform`."""
        return True

    def attend(self, said: Callable[[str], None]) -> None:
        """Have each line that a tool prints given to `said` from now on."""
        self._said = said

    async def create(self, packages: Sequence[str]) -> Creation:
        """Make the container, or take the persistent one that is there.

        Args:
            packages: What a new one should have installed.

        Raises:
            JobError: What is asked for doesn't exist.
            InfrastructureError: It is there already, somebody else has it, this machine can't.
        """
        if os.geteuid() != 0:
            raise InfrastructureError("lxc containers need root; run callboard as root")
        order = self._order
        if self._made:
            return self._again()
        if packages and not order.recipe.has_apt:
            raise JobError(
                f"a container of the template `{order.recipe.template}` has no apt-get for packages"
            )
        try:
            self._tools.store.prepare()
            await self._own()
            how = await self._reuse() or await self._clone(packages)
        except OSError as error:
            self._release()
            text = f"lxc container '{order.name}' can't be created: {error}"
            raise InfrastructureError(text) from error
        except BaseException:
            self._release()
            raise
        self._made = True
        self._said(
            f"lxc container '{order.name}' is privileged: its root is this machine's root,"
            " so run only tests that you trust"
        )
        return Creation(self.name, how, how != "reused")

    async def start(self) -> str:
        """Start it unless it runs, and wait for its IPv4 address.

        Raises:
            InfrastructureError: It can't be started or connected, or gets no address.
            OSError: A tool is missing or doesn't answer.
        """
        self._exists()
        name = self._order.name
        await self._tools.start(name)
        self._init = await self._tools.init_pid(name)
        attached = self._attachment
        if attached is None or self._init is None:
            return await wait_for_address(self._tools, name, _ADDRESS_S)
        await connect(self._tools, name, self._init, attached, self._said)
        address = await wait_for_address(self._tools, name, _ADDRESS_S, but=attached.address)
        await attached.reach(address)
        return address

    async def run(self, command: Sequence[str]) -> int:
        """Run a command to its end; what it prints is said.

        Returns:
            Its exit status.

        Raises:
            InfrastructureError: The container doesn't run.
            OSError: A tool is missing.
        """
        await self._runs()
        variables = {**VARIABLES, "DEBIAN_FRONTEND": "noninteractive"}
        words = self._tools.attach(self._order.name, command, variables)
        ran = await run_tool(words, limit_s=_RUN_S, said=self._said)
        if ran.status != 0:
            await self._runs()
        return ran.status

    async def stop(self) -> None:
        """Stop it; not running is fine. Raises InfrastructureError and OSError."""
        await self._hang_up()
        self._init = None
        await self._tools.stop(self._order.name)
        if self._attachment is not None:
            await self._attachment.detach()

    async def put(self, files: Iterable[File], folder: str) -> None:
        """Put files into a folder of the container; raises InfrastructureError and OSError."""
        taken = {folder: tuple(files)}
        await self._put(lambda stream: pack(taken, stream))

    async def install(self, overlay: Overlay) -> None:
        """Put a job's overlay into it; raises ValueError, InfrastructureError and OSError."""
        await self._put(lambda stream: archive(overlay, stream))

    async def open_shell(self) -> Console:
        """Start a shell on a terminal of its own; raises InfrastructureError and OSError."""
        await self._runs()
        for ended in [each for each in self._sessions if each.shell is None]:
            self._sessions.remove(ended)
            await ended.end()
        words = self._tools.attach(self._order.name, COMMAND, {**VARIABLES, MARK: self._mark})
        session = await open_session(self.name, words)
        self._sessions.append(session)
        return session

    async def busy(self) -> bool:
        """Whether something that its shells have started runs beside the calls they wait for.

        Services of the container itself make no calls, so they don't count.

        Raises:
            OSError: It can't be told.
        """
        shells = {pid for each in self._sessions if (pid := each.shell) is not None}
        if not shells:
            return False
        return await anyio.to_thread.run_sync(survey.busy, lambda: self._processes(shells), shells)

    def kill(self) -> None:
        """End every process of the container now."""
        for session in self._sessions:
            session.kill()
        if self._init is not None and is_init(self._init):
            with suppress(ProcessLookupError):
                os.kill(self._init, signal.SIGKILL)

    async def remove(self) -> None:
        """Stop it, and destroy it unless it is persistent; what goes wrong is said.

        Idempotent, and not cut short by cancellation.
        """
        with anyio.CancelScope(shield=True):
            try:
                await self._hang_up()
                if self._made:
                    await self._drop()
            except OSError as error:
                self._said(f"lxc container '{self.name}' can't be removed: {error}")
            finally:
                self._made = False
                self._release()

    def _again(self) -> Creation:
        """What a second creation gives: it is as if another job had made the container."""
        self._exists()
        if not self._order.persistent:
            raise InfrastructureError(f"lxc container '{self.name}' already exists")
        return Creation(self.name, "reused", False)

    async def _own(self) -> None:
        """Own the name: no other job and no clean-up touches the container then."""
        order = self._order
        path = self._tools.store.lock(order.name)

        def waiting() -> None:
            owner = holder(path) or "somebody else"
            self._said(f"waiting for lxc container '{order.name}', which {owner} has")

        patience_s = self._patience_s if order.persistent else min(self._patience_s, 5.0)
        with anyio.move_on_after(patience_s):
            self._lock = await lock(path, waiting=waiting)
            self._lock.note(order.owner)
            return
        owner = holder(path) or "somebody else"
        if not order.persistent:
            raise InfrastructureError(
                f"lxc container '{order.name}' already exists: {owner} has it"
            )
        raise InfrastructureError(
            f"lxc container '{order.name}' is still used by {owner} after {patience_s:g} s"
        )

    async def _reuse(self) -> Literal["reused"] | None:
        """Take the container that is there; None when there is none."""
        order, tools = self._order, self._tools
        path = tools.store.path(order.name)
        if not order.persistent:
            if path.exists():
                raise InfrastructureError(f"lxc container '{order.name}' already exists")
            return None
        found = self._configuration()
        if found is not None and found.label is None and not found.is_unfinished:
            raise InfrastructureError(
                f"lxc container '{order.name}' already exists, and callboard has not made it;"
                " give the definition's another name"
            )
        # Whoever had it may have been killed while it ran, or while a tool was making it.
        await halt(tools, order.name, self._said)
        if not path.exists():
            return None
        found = self._configuration()
        if found is None or found.is_unfinished or (path / "partial").exists():
            self._said(f"lxc container '{order.name}' was never finished; it is made anew")
            await remove(tools, order.name, self._said)
            return None
        self._configure()
        return "reused"

    async def _clone(self, packages: Sequence[str]) -> Literal["created", "cloned"]:
        order = self._order
        recipe = _with(order.recipe, packages)
        known = is_ready(self._tools, recipe.base)
        async with self._bases.use(recipe, self._said, verbose=order.verbose) as base:
            try:
                await self._tools.clone(base, order.name)
                self._configure()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await remove(self._tools, order.name, self._said)
                raise
        return "cloned" if known else "created"

    def _configure(self) -> None:
        store, order = self._tools.store, self._order
        label = Label(order.run, order.job, int(time.time()), order.persistent)
        lines, without = settings(order.limits, order.mounts)
        lines = [*lines, f"lxc.cgroup.dir = {store.cgroup(order.name)}", *label.lines()]
        without = (*without, "lxc.cgroup.dir", "lxc.group")
        path = store.configuration(order.name)
        configuration.rewrite(path, lines, without=without, matching=OWN_MOUNT)

    def _configuration(self) -> Configuration | None:
        return configuration.find(self._tools.store, self._order.name)

    def _exists(self) -> None:
        if not self._made:
            raise JobError(
                f"lxc container '{self.name}' has not been created;"
                " `deploy` with `to: lxc` comes first"
            )
        if self._configuration() is None:
            raise InfrastructureError(
                f"lxc container '{self.name}' is gone: somebody else has destroyed it"
            )

    async def _runs(self) -> None:
        self._exists()
        state = await self._tools.state(self._order.name)
        if state is None:
            raise InfrastructureError(f"lxc container '{self.name}' can't be looked at")
        if state != "RUNNING":
            why = "has not been started" if self._init is None else "has been stopped by others"
            raise InfrastructureError(f"lxc container '{self.name}' {why}: it is {state}")

    async def _put(self, write: Callable[[BinaryIO], None]) -> None:
        self._exists()
        async with self._files:
            await unpack(self._tools, self._order.name, self._layers(), write)

    def _layers(self) -> list[Path]:
        found = self._configuration()
        return found.layers if found else []

    def _has_bash(self) -> bool:
        with suppress(OSError):
            layers = self._layers()
            return any(os.path.lexists(layer / bash) for layer in layers for bash in _BASHES)
        return False

    def _processes(self, shells: set[int]) -> dict[int, Process]:
        """What the shells have started, wherever it went: below them, or with their mark."""
        found = survey.processes()
        own = survey.below(found, shells | set(marked(self._mark)))
        # The end of `lxc-attach` in this machine carries the mark too, on its command line only.
        return {pid: each for pid, each in found.items() if pid in own}

    async def _hang_up(self) -> None:
        sessions, self._sessions = self._sessions, []
        for session in sessions:
            await session.end()

    async def _drop(self) -> None:
        name, persistent = self._order.name, self._order.persistent
        await (halt if persistent else remove)(self._tools, name, self._said)
        if self._tools.store.path(name).exists() == persistent:
            how = "kept" if persistent else "destroyed"
            self._said(f"lxc container '{name}' is stopped and {how}")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _unsaid(_line: str) -> None:
    """Nobody attends."""


def _with(recipe: Recipe, packages: Sequence[str]) -> Recipe:
    return evolve(recipe, packages=tuple(sorted(set(packages))))
