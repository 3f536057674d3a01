"""The MultiNode protocol of one job: its calls on their way to the coordinator and back."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from itertools import islice

import anyio
from attrs import define, frozen

from callboard.actors.members import Member, named
from callboard.actors.messages import (
    Answer,
    AskBusy,
    BridgeMessage,
    Call,
    CoordinatorMessage,
    Deliver,
    GivenUp,
    GiveUp,
    Granted,
    Join,
    ProtocolMessage,
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
from callboard.events import CallAnswered, CallMade, Result
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, AskTimeout, Outcome, Reply

_WITHDRAWAL_S = 2.0
"""How long the coordinator may take to say whom a call waited for in vain; it may be cut off."""

LONGEST_MESSAGE = 65_534
"""Most characters of a message (LAVA: the limit of the MultiNode protocol)."""


@define(eq=False)
class _Open:
    """A call on its way.

    Attributes:
        call: What is called.
        number: Its number among the calls of this job.
        reply: The slot for its answer.
        cause: `seq` of the event of the call; that of its own cause when nobody listens.
        made_s: When it was made, in seconds; 0 when nobody listens.
    """

    call: Call
    number: int
    reply: Reply[Answer]
    cause: int | None
    made_s: float = 0.0


@frozen
class _Answered:
    """The coordinator has answered, or the limit has passed."""

    open: _Open
    outcome: Outcome[Answer]


@frozen
class _Withdrawn:
    """The coordinator has forgotten the call, whose limit has passed."""

    open: _Open
    outcome: Outcome[tuple[int, ...]]


class Multinode(Actor[ProtocolMessage | _Answered | _Withdrawn]):
    """Makes the calls of one node.

    Args:
        member: The job that calls.
        group: Every node of the group.
        coordinator: Who answers.
        busy: Whether the node has work aside from its calls; raises OSError if it can't be told.
        journal: Where calls and answers are recorded.
        bridge: Stands for the coordinator where that is elsewhere: what is sent takes its time
            then, and may fail; None where it is here.
    """

    def __init__(
        self,
        member: Member,
        group: tuple[Member, ...],
        coordinator: ActorRef[CoordinatorMessage],
        busy: Callable[[], Awaitable[bool]],
        journal: Journal,
        bridge: ActorRef[BridgeMessage] | None = None,
    ) -> None:
        self._member = member
        self._group = group
        self._coordinator = coordinator
        self._busy = busy
        self._journal = journal
        self._bridge = bridge
        self._calls = 0
        self._waiting: dict[int, _Open] = {}
        self._expired: dict[int, _Open] = {}

    async def started(self) -> None:
        """Make the protocol known to the coordinator."""
        await self._coordinator.tell(Join(self._member.job, self.context.ref))

    def receive(self, message: ProtocolMessage | _Answered | _Withdrawn) -> object:
        """Pass a call on, or its answer back."""
        match message:
            case Call():
                return self._call(message)
            case _Answered(open_, outcome):
                self._answered(open_, outcome)
            case _Withdrawn(open_, outcome):
                self._expire(open_, outcome.value or ())
            case GiveUp():
                return self._give_up(message)
            case AskBusy():
                return self._is_busy()
        return None

    async def _give_up(self, message: GiveUp) -> None:
        if message.call is None:
            for open_ in list(self._expired.values()):
                self._expire(open_)
        for open_ in self._meant(message):
            del self._waiting[open_.number]
            await self._coordinator.tell(Withdraw((self._member.job, open_.number)))
            self._answer(open_, GivenUp())

    def _meant(self, message: GiveUp) -> list[_Open]:
        """The calls that are given up: all, or the oldest of a test that is the one named."""
        if message.call is None:
            return list(self._waiting.values())
        wanted = (message.call, message.id, message.role)
        found = (
            open_
            for open_ in self._waiting.values()
            if open_.call.in_shell and (open_.call.call, open_.call.id, open_.call.role) == wanted
        )
        return [*islice(found, 1)]

    async def _is_busy(self) -> bool:
        """Whether the node may call again by itself: only tests on it can, while one calls."""
        if not any(open_.call.in_shell for open_ in self._waiting.values()):
            return False
        try:
            return await self._busy()
        except OSError:  # it can't be seen, so it is given the benefit of the doubt
            return True

    def _call(self, call: Call) -> Coroutine[object, object, None] | None:
        """Make a call; where the coordinator may have no room for it, by what is returned."""
        self._calls += 1
        open_ = _Open(call, self._calls, self.context.defer(call), call.cause)
        if self._journal.listening:
            self._record(open_)
        request = self._request(open_)
        if isinstance(request, Send | Release):
            return self._send(open_, request)
        self._waiting[open_.number] = open_
        self.context.pipe(
            self._coordinator, request, partial(_Answered, open_), timeout_s=call.limit_s
        )
        return None

    def _record(self, open_: _Open) -> None:
        call = open_.call
        blocking = call.call != "send"
        made = CallMade(
            self._member.job,
            call.call,
            call.id,
            role=call.role,
            limit_s=call.limit_s if blocking else None,
            where=call.where,
            data=None if blocking or call.roles is not None else call.data,
            roles=call.roles,
        )
        open_.cause = self._journal.emit(self.context.address, made, cause=call.cause)
        open_.made_s = anyio.current_time()

    async def _send(self, open_: _Open, request: Send | Release) -> None:
        if isinstance(request, Send) and (size := message_size(request.data)) > LONGEST_MESSAGE:
            reason = f"the message has {size} characters; {LONGEST_MESSAGE} is the most"
            self._answer(open_, Refused(reason))
        elif self._bridge is not None:
            self._waiting[open_.number] = open_
            self.context.pipe(
                self._bridge,
                Deliver(request),
                partial(_Answered, open_),
                timeout_s=open_.call.limit_s,
            )
        else:
            await self._coordinator.tell(request)
            self._answer(open_, Granted())

    def _request(self, open_: _Open) -> Send | Release | Waiting:
        call, ticket, cause = open_.call, (self._member.job, open_.number), open_.cause
        match call.call:
            case "send" if call.roles is not None:
                return Release(self._member.job, call.roles, open_.number)
            case "send":
                return Send(self._member.job, call.id, call.data, open_.number)
            case "wait":
                return Wait(ticket, call.id, cause)
            case "wait-all":
                return WaitAll(ticket, call.id, call.role, cause)
            case "sync":
                return Sync(ticket, call.id, cause)
            case "start":
                assert call.role is not None, "a start is expected of a role"
                return Start(ticket, call.role, cause)

    def _answered(self, open_: _Open, outcome: Outcome[Answer]) -> None:
        if self._waiting.pop(open_.number, None) is None:  # it has been withdrawn
            return
        match outcome.error:
            case None:
                assert outcome.value is not None
                self._answer(open_, outcome.value)
            case AskTimeout():
                self._expired[open_.number] = open_
                self.context.pipe(
                    self._coordinator,
                    Withdraw((self._member.job, open_.number)),
                    partial(_Withdrawn, open_),
                    timeout_s=_WITHDRAWAL_S,
                )
            case error:
                self._answer(open_, Refused(str(error)))

    def _expire(self, open_: _Open, missing: tuple[int, ...] = ()) -> None:
        """The limit of a call has passed; answer it, unless that has been done."""
        if self._expired.pop(open_.number, None) is not None:
            self._answer(open_, Refused(self._in_vain(open_.call, missing)))

    def _in_vain(self, call: Call, missing: tuple[int, ...]) -> str:
        what = "the start" if call.call == "start" else f"lava-{call.call} {call.id}"
        if call.call == "send":
            return f"{what} did not reach the coordinator within {call.limit_s:g} s"
        waited = f"{what} was not satisfied within {call.limit_s:g} s"
        if not missing:
            return waited
        verb = {"sync": "call it", "start": "send lava_start"}.get(call.call, "send it")
        group = {each.job: each for each in self._group}
        return f"{waited}: {named(group, missing)} did not {verb}"

    def _answer(self, open_: _Open, answer: Answer) -> None:
        if self._journal.listening:
            self._record_answer(open_, answer)
        open_.reply.send(answer)

    def _record_answer(self, open_: _Open, answer: Answer) -> None:
        call = open_.call
        result: Result = "unknown"
        reason = data = None
        if isinstance(answer, Refused) and answer.overlooked:
            reason, answer = answer.reason, Granted()
        match answer:
            case Granted():
                result = "pass"
                if call.call in ("wait", "wait-all"):
                    data = answer.received
            case Refused():
                result, reason = "fail", answer.reason
            case GivenUp():
                reason = f"lava-{call.call} {call.id}: the test waits for it no more"
        self._journal.emit(
            self.context.address,
            CallAnswered(
                self._member.job,
                call.call,
                call.id,
                result,
                waited_s=round(anyio.current_time() - open_.made_s, 6),
                reason=reason,
                data=data,
            ),
            cause=open_.cause,
        )


def message_size(data: Mapping[str, str]) -> int:
    """Characters of `data` in JSON; or more, as long as a message may have that many."""
    # A character takes 12 at most, as two escapes; the quotes, colon and comma of an item take 8.
    most = 2 + sum(8 + 12 * (len(key) + len(value)) for key, value in data.items())
    return most if most <= LONGEST_MESSAGE else len(json.dumps(dict(data)))
