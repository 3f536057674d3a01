"""A job's place as its group sees it, wherever the job itself runs."""

from collections.abc import Callable, Mapping

from attrs import field, frozen

from callboard.actors.members import Member
from callboard.actors.messages import BridgeMessage, CoordinatorMessage, GroupMessage, JobMessage
from callboard.actors.vland import SwitchboardMessage
from callboard.actors.wiring import UNWIRED, Wiring
from callboard.definition.model import NodeJob
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef


@frozen
class Employer:
    """What a group gives each of its jobs.

    Attributes:
        group: Who is told that the job is done.
        coordinator: The group's coordinator, None without roles.
        members: Every node of the group that LAVA lists.
        journal: Where the job's actors record what happens.
        secrets: For the node's `secrets` file only.
        has_guests: Whether other jobs of the group log in on its system.
        switchboard: Who has the VLANs of the group, None where it has none.
        makers: By the name of each of them, the job that makes it.
        bridge: Stands for the coordinator where that is elsewhere, so that the group has to gather
            there before its jobs begin; None where it is the group's own.
    """

    group: ActorRef[GroupMessage]
    coordinator: ActorRef[CoordinatorMessage] | None
    members: tuple[Member, ...]
    journal: Journal
    secrets: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    has_guests: bool = False
    switchboard: ActorRef[SwitchboardMessage] | None = None
    makers: Mapping[str, int] = field(factory=dict[str, int])
    bridge: ActorRef[BridgeMessage] | None = None


@frozen
class Post:
    """A job, and who does it.

    Attributes:
        job: The job.
        device: Name of its device.
        driver: What makes a node of the device.
        hire: Makes the actor that runs the job, or stands for it here.
        kill: Ends every process of the job now.
        wiring: The device's interfaces, and which of them are for the job's VLANs.
    """

    job: NodeJob
    device: str
    driver: str
    hire: Callable[[Employer], Actor[JobMessage]]
    kill: Callable[[], None]
    wiring: Wiring = UNWIRED
