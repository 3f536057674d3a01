"""One node's job: its pipeline in order, finalised whatever happens."""

from contextlib import suppress
from typing import assert_never

import anyio
from attrs import evolve

from callboard.actors.action import Action
from callboard.actors.connection import Connection
from callboard.actors.context import JobContext
from callboard.actors.drivers import Attended
from callboard.actors.errand import Errand, Perform
from callboard.actors.lxc import Lxc, LxcMessage
from callboard.actors.lxc.messages import RemoveContainer
from callboard.actors.members import Member
from callboard.actors.messages import (
    ActionDone,
    ActionMessage,
    Answer,
    AwaitGuests,
    Call,
    CancelJob,
    ConnectionMessage,
    Depart,
    Departed,
    Done,
    Gather,
    Gathered,
    GiveUp,
    GuestsGone,
    JobData,
    JobDone,
    JobMessage,
    Joined,
    KeepConnection,
    Leave,
    Prepared,
    ProtocolMessage,
    Refused,
    Removed,
    Run,
    StartAnswered,
    StartJob,
    VlansLeft,
)
from callboard.actors.multinode import Multinode
from callboard.actors.placement import Placement
from callboard.actors.post import Employer, Post
from callboard.actors.testshell import TEST_SHELLS, TestShell
from callboard.actors.vland import Vland, VlandMessage
from callboard.actors.vland.messages import ReleaseVlans
from callboard.definition.calls import START
from callboard.definition.model import COMMON, PipelineAction, Role
from callboard.events import (
    Body,
    ConsoleOutput,
    Failure,
    Health,
    JobEnded,
    JobResult,
    JobStarted,
    Message,
    Where,
)
from callboard.runtime import Actor, ActorFailed, ActorRef, ActorStopped, Outcome

_ENDS_THE_GROUP = frozenset({"InfrastructureError", "JobError", "ConfigurationError", "Bug"})

FINALIZE_S = 300
"""Limit of the clean-up of a job (LAVA: life cycle of a job)."""

GATHERING_S = 90
"""How long a group may take to gather elsewhere, unless a start is delayed for longer (LAVA:
delayed start)."""

GUESTS_S = 5.0
"""How long a host that is done waits for its guests to end, before it is taken down."""


class Job(Actor[JobMessage]):
    """Runs one node's job: validate, set up, run, and always finalise.

    Args:
        placement: The job's definition, and what it has to itself.
        employer: What its group gives it.
    """

    def __init__(self, placement: Placement, employer: Employer) -> None:
        self._placement = placement
        self._job = job = placement.job
        self._node = placement.node
        self._group = employer.members
        self._coordinator = employer.coordinator
        self._bridge = employer.bridge
        self._owner = employer.group
        self._journal = employer.journal
        self._secrets = employer.secrets
        self._has_guests = employer.has_guests
        self._switchboard = employer.switchboard
        self._makers = employer.makers
        *self._left, self._finalize = placement.pipeline
        self._context: JobContext | None = None
        self._container: ActorRef[LxcMessage] | None = None
        self._vland: ActorRef[VlandMessage] | None = None
        self._connections: dict[str, ActorRef[ConnectionMessage]] = {}
        self._data = JobData()
        self._current: ActorRef[ActionMessage] | None = None
        self._preparation: ActorRef[Perform] | None = None
        self._gathering = False
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
            case Joined(answer):
                await self._joined(answer)
            case StartAnswered(answer):
                await self._start_answered(answer)
            case Prepared(error):
                await self._prepared(error)
            case ActionDone(done):
                await self._action_done(done)
            case GuestsGone(late):
                await self._finalise(late=late)
            case VlansLeft(problems):
                await self._vlans_left(problems)
            case Removed():
                await self._depart()
            case Departed():
                await self._end()
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
        if self._finalizing or self._context is not None:  # cancelled, or told twice
            return
        protocol = self._open_multinode()
        self._container = self._open_lxc()
        self._vland = self._open_vland(protocol)
        self._context = JobContext(
            self._job,
            self._placement.pipeline,
            self._node,
            self._group,
            self._journal,
            self.context.ref,
            _action,
            protocol,
            self._container,
            self._placement.container,
            self._secrets,
            self._placement.access,
            self._placement.download,
            self._placement.wiring,
            self._vland,
            self._makers,
        )
        self._emit(JobResult(self._job.id, "validate", "pass"))
        if self._bridge is not None and self._job.role is not None:
            delayed = self._job.role.delayed_by is not None
            limit_s = self._job.start_limit_s if delayed else GATHERING_S
            self._gathering = True
            self.context.pipe(self._bridge, Gather(self._job.id, limit_s), _met)
        else:
            await self._set_up(protocol)

    async def _joined(self, answer: Gathered | Refused) -> None:
        """The group at a coordinator elsewhere is complete, with everybody in it."""
        if not self._gathering:  # cancelled meanwhile
            return
        self._gathering = False
        if isinstance(answer, Refused):
            self._fail(Failure("InfrastructureError", answer.reason))
            await self._next()
            return
        assert self._context is not None, "the job has started"
        self._context = evolve(self._context, group=answer.members)
        await self._set_up(self._context.protocol)

    async def _set_up(self, protocol: ActorRef[ProtocolMessage] | None) -> None:
        """Begin, or wait for the start if it is delayed."""
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

    def _open_multinode(self) -> ActorRef[ProtocolMessage] | None:
        if self._coordinator is None or self._job.role is None:
            return None
        coordinator, member = self._coordinator, Member(self._job.id, self._job.role.name)
        return self.context.spawn(
            lambda: Multinode(
                member,
                self._group,
                coordinator,
                self._placement.busy,
                self._journal,
                self._bridge,
            ),
            "multinode",
        )

    def _open_lxc(self) -> ActorRef[LxcMessage] | None:
        container, commands = self._placement.container, self._placement.commands
        if container is None:
            return None
        return self.context.spawn(
            lambda: Lxc(self._job.id, container, commands, self._journal), "lxc"
        )

    def _open_vland(
        self, multinode: ActorRef[ProtocolMessage] | None
    ) -> ActorRef[VlandMessage] | None:
        switchboard, job = self._switchboard, self._job.id
        if switchboard is None or multinode is None or not self._placement.wiring.ports:
            return None
        return self.context.spawn(
            lambda: Vland(job, self._makers, switchboard, multinode, self._node.call), "vland"
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
        if isinstance(self._node, Attended):
            self._node.attend(
                lambda line: self._emit(ConsoleOutput(self._job.id, COMMON, line)),
                lambda text: self._emit(Message(self._job.id, "info", text)),
            )
        self._preparation = self.context.spawn(Errand, "preparation")
        self.context.pipe(
            self._preparation,
            Perform(self._node.prepare),
            lambda outcome: Prepared((outcome.value or outcome).error),
        )

    async def _prepared(self, error: Exception | None) -> None:
        self._preparation = None
        if self._failure is not None:  # cancelled meanwhile
            pass
        elif isinstance(error, OSError):
            text = f"the node could not be prepared: {error}"
            self._fail(Failure("InfrastructureError", text))
        elif error is not None:
            raise error
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
            await self._take_down()
            return
        if self._failure is None and self._left:
            await self._run(self._left.pop(0), self._deadline_s)
            return
        self._finalizing = True
        await self._give_up()
        if self._coordinator is not None and self._bridge is None and not self._ends_the_group:
            await self._coordinator.tell(Leave(self._job.id))
        if self._has_guests:  # they may have passed the same sync just now
            self.context.pipe(
                self._owner,
                AwaitGuests(self._job.id),
                lambda outcome: GuestsGone(late=outcome.error is not None),
                timeout_s=GUESTS_S,
            )
        else:
            await self._finalise()

    async def _finalise(self, *, late: bool = False) -> None:
        """Run the last action, which ends the node, with whoever is still logged in."""
        if late:
            text = "the host is taken down though its guests have not ended"
            self._emit(Message(self._job.id, "warning", text))
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
        elif self._preparation is not None:
            await self._preparation.cancel()  # its outcome arrives as Prepared
        elif self._gathering or self._delayed:
            self._gathering = self._delayed = False
            await self._next()
        elif self._context is None:
            await self._end()

    async def _take_down(self) -> None:
        """The device is released: end the protocols (LAVA: graceful teardown)."""
        if self._vland is None:
            await self._remove_container()
            return
        self.context.pipe(self._vland, ReleaseVlans(), _left)

    async def _vlans_left(self, problems: tuple[str, ...]) -> None:
        """What could not be put back is the lab's trouble (LAVA: finalize always runs)."""
        for problem in problems:
            self._emit(Message(self._job.id, "error", problem))
            self._fail(Failure("InfrastructureError", problem))
        await self._remove_container()

    async def _remove_container(self) -> None:
        if self._container is None:
            await self._depart()
        else:
            self.context.pipe(self._container, RemoveContainer(), lambda _outcome: Removed())

    async def _depart(self) -> None:
        """Tell a coordinator elsewhere, as the last of all (LAVA: finalize always runs)."""
        if self._bridge is None:
            await self._end()
        else:
            self.context.pipe(self._bridge, Depart(self._job.id), lambda _outcome: Departed())

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


def post(placement: Placement) -> Post:
    """The post of a job that runs in this process."""
    return Post(
        placement.job,
        placement.device,
        placement.driver,
        lambda employer: Job(placement, employer),
        placement.kill,
        placement.wiring,
    )


def _action(plan: PipelineAction, context: JobContext) -> Actor[ActionMessage]:
    """The actor that runs `plan`: test shells listen to the device, the others work alone."""
    return (TestShell if plan.name in TEST_SHELLS else Action)(plan, context)


def ends_the_group(role: Role, failure: Failure | None) -> bool:
    """Whether a job of `role` takes its group along (LAVA: essential roles).

    Trouble of the lab or of the definition does; a test that fails, or a wait for others, doesn't.
    """
    return role.essential and failure is not None and failure.type in _ENDS_THE_GROUP


def _left(outcome: Outcome[tuple[str, ...]]) -> VlansLeft:
    return VlansLeft(outcome.value or ((str(outcome.error),) if outcome.error else ()))


def _met(outcome: Outcome[Gathered | Refused]) -> Joined:
    return Joined(outcome.value or Refused(str(outcome.error)))


def _started(outcome: Outcome[Answer]) -> StartAnswered:
    return StartAnswered(outcome.value or Refused(str(outcome.error)))
