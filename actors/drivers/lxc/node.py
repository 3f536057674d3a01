"""Devices that are containers."""

from collections.abc import Callable, Sequence

from callboard.actors.drivers import Console
from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.lxc.container import LxcContainer
from callboard.actors.errors import ActionError
from callboard.actors.overlay import Overlay
from callboard.actors.overlay.builder import LAVA_CACHE
from callboard.definition.model import PipelineAction


class LxcNode:
    """A device of the driver `lxc` for a job whose definition describes no container.

    Args:
        container: What the job has to itself.
        packages: What is installed in it.
    """

    def __init__(self, container: LxcContainer, packages: Sequence[str] = ()) -> None:
        self._container = container
        self._packages = packages
        self.cache = container.cache
        self.overlay_root = container.overlay_root
        self.shell = container.shell
        self.install = container.install
        self.open_shell = container.open_shell
        self.busy = container.busy
        self.kill = container.kill
        self.release = container.remove

    def attend(self, heard: Callable[[str], None], said: Callable[[str], None]) -> None:  # noqa: ARG002 - its shells have their own consoles
        """Have `said` told what is said of the container, as that it is privileged."""
        self._container.attend(said)

    async def prepare(self) -> None:
        """Make the container and start it; raises OSError."""
        try:
            await self._container.create(self._packages)
            await self._container.start()
        except ActionError as error:
            await self._container.remove()
            raise OSError(str(error)) from error

    def unable(self, action: str) -> str | None:
        """Why a container can't execute an action."""
        return DRIVERS["lxc"](action)

    def perform(self, action: PipelineAction) -> None:
        """Nothing: what a container can't do is skipped, the rest is callboard's own work."""

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        """It is: see `perform`."""
        return True

    def call(self, written: str) -> None:
        """Nothing: actions call for the node whatever has become of it."""


class NoDevice:
    """The device of a job that has nothing but its container, which the job itself keeps.

    Args:
        name: Name of the device.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def cache(self) -> str:
        """Where LAVA has it; nobody uses it."""
        return LAVA_CACHE

    def overlay_root(self, job_id: int) -> str:
        """Where LAVA has it; nobody uses it."""
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:  # noqa: ARG002 - it is so for all
        """A shell that every system has."""
        return "/bin/sh"

    def unable(self, action: str) -> str | None:
        """Why a device that is only a container can't execute an action."""
        return DRIVERS["lxc"](action)

    async def prepare(self) -> None:
        """Nothing: the job makes the container when it is deployed."""

    def perform(self, action: PipelineAction) -> None:
        """Nothing, see `prepare`."""

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        """It is: see `perform`."""
        return True

    def call(self, written: str) -> None:
        """Nothing: there is no device that could be gone."""

    async def install(self, overlay: Overlay) -> None:  # noqa: ARG002 - the protocol's signature
        """Raises OSError: there is nothing to put it on."""
        raise self._absent()

    async def open_shell(self) -> Console:
        """Raises OSError: nothing has a shell."""
        raise self._absent()

    async def busy(self) -> bool:
        """It isn't."""
        return False

    def kill(self) -> None:
        """Nothing: there is nothing to kill."""

    async def release(self) -> None:
        """Nothing: there is nothing to end."""

    def _absent(self) -> OSError:
        return OSError(
            f"the device {self.name} is nothing but its container; deploy `to: lxc` and boot with"
            " `method: lxc` in the namespace of the test"
        )
