"""Where a job runs: the device that it has, and its container."""

from attrs import frozen

from callboard.actors.drivers import Container, Node
from callboard.actors.drivers.segment import Segment
from callboard.actors.lxc.download import Download
from callboard.actors.lxc.protocol import Commands
from callboard.actors.overlay import Access
from callboard.actors.wiring import UNWIRED, Wiring
from callboard.definition.model import NodeJob, PipelineAction


@frozen
class Placement:
    """A job and what it has to itself.

    Attributes:
        job: The job.
        pipeline: Its top-level actions, `finalize` last.
        device: Name of the device.
        driver: What makes a node of the device.
        node: The device while the job has it; the job prepares and releases it.
        container: The job's container, None in a job without one; the job removes it.
        commands: The device's commands of this machine; None where none is ever run.
        access: Keys for those who log in on the device.
        download: Downloads files for the container; None leaves them to the device.
        works_aside: Whether the tests may have work in the background, by their definitions;
            it counts where the device doesn't show it.
        segment: The network of the group, None where it has none on this machine.
        wiring: The device's interfaces, and which of them are for the job's VLANs.
    """

    job: NodeJob
    pipeline: tuple[PipelineAction, ...]
    device: str
    driver: str
    node: Node
    container: Container | None = None
    commands: Commands | None = None
    access: Access | None = None
    download: Download | None = None
    works_aside: bool = True
    segment: Segment | None = None
    wiring: Wiring = UNWIRED

    async def busy(self) -> bool:
        """Whether anything runs besides shells and the calls that they wait for.

        Raises:
            OSError: It can't be told.
        """
        seen = await self.node.busy()
        if self.works_aside if seen is None else seen:
            return True
        return self.container is not None and bool(await self.container.busy())

    def kill(self) -> None:
        """End every process of the job now."""
        self.node.kill()
        if self.container is not None:
            self.container.kill()
