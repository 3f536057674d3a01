"""One node's job: its pipeline in order, finalised whatever happens."""

from collections.abc import Mapping
from contextlib import suppress
from typing import assert_never

import anyio

from callboard.actors.action import Action
from callboard.actors.connection import Connection
from callboard.actors.context import JobContext
from callboard.actors.drivers import Node
from callboard.actors.members import Member
from callboard.actors.messages import (
    ActionDone,
    ActionMessage,
    Answer,
    Call,
    CancelJob,
    ConnectionMessage,
    CoordinatorMessage,
    Done,
    GiveUp,
    GroupMessage,
    JobData,
    JobDone,
    JobMessage,
    KeepConnection,
    Leave,
    ProtocolMessage,
    Refused,
    Run,
    StartAnswered,
    StartJob,
)
from callboard.actors.multinode import Multinode
from callboard.actors.testshell import TEST_SHELLS, TestShell
from callboard.definition.calls import START
from callboard.definition.model import NodeJob, PipelineAction, Role
from callboard.events import (
    Body,
    Failure,
    Health,
    JobEnded,
    JobResult,
    JobStarted,
    Message,
    Where,
)
from callboard.journal import Journal
from callboard.runtime import Actor, ActorFailed, ActorRef, ActorStopped, Outcome

_ENDS_THE_GROUP = frozenset({"InfrastructureError", "JobError", "ConfigurationError", "Bug"})

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
        self._connections: dict[str, ActorRef[ConnectionMessage]] = {}
        self._data = JobData()
        self._current: ActorRef[ActionMessage] | None = None
        self._delayed = False
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
            case StartAnswered(answer):
                await self._start_answered(answer)
            case ActionDone(done):
                await self._action_done(done)
            case CancelJob(reason):
                await self._cancel(reason)
            case KeepConnection(namespace, console):
                return await self._keep(
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
        protocol = self._open_protocol()
        self._context = JobContext(
            self._job,
            self._pipeline,
            self._node,
            self._group,
            self._journal,
            self.context.ref,
            _action,
            protocol,
            self._secrets,
        )
        self._emit(JobResult(self._job.id, "validate", "pass"))
        role = self._job.role
        if protocol is None or role is None or role.delayed_by is None:
            await self._begin()
            return
        limit_s = self._job.start_limit_s
        text = (
            f"the start is delayed until every node of role {role.delayed_by} has sent {START}, "
            f"by {limit_s} s at most"
        )
        self._emit(Message(self._job.id, "info", text))
        self._delayed = True
        place = role.place
        where = Where(place.file, place.line, place.column, f"request: lava-start ({role.name})")
        call = Call("start", START, limit_s, role.delayed_by, where=where)
        self.context.pipe(protocol, call, _started)

    def _open_protocol(self) -> ActorRef[ProtocolMessage] | None:
        if self._coordinator is None or self._job.role is None:
            return None
        coordinator, member = self._coordinator, Member(self._job.id, self._job.role.name)
        return self.context.spawn(
            lambda: Multinode(member, self._group, coordinator, self._node, self._journal),
            "multinode",
        )

    async def _start_answered(self, answer: Answer) -> None:
        if not self._delayed:  # cancelled meanwhile
            return
        self._delayed = False
        if isinstance(answer, Refused):
            self._fail(Failure("MultinodeTimeout", answer.reason))
            await self._next()
        else:
            await self._begin()

    async def _begin(self) -> None:
        """Every protocol is set up: make the node ready, and run."""
        try:
            await self._node.prepare()
        except OSError as error:
            text = f"the node could not be prepared: {error}"
            self._fail(Failure("InfrastructureError", text))
        else:
            self._emit(JobStarted(self._job.id))
            self._deadline_s = anyio.current_time() + self._job.timeouts.job_s
        await self._next()

    def _fail(self, failure: Failure) -> None:
        """Take note of the first failure; what is left of the pipeline is not run."""
        if self._failure is None:
            self._failure = failure
            self._health = "incomplete"

    async def _next(self) -> None:
        """Run the next action; after a failure, and at the end, finalise."""
        if self._finalizing:
            await self._end()
            return
        if self._failure is None and self._left:
            await self._run(self._left.pop(0), self._deadline_s)
            return
        self._finalizing = True
        await self._give_up()
        if self._coordinator is not None and not self._ends_the_group:
            await self._coordinator.tell(Leave(self._job.id))
        await self._run(self._finalize, anyio.current_time() + FINALIZE_S)

    async def _give_up(self) -> None:
        """Have every call answered that is still open: what made it is no more."""
        protocol = None if self._context is None else self._context.protocol
        if protocol is not None:
            with suppress(ActorStopped, ActorFailed):
                await protocol.ask(GiveUp())

    async def _run(self, plan: PipelineAction, deadline_s: float) -> None:
        context = self._context
        assert context is not None, "the job has started"
        self._current = self.context.spawn(
            lambda: context.action(plan, context), f"action-{plan.level}"
        )
        self.context.pipe(
            self._current,
            Run(self._data, deadline_s),
            lambda outcome: ActionDone(outcome.value),
        )

    async def _action_done(self, done: Done | None) -> None:
        if self._current is not None:
            await self._current.stop()
            self._current = None
        if done is None:
            self._fail(Failure("Bug", "an action's actor ended without an answer"))
        else:
            self._data = done.data
            if done.failure is not None:
                self._fail(done.failure)
        await self._next()

    async def _cancel(self, reason: str) -> None:
        if self._finalizing or self._health == "canceled":
            return
        self._health = "canceled"
        self._failure = Failure("Canceled", reason)
        if self._current is not None:
            await self._current.cancel()  # its outcome arrives as ActionDone
        elif self._delayed:
            self._delayed = False
            await self._next()
        elif self._context is None:
            await self._end()

    async def _end(self) -> None:
        duration_s = round(anyio.current_time() - self._began_s, 6)
        self._emit(JobEnded(self._job.id, self._health, self._failure, duration_s))
        self._finalizing = True
        await self._owner.tell(
            JobDone(self._job.id, self._health, self._data.failures, self._failure)
        )

    @property
    def _ends_the_group(self) -> bool:
        role = self._job.role
        return role is not None and ends_the_group(role, self._failure)

    async def _keep(self, namespace: str, connection: Connection) -> ActorRef[ConnectionMessage]:
        """The session of a namespace; one that an attempt before has opened is over then."""
        before = self._connections.get(namespace)
        if before is not None:
            await before.cancel()
        kept = self.context.spawn(lambda: connection, f"connection-{namespace}")
        self._connections[namespace] = kept
        return kept

    def _emit(self, body: Body) -> None:
        self._journal.emit(self.context.address, body)


def _action(plan: PipelineAction, context: JobContext) -> Actor[ActionMessage]:
    """The actor that runs `plan`: test shells listen to the device, the others work alone."""
    return (TestShell if plan.name in TEST_SHELLS else Action)(plan, context)


def ends_the_group(role: Role, failure: Failure | None) -> bool:
    """Whether a job of `role` takes its group along (LAVA: essential roles).

    Trouble of the lab or of the definition does; a test that fails, or a wait for others, doesn't.
    """
    return role.essential and failure is not None and failure.type in _ENDS_THE_GROUP


def _started(outcome: Outcome[Answer]) -> StartAnswered:
    return StartAnswered(outcome.value or Refused(str(outcome.error)))
