"""What a worker may say to the leader of a group: what its own jobs would say, and no more.

The servers' permissions prove which worker a parcel is from, see `permissions`; what is in it, the
leader has to judge. A worker that has been broken into harms the jobs that it has, and could say
anything in their names, but not in those of others, nor can it get what was meant for others.
"""

from collections.abc import Set

from callboard.actors.messages import (
    AwaitGuests,
    JobDone,
    Join,
    Leave,
    Release,
    Send,
    Start,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.cluster.exchange import BoxRef
from callboard.cluster.messages import (
    CONTRACT,
    COORDINATOR,
    RECORDER,
    SOURCES,
    Emitted,
    FetchPart,
    job_address,
)
from callboard.cluster.wire import WireError


def check(box: str, jobs: Set[int], to: str, body: object) -> None:
    """Raise WireError unless a worker with these jobs may say this.

    Args:
        box: The worker.
        jobs: Its jobs of the group.
        to: The address that it is for.
        body: What it says.
    """
    if not _may(box, jobs, to, body):
        raise WireError(f"the worker {box} may not say {type(body).__name__} to {to}")


def _may(box: str, jobs: Set[int], to: str, body: object) -> bool:
    match body:
        case Emitted():
            return to == RECORDER
        case FetchPart():
            return to in (CONTRACT, SOURCES)  # each has its own there
        case Join(member, protocol):
            own = isinstance(protocol, BoxRef) and protocol.box == box
            return own and to == COORDINATOR and member in jobs
        case Leave(member) | Send(member) | Release(member):
            return to == COORDINATOR and member in jobs
        case Wait() | WaitAll() | Sync() | Start() | Withdraw():
            return to == COORDINATOR and body.ticket[0] in jobs
        case JobDone(job) | AwaitGuests(job):
            return to == job_address(job) and job in jobs
        case _:
            return False
