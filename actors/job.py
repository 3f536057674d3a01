"""One node's job: its pipeline in order, finalised whatever happens."""

from collections.abc import Mapping
from typing import assert_never

import anyio

from callboard.actors.action import action
from callboard.actors.connection import Connection
from callboard.actors.context import JobContext
from callboard.actors.drivers import Node
from callboard.actors.messages import (
    ActionDone,
    ActionMessage,
    CancelJob,
    ConnectionMessage,
    CoordinatorMessage,
    Done,
    GroupMessage,
    JobData,
    JobDone,
    JobMessage,
    KeepConnection,
    Run,
    StartJob,
)
from callboard.actors.multinode import Member, Multinode
from callboard.definition.model import NodeJob, PipelineAction
from callboard.events import Body, Failure, Health, JobEnded, JobResult, JobStarted
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef

FINALIZE_S = 300
"""Limit of the clean-up of a job (LAVA: life cycle of a job)."""


class Job(Actor[JobMessage]):
    """Runs one node's job: validate, set up, run, and always finalise.

    Args:
        job: The job's definition.
        pipeline: Its top-level actions, `finalize` last.
        node: The device; the job prepares and releases it.
        group: Every node of the group that LAVA lists.
        coordinator: The group's coordinator, None without roles.
        owner: Who is told that the job is done.
        journal: Where the job's actors record what happens.
        secrets: For the node's `secrets` file only.
    """

    def __init__(
        self,
        job: NodeJob,
        pipeline: tuple[PipelineAction, ...],
        node: Node,
        group: tuple[Member, ...],
        coordinator: ActorRef[CoordinatorMessage] | None,
        owner: ActorRef[GroupMessage],
        journal: Journal,
        secrets: Mapping[str, str],
    ) -> None:
        self._job = job
        self._node = node
        self._group = group
        self._coordinator = coordinator
        self._owner = owner
        self._journal = journal
        self._secrets = secrets
        *self._left, self._finalize = pipeline
        self._pipeline = pipeline
        self._context: JobContext | None = None
        self._data = JobData()
        self._current: ActorRef[ActionMessage] | None = None
        self._finalizing = False
        self._failure: Failure | None = None
        self._health: Health = "complete"
        self._began_s = anyio.current_time()
        self._deadline_s = self._began_s + job.timeouts.job_s

    async def receive(self, message: JobMessage) -> object:
        """Handle one message; the job itself never waits for an action."""
        match message:
            case StartJob():
                await self._start()
            case ActionDone(done):
                await self._action_done(done)
            case CancelJob(reason):
                await self._cancel(reason)
            case KeepConnection(namespace, console):
                return self._keep(
                    namespace, Connection(self._job.id, namespace, console, self._journal)
                )
            case _:
                assert_never(message)
        return None

    async def stopped(self) -> None:
        """Leave nothing of the node behind, even if the job could not finalise."""
        await self._node.release()

    async def _start(self) -> None:
        if self._finalizing:  # cancelled before it began
            return
        protocol = None
        if self._coordinator is not None and self._job.role is not None:
            coordinator, member = self._coordinator, Member(self._job.id, self._job.role.name)
            protocol = self.context.spawn(
                lambda: Multinode(member, self._group, coordinator, self._journal), "multinode"
            )
        self._context = JobContext(
            self._job,
            self._pipeline,
            self._node,
            self._group,
            self._journal,
            self.context.ref,
            protocol,
            self._secrets,
        )
        self._emit(JobResult(self._job.id, "validate", "pass"))
        try:
            await self._node.prepare()
        except OSError as error:
            text = f"the node could not be prepared: {error}"
            self._failure = Failure("InfrastructureError", text)
            self._health = "incomplete"
            await self._next()
            return
        self._emit(JobStarted(self._job.id))
        self._deadline_s = anyio.current_time() + self._job.timeouts.job_s
        await self._next()

    async def _next(self) -> None:
        """Run the next action; after a failure, and at the end, finalise."""
        if self._finalizing:
            await self._end()
            return
        if self._failure is None and self._left:
            await self._run(self._left.pop(0), self._deadline_s)
            return
        self._finalizing = True
        await self._run(self._finalize, anyio.current_time() + FINALIZE_S)

    async def _run(self, plan: PipelineAction, deadline_s: float) -> None:
        context = self._context
        assert context is not None, "the job has started"
        self._current = self.context.spawn(lambda: action(plan, context), f"action-{plan.level}")
        self.context.pipe(
            self._current,
            Run(self._data, deadline_s),
            lambda outcome: ActionDone(outcome.value),
        )

    async def _action_done(self, done: Done | None) -> None:
        if self._current is not None:
            await self._current.stop()
            self._current = None
        if done is None and self._failure is None:
            self._failure = Failure("Bug", "an action's actor ended without an answer")
            self._health = "incomplete"
        if done is not None:
            self._data = done.data
            if done.failure is not None and self._failure is None:
                self._failure = done.failure
                self._health = "incomplete"
        await self._next()

    async def _cancel(self, reason: str) -> None:
        if self._finalizing or self._health == "canceled":
            return
        self._health = "canceled"
        self._failure = Failure("Canceled", reason)
        if self._current is not None:
            await self._current.cancel()  # its outcome arrives as ActionDone
        elif self._context is None:
            await self._end()

    async def _end(self) -> None:
        duration_s = round(anyio.current_time() - self._began_s, 6)
        self._emit(JobEnded(self._job.id, self._health, self._failure, duration_s))
        self._finalizing = True
        await self._owner.tell(JobDone(self._job.id, self._health, self._data.failures))

    def _keep(self, namespace: str, connection: Connection) -> ActorRef[ConnectionMessage]:
        return self.context.spawn(lambda: connection, f"connection-{namespace}")

    def _emit(self, body: Body) -> None:
        self._journal.emit(self.context.address, body)
