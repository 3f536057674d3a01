"""The container of a rehearsed job: as its device, a model, whose time the model's actions take."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from callboard.actors.drivers import Console, Creation
from callboard.actors.overlay import File, Overlay
from callboard.definition.model import PipelineAction
from callboard.simulation.node import SimulatedNode

_ADDRESS = "192.0.2.1"
"""Of the network that is kept for documentation (RFC 5737)."""


class SimulatedContainer:
    """A container on a simulated device, with the device's shells.

    Args:
        name: What it is called.
        node: The device.
    """

    def __init__(self, name: str, node: SimulatedNode) -> None:
        self.name = name
        self.cache = node.cache
        self._node = node

    def overlay_root(self, job_id: int) -> str:
        """The device's."""
        return self._node.overlay_root(job_id)

    def shell(self, os: str | None) -> str:
        """The device's."""
        return self._node.shell(os)

    def perform(self, action: PipelineAction) -> Awaitable[None] | None:
        """Take the time that the device's model has for it; raises OSError when it fails."""
        return self._node.perform(action)

    def idles(self, action: PipelineAction) -> bool:
        """As the device's model has it."""
        return self._node.idles(action)

    async def install(self, overlay: Overlay) -> None:
        """Put it on the device."""
        await self._node.install(overlay)

    async def open_shell(self) -> Console:
        """One of the device's."""
        return await self._node.open_shell()

    async def busy(self) -> bool:
        """Nothing runs in it that doesn't run on the device."""
        return False

    def kill(self) -> None:
        """Nothing: the device is killed."""

    def attend(self, said: Callable[[str], None]) -> None:
        """Nothing is printed."""

    async def create(self, packages: Sequence[str]) -> Creation:  # noqa: ARG002 - a model needs none
        """Have it; its packages take the time of their actions."""
        return Creation(self.name, "created", packages=False)

    async def start(self) -> str:
        """Have it run."""
        return _ADDRESS

    async def run(self, command: Sequence[str]) -> int:  # noqa: ARG002 - all commands succeed
        """Have run a command, which succeeds: what fails is the model's to say."""
        return 0

    async def stop(self) -> None:
        """Have it stopped."""

    async def put(self, files: Iterable[File], folder: str) -> None:
        """Nothing: a model has no files."""

    async def remove(self) -> None:
        """Nothing is left of a model."""
