"""What the actors of one job know about their job."""

from collections.abc import Callable, Mapping

from attrs import field, frozen

from callboard.actors.drivers import Container, Node, System
from callboard.actors.lxc.download import Download
from callboard.actors.lxc.messages import LxcMessage
from callboard.actors.members import Member
from callboard.actors.messages import ActionMessage, JobMessage, ProtocolMessage
from callboard.actors.overlay import Access
from callboard.actors.vland.messages import VlandMessage
from callboard.actors.wiring import UNWIRED, Wiring
from callboard.definition.model import NodeJob, PipelineAction
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef


@frozen
class JobContext:
    """One job, as its actions see it.

    Attributes:
        job: The job's definition.
        pipeline: Its top-level actions, `finalize` last.
        node: The device that it runs on.
        group: Every node of the group that LAVA lists, this one included; empty for one node.
        journal: Where its actors record what happens.
        owner: The job actor.
        action: Makes the actor of an action.
        protocol: The MultiNode protocol, None in a group of one without roles.
        container: The LXC protocol, None in a job without a container.
        contained: The container's files and shells, None as well.
        secrets: For the node's `secrets` file only.
        access: Keys for those who log in on the node; its overlay has them with `authorize: ssh`.
        download: Downloads files for the container; None where nothing is downloaded.
        wiring: The interfaces of the device, and which of them are for the job's VLANs.
        vland: The VLANd protocol, None in a job without VLANs.
        makers: By the name of each VLAN of the group, the job that makes it.
    """

    job: NodeJob
    pipeline: tuple[PipelineAction, ...]
    node: Node
    group: tuple[Member, ...]
    journal: Journal
    owner: ActorRef[JobMessage]
    action: Callable[[PipelineAction, "JobContext"], Actor[ActionMessage]]
    protocol: ActorRef[ProtocolMessage] | None
    container: ActorRef[LxcMessage] | None = None
    contained: Container | None = None
    secrets: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    access: Access | None = None
    download: Download | None = None
    wiring: Wiring = UNWIRED
    vland: ActorRef[VlandMessage] | None = None
    makers: Mapping[str, int] = field(factory=dict[str, int])

    def system(self, namespace: str) -> System:
        """What the actions of a namespace work on: the container where it is deployed or booted."""
        if self.contained is not None and namespace in self.job.contained_namespaces:
            return self.contained
        return self.node
