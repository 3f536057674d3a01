"""What is asked of the VLANs of a group. A VLAN is named as the definition names it."""

from attrs import frozen

from callboard.actors.drivers.switches import Vlan
from callboard.actors.messages import Call
from callboard.runtime import Outcome, Request

# To the switchboard of the group


@frozen
class CreateVlan(Request[Vlan]):
    """`member` wants a VLAN to be there; answered with it, also when it was there before."""

    member: int
    vlan: str


@frozen
class MovePort(Request[None]):
    """`member` wants its port in a VLAN that is there, and that its switches call `vlan_id`."""

    member: int
    vlan: str
    vlan_id: int


@frozen
class LeaveVlans(Request[tuple[str, ...]]):
    """`member` is done: its ports go back, and VLANs that nobody is left to use are deleted.

    Always answered, with what could not be put back; empty when all is as it was before.
    """

    member: int


@frozen
class Changed:
    """What was under way with a VLAN has ended; for the switchboard itself."""

    vlan: str
    outcome: Outcome[Outcome[object]]


SwitchboardMessage = CreateVlan | MovePort | LeaveVlans | Changed


# To the VLANd protocol of a job


@frozen
class DeployVlans(Request[None]):
    """Have the job's ports in its VLANs, which it makes itself, or waits for.

    Attributes:
        calls: How the others are told, or how it is told: the MultiNode call of each VLAN, whose
            message ID is the VLAN's name.
    """

    calls: tuple[Call, ...]


@frozen
class ReleaseVlans(Request[tuple[str, ...]]):
    """The job is over; answered as `LeaveVlans` is."""


@frozen
class Abandon:
    """Nobody waits for what is under way any more: end it."""


@frozen
class Deployed:
    """The deployment of that number has ended; for the actor itself."""

    number: int
    outcome: Outcome[Outcome[object]]


@frozen
class Released:
    """The switchboard has let the job go; for the actor itself."""

    outcome: Outcome[tuple[str, ...]]


VlandMessage = DeployVlans | ReleaseVlans | Abandon | Deployed | Released
