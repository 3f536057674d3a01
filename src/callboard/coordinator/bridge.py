"""Takes a coordinator's place in a group whose coordinator is elsewhere.

| what a node asks | what the coordinator is asked, as a LAVA dispatcher would |
| --- | --- |
| to join | `group_data`, until the group is complete |
| `lava-send` | `lava_send`, until it has it |
| `lava-wait`, `lava-wait-all`, `lava-sync` | the same, until it is granted, withdrawn or given up |
| the end of a delayed start | `lava_wait_all` of `lava_start` |
| nothing more | `clear_group`, once |

What a node asks is asked in that order; only what waits holds up nothing.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import assert_never

import anyio
from attrs import define, evolve, field, frozen

from callboard.actors.errand import Errand, Perform
from callboard.actors.members import Member
from callboard.actors.messages import (
    Answer,
    BridgeMessage,
    Deliver,
    Depart,
    Disband,
    Gather,
    Gathered,
    GivenUp,
    Granted,
    Join,
    Leave,
    Refused,
    Release,
    Send,
    Start,
    Sync,
    Wait,
    WaitAll,
    Waiting,
    Withdraw,
)
from callboard.coordinator import answers as wire
from callboard.coordinator.calls import asking, received, sending
from callboard.coordinator.client import Client, ClientError, Misanswered
from callboard.coordinator.joining import Joining
from callboard.coordinator.requests import (
    ClearGroup,
    GroupData,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
)
from callboard.coordinator.requests import Client as Identity
from callboard.events import LogLevel, Message
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, Reply

FAREWELL_S = 5.0
"""How long it is tried to tell the coordinator that a node has ended, in seconds."""


@define(eq=False)
class _Errand:
    """A request on its way: who carries it, who waits for its answer, and for its end."""

    carrier: ActorRef[Perform]
    give_up: Callable[[], None]
    over: anyio.Event = field(factory=anyio.Event)


@define(eq=False)
class _Line:
    """The requests of one member.

    Attributes:
        member: Who.
        identity: The member as the coordinator knows it.
        open: What is on its way, by the member's own number for it.
        sent: Set when all that it has sent so far has arrived, or never will.
        joining: Whether it has begun to join.
        left: Whether it has said that it has ended.
    """

    member: Member
    identity: Identity
    open: dict[int, _Errand] = field(factory=dict[int, _Errand])
    sent: anyio.Event = field(factory=lambda: _passed())  # noqa: PLW0108 - it is made below
    joining: bool = False
    left: bool = False


@frozen
class _Over:
    """An errand has ended; `error` is a bug."""

    line: _Line
    number: int
    errand: _Errand
    error: Exception | None


_ONE_FOR_BOTH = "coordinators of LAVA's protocol may not tell it from a message's"

_TO_JOIN, _TO_LEAVE = -1, -2
"""Numbers of the requests that have none."""


class Bridge(Actor[BridgeMessage | _Over]):
    """Asks a coordinator elsewhere what its members ask.

    It notices no hopeless wait: what the others of the group do, it can't know.

    Args:
        joining: The group.
        members: Those of its members that are here.
        journal: Where it is recorded when the coordinator doesn't answer.
    """

    def __init__(self, joining: Joining, members: Iterable[Member], journal: Journal) -> None:
        self._joining = joining
        self._journal = journal
        self._client = Client(joining.address, joining.poll_delay_s, self._noticed)
        self._lines = {each.job: _Line(each, joining.identity(each)) for each in members}
        self._roles: frozenset[str] = frozenset()
        self._synced: set[str] = set()
        self._errands = 0
        self._lost_s = 0.0

    async def receive(self, message: BridgeMessage | _Over) -> object:
        """Send a request on its way; its answer is given when it has come."""
        match message:
            case Gather():
                self._gather(message)
            case Deliver():
                self._deliver(message)
            case Wait() | WaitAll() | Sync() | Start():
                self._ask(message)
            case Withdraw((member, number)):
                await self._end(self._lines[member], number)
                return ()
            case Depart(member):
                await self._leave(member, self.context.defer(message))
            case Leave(member):
                await self._leave(member)
            case Send() | Release():
                raise TypeError("what is sent has to be delivered")
            case Join() | Disband():
                pass  # who is busy, and who is missed, is the coordinator's own matter
            case _Over(line, number, errand, error):
                errand.over.set()
                if line.open.get(number) is errand:
                    del line.open[number]
                if error is not None:
                    raise error
            case _:
                assert_never(message)
        return None

    # Errands

    def _undertake(
        self,
        line: _Line,
        number: int,
        operation: Callable[[], Awaitable[object]],
        give_up: Callable[[], None] = lambda: None,
    ) -> _Errand:
        """Have something done aside, which `_end` ends early."""
        self._errands += 1
        errand = _Errand(self.context.spawn(Errand, f"errand-{self._errands}"), give_up)
        line.open[number] = errand
        self.context.pipe(
            errand.carrier,
            Perform(operation),
            lambda end: _Over(line, number, errand, end.value.error if end.value else None),
        )
        return errand

    async def _end(self, line: _Line, number: int) -> None:
        errand = line.open.pop(number, None)
        if errand is not None:
            errand.give_up()
            await errand.carrier.cancel()

    # Joining and leaving

    def _gather(self, message: Gather) -> None:
        line, reply = self._lines[message.member], self.context.defer(message)
        line.joining = True

        async def gather() -> None:
            reply.send(await self._gathered(line, message.limit_s))

        self._undertake(line, _TO_JOIN, gather)

    async def _gathered(self, line: _Line, limit_s: float) -> Gathered | Refused:
        joining = self._joining
        request = GroupData(evolve(line.identity, size=joining.size))
        try:
            with anyio.fail_after(limit_s):
                answer = await self._client.poll(request)
            members = joining.members(answer, line.member)
        except TimeoutError:
            trouble = self._client.trouble
            if trouble is None:
                return Refused(joining.incomplete(limit_s))
            return Refused(f"{joining.address} has not answered within {limit_s:g} s: {trouble}")
        except ClientError as error:
            return Refused(joining.in_vain(error))
        except ValueError as error:
            return Refused(str(error))
        self._roles = frozenset(each.role for each in members)
        return Gathered(members)

    async def _leave(self, member: int, reply: Reply[None] | None = None) -> None:
        """Say once that a member has ended, after all that it has sent; then answer."""
        line = self._lines[member]
        for number in [each for each in line.open if each != _TO_LEAVE]:
            await self._end(line, number)
        if line.left or not line.joining:
            if reply is not None:
                reply.send(None)
            return
        line.left = True

        async def leave() -> None:
            try:
                with anyio.fail_after(FAREWELL_S):
                    await self._client.deliver(ClearGroup(line.identity), again=False)
            except (ClientError, TimeoutError) as error:
                late = f"no answer within {FAREWELL_S:g} s"
                trouble = self._client.trouble or str(error) or late
                text = f"{self._joining.address} may not know that the job has ended: {trouble}"
                self._say(member, "warning", text)
            finally:
                if reply is not None:
                    reply.send(None)

        self._undertake(line, _TO_LEAVE, leave)

    # Calls

    def _deliver(self, message: Deliver) -> None:
        line, content = self._lines[message.ticket[0]], message.content
        before = line.sent

        async def deliver() -> Answer:
            await before.wait()
            request = sending(content, line.identity)
            if request.id in self._synced:
                return Refused(f"{request.id} is a sync's ID, and {_ONE_FOR_BOTH}")
            answer = await self._client.deliver(request, again=True)
            return Granted() if answer.response == "ack" else self._refused(request.id, answer)

        line.sent = self._call(line, message.ticket[1], self.context.defer(message), deliver).over

    def _ask(self, message: Waiting) -> None:
        line = self._lines[message.ticket[0]]
        before = line.sent

        async def ask() -> Answer:
            await before.wait()
            return await self._poll(asking(message, line.identity))

        self._call(line, message.ticket[1], self.context.defer(message), ask)

    def _call(
        self,
        line: _Line,
        number: int,
        reply: Reply[Answer],
        operation: Callable[[], Awaitable[Answer]],
    ) -> _Errand:
        """Have a call answered by what an operation comes to."""

        async def answer() -> None:
            try:
                reply.send(await operation())
            except ClientError as error:
                reply.send(Refused(self._joining.in_vain(error)))

        return self._undertake(line, number, answer, lambda: reply.send(GivenUp()))

    async def _poll(self, request: LavaWait | LavaWaitAll | LavaSync) -> Answer:
        role = request.role if isinstance(request, LavaWaitAll) else None
        if role is not None and role not in self._roles:
            return Refused(f"no node of the group has the role {role}")
        if isinstance(request, LavaSync):
            self._synced.add(request.id)
        answer = await self._client.poll(request)
        if answer.response == "ack":
            return Granted() if isinstance(request, LavaSync) else Granted(received(answer))
        if isinstance(request, LavaWaitAll) and role is None and await self._is_known(request):
            return Refused(f"nobody has sent {request.id} yet", overlooked=True)
        return self._refused(request.id, answer)

    async def _is_known(self, request: LavaWaitAll) -> bool:
        """Whether the coordinator has the group: if so, a refusal is about the call itself."""
        answer = await self._client.deliver(GroupData(request.client), again=True)
        return answer.response != "nack"

    def _refused(self, id_: str, answer: wire.Answer) -> Refused:
        if answer.response != "nack":
            raise Misanswered(f"'{answer.response}' answers no call")
        return Refused(self._joining.refused(id_))

    # What the reader of the log is told

    def _noticed(self, request: Request, trouble: str | None) -> None:
        job, now_s = int(request.client.name), anyio.current_time()
        address = self._joining.address
        if trouble is None:
            text = f"{address} answers again, after {now_s - self._lost_s:.0f} s"
            self._say(job, "warning", text)
        else:
            self._lost_s = now_s
            text = f"{address} doesn't answer: {trouble}; it is tried up to the limit"
            self._say(job, "warning", text)

    def _say(self, job: int, level: LogLevel, text: str) -> None:
        self._journal.emit(self.context.address, Message(job, level, text))


def _passed() -> anyio.Event:
    event = anyio.Event()
    event.set()
    return event
