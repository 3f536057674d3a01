"""The workers that have jobs of a group, as its leader sees them, and what each is to know."""

import json
from collections.abc import Mapping, Sequence

from attrs import define

from callboard.actors.members import Member
from callboard.cluster.bundle import part
from callboard.cluster.messages import Contract, Employment
from callboard.cluster.records import Seat, Settings
from callboard.cluster.wire import Codec
from callboard.definition.model import NodeJob
from callboard.events import Failure


@define(eq=False)
class Host:
    """A worker that has jobs of the group.

    Attributes:
        worker: Its name.
        incarnation: Of its process.
        jobs: Its jobs, in the order of the group.
        contract: What it is to know, encoded.
        sources: What its jobs need, packed; empty for nothing.
        engaged: Whether it has promised to stay for its jobs.
        answered: Whether it has said that it takes its jobs, or can't.
        failure: Why its jobs can't run there, or not any more; None while they can.
        given_up: Whether nothing more is wanted of it.
        lost: Whether it counts as lost, and is told so all along.
    """

    worker: str
    incarnation: str
    jobs: tuple[NodeJob, ...]
    contract: bytes = b""
    sources: bytes = b""
    engaged: bool = False
    answered: bool = False
    failure: Failure | None = None
    given_up: bool = False
    lost: bool = False


def hosts_of(jobs: Sequence[NodeJob], seats: Mapping[int, Seat]) -> tuple[Host, ...]:
    """The workers that these jobs have seats on, in the order of their first jobs."""
    places = dict.fromkeys((seats[job.id].worker, seats[job.id].incarnation) for job in jobs)
    return tuple(
        Host(worker, incarnation, tuple(job for job in jobs if seats[job.id].worker == worker))
        for worker, incarnation in places
    )


class Contracts:
    """Makes what the hosts of a group are to know.

    Args:
        codec: Encodes it.
        jobs: All jobs of the group.
        seats: Where each runs.
        settings: Of the group.
        background: Which roles may have work in the background; a missing one may.
        secrets: Of the definition.
        masked: Texts that no event may hold.
    """

    def __init__(
        self,
        codec: Codec,
        jobs: Sequence[NodeJob],
        seats: Mapping[int, Seat],
        settings: Settings,
        background: Mapping[str, bool],
        secrets: Mapping[str, str],
        masked: Sequence[str],
    ) -> None:
        self._codec = codec
        self._seats = seats
        self._settings = settings
        self._background = background
        self._secrets = secrets
        self._masked = masked
        self._numbers = {job.id: number for number, job in enumerate(jobs, 1)}
        self._members = tuple(Member(job.id, job.role.name) for job in jobs if job.role)
        self._host_roles = {job.role.host_role for job in jobs if job.role and job.role.connection}

    def write(self, host: Host) -> None:
        """Give a host its contract and its sources; takes a while for many jobs."""
        needed = part(host.jobs)
        host.sources = needed.sources.data if needed.sources is not None else b""
        employments = tuple(self._employment(job) for job in needed.jobs)
        # It needs to hide only what it was told, and that is in the text.
        text = self._codec.encode(self._contract(employments, ()))
        own = tuple(each for each in self._masked if json.dumps(each)[1:-1] in text)
        host.contract = self._codec.encode(self._contract(employments, own)).encode()

    def _employment(self, job: NodeJob) -> Employment:
        role = job.role.name if job.role else ""
        return Employment(
            job,
            self._numbers[job.id],
            self._seats[job.id],
            has_guests=job.role is not None and role in self._host_roles,
            works_aside=self._background.get(role, True),
        )

    def _contract(self, employments: tuple[Employment, ...], masked: tuple[str, ...]) -> Contract:
        return Contract(employments, self._members, self._secrets, masked, self._settings)
