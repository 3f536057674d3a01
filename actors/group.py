"""A group of jobs: spawns the coordinator and the jobs, and ends when every job has ended."""

from collections.abc import Callable, Mapping
from typing import assert_never

from attrs import frozen

from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator
from callboard.actors.drivers import Node
from callboard.actors.job import Job
from callboard.actors.messages import (
    CancelJob,
    CoordinatorMessage,
    GroupDone,
    GroupMessage,
    Interrupt,
    JobDone,
    JobMessage,
    RunGroup,
    StartJob,
)
from callboard.actors.multinode import Member
from callboard.definition.model import NodeJob, PipelineAction
from callboard.events import Failure, JobCreated, JobEnded
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, ChildFailed, Terminated


@frozen
class Placement:
    """A job and the device that it has."""

    job: NodeJob
    pipeline: tuple[PipelineAction, ...]
    device: str
    driver: str
    node: Node


class Group(Actor[GroupMessage]):
    """Runs the jobs of one group.

    Args:
        placements: Every job with its device.
        journal: Where the group's actors record what happens.
        secrets: For the nodes' `secrets` files only.
        ended: Called once, when every job has been finalised, or with None when the group
            itself failed before; must not wait.
    """

    def __init__(
        self,
        placements: tuple[Placement, ...],
        journal: Journal,
        secrets: Mapping[str, str],
        ended: Callable[[GroupDone | None], None],
    ) -> None:
        self._placements = placements
        self._journal = journal
        self._secrets = secrets
        self._members = tuple(
            Member(each.job.id, each.job.role.name) for each in placements if each.job.role
        )
        self._jobs: dict[int, ActorRef[JobMessage]] = {}
        self._done: dict[int, JobDone] = {}
        self._ended: Callable[[GroupDone | None], None] | None = ended
        self._interrupted: str | None = None

    async def receive(self, message: GroupMessage) -> object:
        """Handle one message."""
        match message:
            case RunGroup():
                await self._run()
            case JobDone():
                self._job_done(message)
            case Interrupt(reason):
                await self._interrupt(reason)
            case _:
                assert_never(message)
        return None

    async def stopped(self) -> None:
        """Whoever waits for the group's end doesn't wait for ever."""
        self._end(None)

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        """A job that crashes is a bug of callboard; the others go on."""
        if not isinstance(signal, ChildFailed):
            return
        for job, ref in self._jobs.items():
            if ref.address == signal.ref.address and job not in self._done:
                failure = Failure("Bug", f"{type(signal.error).__name__}: {signal.error}")
                self._journal.emit(
                    self.context.address, JobEnded(job, "incomplete", failure, duration_s=0.0)
                )
                self._job_done(JobDone(job, "incomplete", failures=0))

    async def _run(self) -> None:
        coordinator: ActorRef[CoordinatorMessage] | None = None
        if self._members:
            members = [(member.job, member.role) for member in self._members]
            coordinator = self.context.spawn(
                lambda: Coordinator(Coordination(members)), "coordinator"
            )
        for placement in self._placements:
            self._create(placement, coordinator)
        for job in self._jobs.values():
            await job.tell(StartJob())

    def _create(
        self, placement: Placement, coordinator: ActorRef[CoordinatorMessage] | None
    ) -> None:
        job = placement.job
        self._journal.emit(
            self.context.address,
            JobCreated(
                job.id,
                job.sub_id,
                job.role.name if job.role else None,
                placement.device,
                placement.driver,
                job.text,
            ),
        )
        self._jobs[job.id] = self.context.spawn(
            lambda: Job(
                job,
                placement.pipeline,
                placement.node,
                self._members,
                coordinator,
                self.context.ref,
                self._journal,
                self._secrets,
            ),
            f"job-{job.id}",
        )

    async def _interrupt(self, reason: str) -> None:
        if self._interrupted is not None:
            return
        self._interrupted = reason
        for job, ref in self._jobs.items():
            if job not in self._done:
                await ref.tell(CancelJob(reason))

    def _job_done(self, done: JobDone) -> None:
        self._done[done.job] = done
        if len(self._done) == len(self._placements):
            healths = tuple(self._done[each.job.id].health for each in self._placements)
            failures = sum(each.failures for each in self._done.values())
            self._end(GroupDone(healths, failures))

    def _end(self, done: GroupDone | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(done)
