"""A group of jobs: spawns the coordinator and the jobs, and ends when every job has ended."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, assert_never

from attrs import field, frozen

from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator, Patience
from callboard.actors.drivers.switches import Switches
from callboard.actors.job import ends_the_group
from callboard.actors.ledger import Ledger
from callboard.actors.links import Cables, LinkKeeper, Links
from callboard.actors.members import Member
from callboard.actors.messages import (
    AwaitGuests,
    BridgeMessage,
    CancelJob,
    CoordinatorMessage,
    Disband,
    GroupDone,
    GroupMessage,
    Interrupt,
    JobDone,
    JobMessage,
    Leave,
    RunGroup,
    StartJob,
)
from callboard.actors.post import Employer, Post
from callboard.actors.progress import Noted, Progress
from callboard.actors.semantics import DOCUMENTED, Semantics
from callboard.actors.vland import Switchboard, SwitchboardMessage
from callboard.actors.vland.messages import LeaveVlans
from callboard.actors.vland.switchboard import Membership
from callboard.definition.deployment import makers
from callboard.definition.senders import Senders
from callboard.events import Body, Failure, JobCreated, JobEnded, Message
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, ChildFailed, Outcome, Reply, Supervision, Terminated
from callboard.runtime.actor import MAILBOX_SIZE

_RESTARTS, _WITHIN_S = 100, 1.0
"""How often a coordinator is restarted in how many seconds: one that fails at once each time
stays down."""


Bridges = Callable[[tuple[Member, ...], Journal], Actor[Any]]
"""Makes an actor that understands `BridgeMessage`, for those members of a group that are here."""


@frozen
class Rules:
    """How a group's coordination works, and how its nodes reach it.

    Attributes:
        senders: Which roles send which IDs; None when any may send any.
        patience: What happens to waits that can't be satisfied any more.
        semantics: The reading of the protocol.
        ledger: Makes what the coordinator writes down, so that it survives; None for nothing.
        reach: Makes the ref by which the job of that id reaches the coordinator.
        links: What the links between the nodes are like; None where nothing is known of them.
        cables: What these links are made of; None where nothing is to be done for them.
        note: Is given what the group itself has to know when it is taken up again, before the
            group acts on it.
        bridge: Makes what stands for a coordinator elsewhere; None for one of the group's own.
    """

    senders: Senders | None = None
    patience: Patience = field(factory=Patience)
    semantics: Semantics = DOCUMENTED
    ledger: Callable[[], Ledger] | None = None
    reach: Callable[[int, ActorRef[CoordinatorMessage]], ActorRef[CoordinatorMessage]] = (
        lambda _job, coordinator: coordinator
    )
    links: Links | None = None
    cables: Cables | None = None
    note: Callable[[Noted], None] = lambda _noted: None
    bridge: Bridges | None = None


class Group(Actor[GroupMessage]):
    """Runs the jobs of one group.

    Args:
        posts: Every job, and who does it.
        journal: Where the group's actors record what happens.
        secrets: For the nodes' `secrets` files only.
        ended: Called once, when every job has been finalised, or with None when the group
            itself failed before; must not wait.
        rules: How the group's coordination works.
        switches: By the name of each VLAN of the group, what moves ports into it.
        progress: How far the group has come; None for one that begins. One with links or VLANs
            can't be taken up.
    """

    def __init__(
        self,
        posts: tuple[Post, ...],
        journal: Journal,
        secrets: Mapping[str, str],
        ended: Callable[[GroupDone | None], None],
        rules: Rules = Rules(),
        switches: Mapping[str, Switches] = MappingProxyType({}),
        progress: Progress | None = None,
    ) -> None:
        self._posts = posts
        self._journal = journal
        self._secrets = secrets
        self._rules = rules
        self._switches = switches
        self._makers = makers(each.job for each in posts if each.wiring.ports)
        self._switchboard: ActorRef[SwitchboardMessage] | None = None
        self._members = tuple(
            Member(each.job.id, each.job.role.name) for each in posts if each.job.role
        )
        self._roles = {each.job.id: each.job.role for each in posts}
        self._coordinator: ActorRef[CoordinatorMessage] | None = None
        self._bridge: ActorRef[BridgeMessage] | None = None
        self._jobs: dict[int, ActorRef[JobMessage]] = {}
        self._progress = progress or Progress()
        self._done = {done.job: done for done in self._progress.done}
        roles = [each for each in self._roles.values() if each is not None]
        self._host_roles = {each.host_role for each in roles if each.connection is not None}
        self._hosts: list[tuple[set[int], Reply[None]]] = []
        self._ended: Callable[[GroupDone | None], None] | None = ended
        self._interrupted = self._progress.interrupted

    async def receive(self, message: GroupMessage) -> object:
        """Handle one message."""
        match message:
            case RunGroup():
                await self._run()
            case JobDone():
                await self._job_done(message)
            case Interrupt(reason):
                await self._interrupt(reason)
            case AwaitGuests(host):
                left = self._guests(host) - self._done.keys()
                self._hosts.append((left, self.context.defer(message)))
                self._answer_hosts()
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
                await self._crashed(job, signal.error)

    async def _crashed(self, job: int, error: Exception) -> None:
        """Do what the job can't do any more."""
        failure = Failure("Bug", f"{type(error).__name__}: {error}")
        self._emit(JobEnded(job, "incomplete", failure, duration_s=0.0))
        done = JobDone(job, "incomplete", failures=0, error=failure)
        if self._switchboard is None:
            await self._job_done(done)
        else:
            leave = LeaveVlans(job)
            self.context.pipe(self._switchboard, leave, lambda outcome: self._left(done, outcome))
        if self._coordinator is not None:
            await self._coordinator.tell(Leave(job))

    def _left(self, done: JobDone, outcome: Outcome[tuple[str, ...]]) -> JobDone:
        for problem in outcome.value or ():
            self._emit(Message(done.job, "error", problem))
        return done

    async def _run(self) -> None:
        if self._members and self._rules.bridge is None:
            self._coordinator = self._open_coordinator()
        elif self._members and self._rules.bridge is not None:
            self._coordinator = self._bridge = self._open_bridge(self._rules.bridge)
        if self._rules.links is not None:
            self._keep(self._rules.links)
        self._switchboard = self._open_switchboard()
        for post in self._posts:
            if post.job.id not in self._done:
                self._create(post)
        for job in self._jobs.values():
            await job.tell(StartJob())
        await self._take_up()

    @property
    def _room(self) -> int:
        """A piped request finds room or fails; each member has few under way at a time."""
        return max(MAILBOX_SIZE, 4 * len(self._posts))

    def _open_coordinator(self) -> ActorRef[CoordinatorMessage]:
        rules, journal = self._rules, self._journal
        members = {member.job: member for member in self._members}
        ledger = rules.ledger() if rules.ledger else None

        def coordinator() -> Coordinator:
            roles = [(member.job, member.role) for member in self._members]
            state = Coordination(roles, rules.senders, rules.semantics)
            return Coordinator(state, members, journal, rules.patience, ledger)

        survival = Supervision.restart(_RESTARTS, _WITHIN_S) if ledger else None
        return self.context.spawn(
            coordinator, "coordinator", supervision=survival, mailbox_size=self._room
        )

    def _open_bridge(self, bridge: Bridges) -> ActorRef[BridgeMessage]:
        members, journal = self._members, self._journal
        return self.context.spawn(
            lambda: bridge(members, journal), "coordinator", mailbox_size=self._room
        )

    async def _take_up(self) -> None:
        """What was decided before the group was taken up may not have been carried out."""
        if self._interrupted is not None:
            await self._cancel(self._interrupted)
        for done in self._progress.done:
            await self._apply_rules(done)
        if self._progress.done:
            await self._end_if_over()

    def _keep(self, links: Links) -> None:
        """Have links be what they are to be."""
        rules, group = self._rules, self.context.ref
        keeper = self.context.spawn(
            lambda: LinkKeeper(links, rules.cables, group, self._journal),
            "links",
            supervision=Supervision.escalate(),  # while it is gone, nobody's calls get through
            mailbox_size=self._room,
        )
        links.watch(keeper.tell_nowait)

    def _open_switchboard(self) -> ActorRef[SwitchboardMessage] | None:
        if not self._makers:
            return None
        members = tuple(Membership(each.job.id, each.wiring.ports) for each in self._posts)
        return self.context.spawn(
            lambda: Switchboard(members, self._switches, self._makers, self._journal),
            "switchboard",
            mailbox_size=self._room,
        )

    def _create(self, post: Post) -> None:
        job, coordinator = post.job, self._coordinator
        if coordinator is not None:
            coordinator = self._rules.reach(job.id, coordinator)
        if job.id not in self._progress.created:
            self._emit(
                JobCreated(
                    job.id,
                    job.sub_id,
                    job.role.name if job.role else None,
                    post.device,
                    post.driver,
                    job.text,
                )
            )
        employer = Employer(
            self.context.ref,
            coordinator,
            self._members,
            self._journal,
            self._secrets,
            has_guests=job.role is not None and job.role.name in self._host_roles,
            switchboard=self._switchboard,
            makers=self._makers,
            bridge=self._bridge,
        )
        self._jobs[job.id] = self.context.spawn(lambda: post.hire(employer), f"job-{job.id}")

    async def _interrupt(self, reason: str) -> None:
        if self._interrupted is None:
            self._interrupted = reason
            self._rules.note(Interrupt(reason))
            await self._cancel(reason)

    async def _cancel(self, reason: str) -> None:
        if self._coordinator is not None:
            await self._coordinator.tell(Disband())
        for job, ref in self._jobs.items():
            if job not in self._done:
                await ref.tell(CancelJob(reason))

    async def _job_done(self, done: JobDone) -> None:
        if done.job in self._done:
            return
        self._done[done.job] = done
        self._rules.note(done)
        for left, _ in self._hosts:
            left.discard(done.job)
        self._answer_hosts()
        await self._apply_rules(done)
        await self._end_if_over()

    async def _apply_rules(self, done: JobDone) -> None:
        """A job of an essential role takes the group along."""
        role = self._roles[done.job]
        if role is not None and done.error is not None and ends_the_group(role, done.error):
            text = f"job {done.job} of the essential role {role.name} failed: {done.error.message}"
            await self._interrupt(text)

    async def _end_if_over(self) -> None:
        if len(self._done) < len(self._posts):
            return
        healths = tuple(self._done[each.job.id].health for each in self._posts)
        failures = sum(each.failures for each in self._done.values())
        if self._switchboard is not None:
            await self._switchboard.stop()  # what could not be undone is tried once more
        self._end(GroupDone(healths, failures))

    def _guests(self, host: int) -> set[int]:
        """The jobs that log in on a host of the role of a job."""
        own = self._roles[host]
        return {
            job
            for job, role in self._roles.items()
            if own and role and role.connection is not None and role.host_role == own.name
        }

    def _answer_hosts(self) -> None:
        """Tell the hosts whose guests have all ended."""
        for left, reply in self._hosts:
            if not left:
                reply.send(None)
        self._hosts = [(left, reply) for left, reply in self._hosts if left]

    def _emit(self, body: Body) -> None:
        self._journal.emit(self.context.address, body)

    def _end(self, done: GroupDone | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(done)
