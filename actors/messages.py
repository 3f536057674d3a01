"""The messages that the actors of a group exchange: one immutable class each.

A `Request[R]` is asked and answered with an `R`; the others are told.
"""

from collections.abc import Mapping
from functools import cached_property

from attrs import evolve, field, frozen

from callboard.actors.drivers import Console, Creation
from callboard.actors.effects import NO_DATA, Data, Ticket
from callboard.actors.members import Member
from callboard.actors.sent import spoken
from callboard.actors.signals import Signal
from callboard.actors.wire import data_lines
from callboard.events import CallName, Failure, Health, Where
from callboard.runtime import ActorRef, Request

# To the coordinator


@frozen
class Granted:
    """The answer to a call that succeeded, with what was received; many nodes share one."""

    data: Data = NO_DATA

    @cached_property
    def received(self) -> Mapping[str, Mapping[str, str]]:
        """The data as events have it: by the sender's id as text, without those who sent none."""
        return {str(job): values for job, values in spoken(self.data).items()}

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The data as a node's helper is told it."""
        return tuple(data_lines(spoken(self.data)))


@frozen
class Refused:
    """The answer to a call that failed.

    Attributes:
        reason: For the job's reader.
        overlooked: Whether who has called goes on all the same, without data.
    """

    reason: str
    overlooked: bool = False


@frozen
class GivenUp:
    """The answer to a call that nobody waits for any more."""


Answer = Granted | Refused | GivenUp


@frozen
class Join:
    """A member's protocol makes itself known, so that it can be asked."""

    member: int
    protocol: "ActorRef[ProtocolMessage]"


@frozen
class Leave:
    """`member` calls nothing any more, for its job is over or about to be.

    The `number` is the member's own for this request, here as in `Send`, `Release` and tickets:
    what comes again under the same number is the same request. 0 is none, but for a member's end.
    """

    member: int
    number: int = 0


@frozen
class Disband:
    """The whole group is being ended, so whoever leaves now is not missed."""


@frozen
class Send:
    """`member` sends `data` under `message_id`."""

    member: int
    message_id: str
    data: Mapping[str, str]
    number: int = 0


@frozen
class Release:
    """`member` lets the delayed jobs of `roles` begin, as far as it is concerned."""

    member: int
    roles: tuple[str, ...]
    number: int = 0


@frozen
class Wait(Request[Answer]):
    """Answered when any member has sent `message_id`; `cause` is the event of the call."""

    ticket: Ticket
    message_id: str
    cause: int | None = None


@frozen
class WaitAll(Request[Answer]):
    """Answered when every member, or every member of `role`, has sent `message_id`."""

    ticket: Ticket
    message_id: str
    role: str | None = None
    cause: int | None = None


@frozen
class Sync(Request[Answer]):
    """Answered when every member has called sync with `sync_id`."""

    ticket: Ticket
    sync_id: str
    cause: int | None = None


@frozen
class Start(Request[Answer]):
    """Answered when every member of `role` has released the role of the asker."""

    ticket: Ticket
    role: str
    cause: int | None = None


Waiting = Wait | WaitAll | Sync | Start


@frozen
class Withdraw(Request[tuple[int, ...]]):
    """The member has stopped waiting; answered with the members that it was waiting for."""

    ticket: Ticket


CoordinatorMessage = Join | Leave | Disband | Send | Release | Waiting | Withdraw


# To what stands for a coordinator that is elsewhere, besides those


@frozen
class Gathered:
    """The group is complete: `members` are all of it, those of others included, by their ids."""

    members: tuple[Member, ...]


@frozen
class Gather(Request[Gathered | Refused]):
    """`member` joins; answered when the group is complete, or after `limit_s` seconds."""

    member: int
    limit_s: float


@frozen
class Deliver(Request[Answer]):
    """Answered when the coordinator has what is sent."""

    content: Send | Release

    @property
    def ticket(self) -> Ticket:
        """That of the request."""
        return self.content.member, self.content.number


@frozen
class Depart(Request[None]):
    """`member` leaves; answered when the coordinator knows, or can't be told."""

    member: int


BridgeMessage = CoordinatorMessage | Gather | Deliver | Depart


# To the MultiNode protocol of a job


@frozen
class Call(Request[Answer]):
    """A node's call of the MultiNode API.

    Attributes:
        call: What is asked.
        id: The message or sync ID.
        limit_s: How long to wait for the answer, in seconds.
        role: Role to wait for (`wait-all` and `start` only).
        data: What is sent (`send` only).
        roles: Roles that a sent `lava_start` releases, None for all.
        where: Where the call is written, as far as known.
        cause: `seq` of the event that led to the call, None when it isn't recorded.
        in_shell: Whether a test on the node makes it, which may have others working aside.
    """

    call: CallName
    id: str
    limit_s: float
    role: str | None = None
    data: Mapping[str, str] = field(factory=dict[str, str])
    roles: tuple[str, ...] | None = None
    where: Where | None = None
    cause: int | None = None
    in_shell: bool = False


@frozen
class GiveUp(Request[None]):
    """Nobody waits any more for the answers to the node's open calls.

    Attributes:
        call: With `id` and `role`, the one call of a test that is meant; None for all of them.
    """

    call: CallName | None = None
    id: str = ""
    role: str | None = None


@frozen
class AskBusy(Request[bool]):
    """Whether the node works on something besides its open calls, and may yet call again."""


ProtocolMessage = Call | GiveUp | AskBusy


# To a connection


@frozen
class Seen:
    """A signal, and the `seq` of the event that recorded its line (None if it wasn't kept)."""

    signal: Signal
    seq: int | None


@frozen
class Printed:
    """What the device has printed: the signals of some lines, in order."""

    signals: tuple[Seen, ...]


@frozen
class Closed:
    """The far end has closed the connection."""


ConnectionNews = Printed | Closed


@frozen
class Attach:
    """From now on `listener` gets the news of this connection, and nobody else does."""

    listener: "ActorRef[ConnectionNews]"


@frozen
class Detach:
    """Nobody gets the news of this connection."""


@frozen
class SendLines:
    """Send lines to the device."""

    lines: tuple[str, ...]


@frozen
class Execute(Request[int | None]):
    """Run a command in the shell; answered with its exit status when the shell has run it.

    The answer is None when the connection closes before.
    """

    command: str


@frozen
class SetAside:
    """While `aside`, a test of another namespace runs, and the output is only its feedback."""

    aside: bool


@frozen
class Hangup(Request[None]):
    """Close the connection; answered when it is closed and its last output is recorded."""


@frozen
class Received:
    """The device has printed `data`; empty when the far end has closed the connection."""

    data: bytes


@frozen
class OutputReady:
    """The console has output to take, or has come to its end."""


ConnectionMessage = (
    Attach | Detach | SetAside | SendLines | Execute | Hangup | Received | OutputReady
)


# To actions


@frozen
class ShellOverlay:
    """Where a namespace's overlay lies on the node, and which shell runs its tests."""

    root: str
    shell: str


@frozen
class JobData:
    """What the actions of a job hand on to each other; it is never changed, only replaced.

    Attributes:
        connections: The open connection of each namespace.
        overlays: The overlay of each namespace.
        received: What calls of actions have received, by namespace and message ID.
        failures: Number of failed test cases, definitions and calls so far.
        creation: How the job's container came to be there, None before it did.
        files: Names of the files that were downloaded into the container.
    """

    connections: Mapping[str, "ActorRef[ConnectionMessage]"] = field(
        factory=dict[str, "ActorRef[ConnectionMessage]"]
    )
    overlays: Mapping[str, ShellOverlay] = field(factory=dict[str, ShellOverlay])
    received: Mapping[tuple[str, str], Mapping[str, str]] = field(
        factory=dict[tuple[str, str], Mapping[str, str]]
    )
    failures: int = 0
    creation: Creation | None = None
    files: frozenset[str] = frozenset()

    def with_connection(
        self, namespace: str, connection: "ActorRef[ConnectionMessage]"
    ) -> "JobData":
        """This data with an open connection in `namespace`."""
        return evolve(self, connections={**self.connections, namespace: connection})

    def with_overlay(self, namespace: str, overlay: ShellOverlay) -> "JobData":
        """This data with an overlay in `namespace`."""
        return evolve(self, overlays={**self.overlays, namespace: overlay})

    def with_received(self, namespace: str, message_id: str, data: Mapping[str, str]) -> "JobData":
        """This data with what was received under `message_id` in `namespace`."""
        return evolve(self, received={**self.received, (namespace, message_id): data})

    def with_creation(self, creation: Creation) -> "JobData":
        """This data with a container."""
        return evolve(self, creation=creation)

    def with_file(self, name: str) -> "JobData":
        """This data with a file in the container."""
        return evolve(self, files=self.files | {name})

    def with_failures(self, count: int) -> "JobData":
        """This data with `count` more failures."""
        return evolve(self, failures=self.failures + count)


@frozen
class Done:
    """An action has ended.

    Attributes:
        data: What the next action gets.
        failure: Why it failed, None when it succeeded.
        retried: Whether a retry action tries again after this failure.
    """

    data: JobData
    failure: Failure | None = None
    retried: bool = False


@frozen
class Run(Request[Done]):
    """Run the action with the data of those before it; `deadline_s` is its parent's end."""

    data: JobData
    deadline_s: float


@frozen
class CallAnswered:
    """The protocol has answered a call of a test shell.

    `suite` is the definition that called, None when none was running.
    """

    call: Call
    suite: str | None
    answer: Answer
    waited_s: float


@frozen
class ShellReady:
    """The node's environment is set; `status` is the shell's exit status for it."""

    status: int | None


@frozen
class DeadlinePassed:
    """The action's time is up."""


@frozen
class ActionDone:
    """An action has ended, or was cancelled (`done` is None); its job or its parent is told."""

    done: Done | None


ActionMessage = Run | ActionDone | Printed | Closed | CallAnswered | ShellReady | DeadlinePassed


# To a job and to the group


@frozen
class KeepConnection(Request["ActorRef[ConnectionMessage]"]):
    """Make a connection of an open console; it lives until the job has been finalised."""

    namespace: str
    console: Console


@frozen
class StartJob:
    """Run the job's pipeline."""


@frozen
class CancelJob:
    """End the job: its action is cancelled, finalise runs, its health is canceled."""

    reason: str


@frozen
class Prepared:
    """The node is ready for the job, or `error` says why it can't be."""

    error: Exception | None


@frozen
class Removed:
    """The job's container is gone, or stopped if it is to be kept."""


@frozen
class VlansLeft:
    """The job is in no VLAN any more; `problems` are what could not be put back."""

    problems: tuple[str, ...]


@frozen
class Joined:
    """The group is complete, or could not be gathered."""

    answer: Gathered | Refused


@frozen
class Departed:
    """The coordinator has been told of the job's end."""


@frozen
class StartAnswered:
    """The delayed start is over, or has failed."""

    answer: Answer


@frozen
class GuestsGone:
    """The job's guests have ended; `late` when they haven't, and had time enough."""

    late: bool


JobMessage = (
    KeepConnection
    | StartJob
    | Joined
    | StartAnswered
    | Prepared
    | CancelJob
    | ActionDone
    | GuestsGone
    | VlansLeft
    | Removed
    | Departed
)


@frozen
class AwaitGuests(Request[None]):
    """Answered when every guest on the hosts of the job's role has ended."""

    job: int


@frozen
class JobDone:
    """A job has been finalised."""

    job: int
    health: Health
    failures: int
    error: Failure | None = None


@frozen
class GroupDone:
    """Every job of the group has been finalised."""

    healths: tuple[Health, ...]
    failures: int


@frozen
class RunGroup:
    """Run every job of the group."""


@frozen
class Interrupt:
    """End every job in order."""

    reason: str


GroupMessage = RunGroup | Interrupt | JobDone | AwaitGuests
