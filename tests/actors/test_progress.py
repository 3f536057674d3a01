"""A group that is taken up by another group actor: it goes on, and does nothing twice."""

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest
from attrs import define, field

from callboard.actors.group import Group, Rules
from callboard.actors.messages import (
    CancelJob,
    GroupDone,
    GroupMessage,
    Interrupt,
    JobDone,
    JobMessage,
    RunGroup,
    StartJob,
)
from callboard.actors.post import Employer, Post
from callboard.actors.progress import Noted, Progress
from callboard.definition import read_text, split
from callboard.events import Event, Failure, JobCreated
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, ActorSystem

pytestmark = pytest.mark.asyncio

GROUP = """\
job_name: group
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: board, count: 1, essential: true}
      client: {device_type: board, count: 2}
actions:
- boot: {role: [server, client], method: ssh}
"""

LOST = Failure("InfrastructureError", "its worker is gone")
ESSENTIAL = "job 1 of the essential role server failed: its worker is gone"


@define(eq=False)
class Stage:
    """A group and stand-ins for its jobs.

    Attributes:
        heard: What each job has been told, in order.
        noted: What the group has written down.
        events: What was recorded.
        ended: How it ended, None while it has not.
    """

    heard: list[tuple[int, JobMessage]] = field(factory=list[tuple[int, JobMessage]])
    noted: list[Noted] = field(factory=list[Noted])
    events: list[Event] = field(factory=list[Event])
    ended: GroupDone | None = None
    group: ActorRef[GroupMessage] = field(init=False)

    async def tell(self, *messages: GroupMessage) -> None:
        """Tell the group, and wait until all have heard what came of it."""
        for message in messages:
            await self.group.tell(message)
        await anyio.wait_all_tasks_blocked()

    @property
    def started(self) -> list[int]:
        """The jobs that were told to start."""
        return [job for job, message in self.heard if isinstance(message, StartJob)]

    @property
    def cancels(self) -> list[tuple[int, str]]:
        """The jobs that were told to end, and why."""
        return [(job, each.reason) for job, each in self.heard if isinstance(each, CancelJob)]

    @property
    def created(self) -> list[int]:
        """The jobs whose creation was recorded."""
        return [each.body.job for each in self.events if isinstance(each.body, JobCreated)]


class StandIn(Actor[JobMessage]):
    def __init__(self, job: int, stage: Stage) -> None:
        self._job = job
        self._stage = stage

    def receive(self, message: JobMessage) -> None:
        self._stage.heard.append((self._job, message))


@contextlib.asynccontextmanager
async def running(progress: Progress | None) -> AsyncIterator[Stage]:
    definition, diagnostics = read_text(GROUP, "group.yaml")
    assert definition is not None, diagnostics
    stage = Stage()

    def end(done: GroupDone | None) -> None:
        if done is not None:
            stage.ended = done

    def hire(job: int) -> Actor[JobMessage]:
        return StandIn(job, stage)

    def post(job: int) -> Post:
        def hire_one(_employer: Employer) -> Actor[JobMessage]:
            return hire(job)

        return Post(jobs[job], f"d-{job}", "far", hire_one, lambda: None)

    jobs = {each.id: each for each in split(definition, first_id=1, group="g")}
    posts = tuple(post(job) for job in jobs)
    journal = Journal(anyio.current_time, sinks=[stage.events.append])
    rules = Rules(note=stage.noted.append)
    async with ActorSystem() as system:
        stage.group = system.spawn(
            lambda: Group(posts, journal, {}, end, rules, progress=progress), "group"
        )
        await stage.tell(RunGroup())
        yield stage


async def test_what_a_group_has_to_know_later_is_noted_before_it_acts() -> None:
    async with running(None) as stage:
        assert stage.started == [1, 2, 3]
        assert stage.created == [1, 2, 3]
        done = JobDone(1, "incomplete", 0, LOST)
        await stage.tell(done)
        assert stage.noted == [done, Interrupt(ESSENTIAL)]
        assert stage.cancels == [(2, ESSENTIAL), (3, ESSENTIAL)]


async def test_a_job_ends_once() -> None:
    async with running(None) as stage:
        done = JobDone(2, "complete", 1)
        await stage.tell(done, JobDone(2, "incomplete", 5, LOST), JobDone(3, "complete", 0))
        assert stage.noted == [done, JobDone(3, "complete", 0)]
        assert stage.ended is None
        await stage.tell(JobDone(1, "complete", 0))
        assert stage.ended == GroupDone(("complete", "complete", "complete"), 1)


async def test_jobs_that_are_done_are_not_begun_again() -> None:
    done = JobDone(2, "complete", 1)
    async with running(Progress(frozenset({1, 2, 3}), (done,))) as stage:
        assert stage.started == [1, 3]
        assert stage.events == []
        assert stage.noted == []
        await stage.tell(JobDone(1, "complete", 0), JobDone(3, "complete", 0))
        assert stage.ended == GroupDone(("complete", "complete", "complete"), 1)


async def test_what_is_not_on_record_is_recorded() -> None:
    async with running(Progress(frozenset({1}))) as stage:
        assert stage.created == [2, 3]
        assert stage.started == [1, 2, 3]


async def test_an_interruption_is_carried_out_though_it_may_have_been() -> None:
    done = JobDone(2, "complete", 0)
    async with running(Progress(frozenset({1, 2, 3}), (done,), "enough")) as stage:
        assert stage.cancels == [(1, "enough"), (3, "enough")]
        assert stage.noted == []
        await stage.tell(Interrupt("once more"))
        assert stage.noted == []
        assert stage.cancels == [(1, "enough"), (3, "enough")]


async def test_the_rules_are_applied_to_what_was_noted_last() -> None:
    done = JobDone(1, "incomplete", 0, LOST)
    async with running(Progress(frozenset({1, 2, 3}), (done,))) as stage:
        assert stage.noted == [Interrupt(ESSENTIAL)]
        assert stage.cancels == [(2, ESSENTIAL), (3, ESSENTIAL)]


async def test_a_group_whose_jobs_are_all_done_ends_at_once() -> None:
    done = tuple(JobDone(job, "complete", 0) for job in (3, 1, 2))
    async with running(Progress(frozenset({1, 2, 3}), done)) as stage:
        assert stage.heard == []
        assert stage.ended == GroupDone(("complete", "complete", "complete"), 0)
