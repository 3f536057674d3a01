"""What the actors of one job know about their job."""

from collections.abc import Callable, Mapping

from attrs import field, frozen

from callboard.actors.drivers import Node
from callboard.actors.members import Member
from callboard.actors.messages import ActionMessage, JobMessage, ProtocolMessage
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
        secrets: For the node's `secrets` file only.
    """

    job: NodeJob
    pipeline: tuple[PipelineAction, ...]
    node: Node
    group: tuple[Member, ...]
    journal: Journal
    owner: ActorRef[JobMessage]
    action: Callable[[PipelineAction, "JobContext"], Actor[ActionMessage]]
    protocol: ActorRef[ProtocolMessage] | None
    secrets: Mapping[str, str] = field(factory=dict[str, str], repr=False)
