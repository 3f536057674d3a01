"""What processes of a group say to each other, besides the messages of its actors."""

from collections.abc import Mapping

from attrs import field, frozen

from callboard.actors.members import Member
from callboard.cluster.records import Seat, Settings
from callboard.definition.model import NodeJob
from callboard.runtime import Request

LEADER = ""
"""The box of a group's leader; every other box is a worker's name."""

RECORDER = "/recorder"
"""Where the leader takes events of its hosts (`Emitted`)."""

HOST = "/host"
"""Where a worker is told to employ jobs of a group, and to dismiss them."""

CONTRACT = "/contract"
SOURCES = "/sources"
"""Where a worker gets the parts of its contract and of its sources (`FetchPart`)."""

COORDINATOR = "/group/coordinator"
"""The group's coordinator, at the leader."""


def job_address(job: int) -> str:
    """The address of a job: at its worker the job itself, at the leader its envoy."""
    return f"/group/job-{job}"


@frozen
class Emitted(Request[None]):
    """Events of a host, in order and as lines of a log, numbered by the host itself.

    Answered when the leader has them; it answers nothing before that is stored.

    Attributes:
        first: The number of the first among all that this process has emitted for the group; the
            numbers begin at 1.
        lines: `events.encode` of each; `seq` and `cause` are the host's own, and made the log's
            by the leader (see `cluster.recorder`).
    """

    first: int
    lines: tuple[str, ...]


@frozen
class Employment:
    """A job that a worker is to run.

    Attributes:
        job: The job; folders of its sources are relative to the unpacked bundle.
        number: Which of the group's jobs it is, from 1.
        seat: Where.
        has_guests: Whether other jobs log in on its system.
        works_aside: Whether its tests may have work in the background.
    """

    job: NodeJob
    number: int
    seat: Seat
    has_guests: bool
    works_aside: bool


@frozen
class Contract:
    """What a worker is to know to run jobs of a group; it gets it from the leader in parts.

    Attributes:
        jobs: All jobs of the group on this worker.
        members: Every node of the group that LAVA lists.
        secrets: Of the definition; for these jobs only.
        masked: Texts that no event may hold.
        settings: Of the group.
    """

    jobs: tuple[Employment, ...]
    members: tuple[Member, ...]
    secrets: Mapping[str, str] = field(repr=False)
    masked: tuple[str, ...] = field(repr=False)
    settings: Settings


@frozen
class Engage(Request[bool]):
    """Stay for jobs of the group that are about to come; False of a worker that is leaving.

    The promise lapses when nothing more is heard of the group for a while.
    """


@frozen
class Employ(Request["Employed"]):
    """Make nodes for jobs, and an actor for each at its `job_address`; asked once a worker.

    What was employed before is only answered again.

    Attributes:
        time_s: Seconds since the run began, now.
        contract_bytes: Size of the `Contract`, as `Codec.encode` makes it; at `CONTRACT`.
        sources_bytes: Size of the sources, as `bundle.part` packs them; at `SOURCES`; 0 for none.
    """

    time_s: float
    contract_bytes: int
    sources_bytes: int


@frozen
class Employed:
    """The nodes are there; or `problem` says why they can't be (an infrastructure error)."""

    problem: str | None = None


@frozen
class Dismiss(Request[None]):
    """The group has ended, or the worker counts as lost: end what is left of it, and forget it.

    Answered when nothing of the group is left on the worker.
    """

    reason: str


@frozen
class FetchPart(Request[bytes]):
    """A part of what the leader has for this host, in bytes."""

    offset: int
    size: int
