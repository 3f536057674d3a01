"""LXC's tools, one typed function each; every failure has a reason and a class."""

import os
import re
from collections.abc import Mapping, Sequence

from attrs import frozen

from callboard.actors.drivers.lxc.complaint import complaint
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.tool import Ran, Said, run_tool
from callboard.actors.errors import InfrastructureError, JobError

_CREATE_S = 1_200.0
_COPY_S = 120.0
_START_S = 60.0
_STOP_S = 15.0
_DESTROY_S = 120.0
_LOOK_S = 10.0
_NOT_RUNNING = 2
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


@frozen
class Tools:
    """The tools, for the containers of one store.

    Attributes:
        store: Where the containers are.
        templates: Where LXC has its templates.
    """

    store: Store

    async def create(
        self,
        name: ContainerName,
        template: str,
        arguments: Sequence[str],
        said: Said,
        *,
        title: str | None = None,
    ) -> None:
        """Have a template make a container; each line that it prints goes to `said`.

        Errors call it by its `title`, if it has one: nobody knows a base by its name.

        Raises:
            JobError: What is asked for doesn't exist.
            InfrastructureError: No network, no template, the disk is full.
            OSError: There is no such tool, or it takes too long.
        """
        words = ["-t", template, *(["--", *arguments] if arguments else [])]
        ran = await run_tool(
            self._command("lxc-create", name, *words),
            limit_s=_CREATE_S,
            said=said,
        )
        if ran.status != 0:
            otherwise = JobError if ran.status > 0 else InfrastructureError
            title = title or f"lxc container '{name}'"
            raise complaint(f"{title} can't be created", _lines(ran), otherwise)

    async def clone(self, base: ContainerName, name: ContainerName) -> None:
        """Make a container that shares a base's files; raises InfrastructureError, OSError."""
        await self._copy(base, name, "-s", "-B", "overlay")

    async def copy(self, base: ContainerName, name: ContainerName) -> None:
        """Make a container with copies of a base's files; raises InfrastructureError, OSError."""
        await self._copy(base, name)

    async def start(self, name: ContainerName) -> None:
        """Start a container, unless it runs; raises InfrastructureError and OSError."""
        await self._logged(
            f"lxc container '{name}' can't be started", "lxc-start", name, limit_s=_START_S
        )

    async def stop(self, name: ContainerName) -> None:
        """Stop a container at once; not running is fine. Raises InfrastructureError, OSError."""
        ran = await run_tool(self._command("lxc-stop", name, "-k"), limit_s=_STOP_S)
        if ran.status not in (0, _NOT_RUNNING):
            what = f"lxc container '{name}' can't be stopped"
            raise complaint(what, _lines(ran), InfrastructureError)

    async def destroy(self, name: ContainerName) -> None:
        """Stop and destroy a container; raises InfrastructureError and OSError."""
        ran = await run_tool(self._command("lxc-destroy", name, "-f"), limit_s=_DESTROY_S)
        if ran.status != 0 and "not defined" not in ran.errors + ran.output:
            what = f"lxc container '{name}' can't be destroyed"
            raise complaint(what, _lines(ran), InfrastructureError)

    async def state(self, name: ContainerName) -> str | None:
        """The state of a container, such as `RUNNING`; None when there is none. Raises OSError."""
        return next(iter(await self._info(name, "-sH")), None)

    async def init_pid(self, name: ContainerName) -> int | None:
        """The host's id of its first process; None when it doesn't run. Raises OSError."""
        found = next(iter(await self._info(name, "-pH")), "")
        return int(found) if found.isdecimal() and int(found) > 1 else None

    async def address(self, name: ContainerName, but: str = "") -> str | None:
        """Its first IPv4 address that isn't `but`, None while it has none. Raises OSError."""
        found = await self._info(name, "-iH")
        return next((each for each in found if _ADDRESS.fullmatch(each) and each != but), None)

    def attach(
        self, name: ContainerName, command: Sequence[str], variables: Mapping[str, str]
    ) -> list[str]:
        """The words that run a command in a container, with no other variables than these."""
        pairs = [word for each in variables.items() for word in ("-v", "=".join(each))]
        return self._command("lxc-attach", name, "--clear-env", *pairs, "--", *command)

    async def _copy(self, base: ContainerName, name: ContainerName, *options: str) -> None:
        what = f"lxc container '{name}' can't be made of {base}"
        words = ["-N", str(name), *options]
        await self._logged(what, "lxc-copy", base, *words, limit_s=_COPY_S)

    async def _info(self, name: ContainerName, what: str) -> list[str]:
        ran = await run_tool(self._command("lxc-info", name, what), limit_s=_LOOK_S)
        return ran.output.split() if ran.status == 0 else []

    async def _logged(
        self, what: str, tool: str, name: ContainerName, *words: str, limit_s: float
    ) -> None:
        """Run a tool that says nowhere but in a log why it fails."""
        # A file without a name: nothing of it is left, however callboard ends.
        with os.fdopen(os.memfd_create("log"), "rb") as log:
            path = f"/proc/{os.getpid()}/fd/{log.fileno()}"
            command = self._command(tool, name, *words, "-l", "ERROR", "-o", path)
            ran = await run_tool(command, limit_s=limit_s)
            if ran.status != 0:
                said = log.read().decode(errors="replace").splitlines()
                raise complaint(what, [*said, *_lines(ran)], InfrastructureError)

    def _command(self, tool: str, name: ContainerName, *words: str) -> list[str]:
        return [tool, "-P", str(self.store.folder), "-n", name.text, *words]


def _lines(ran: Ran) -> list[str]:
    return [*ran.output.splitlines(), *ran.errors.splitlines()]
