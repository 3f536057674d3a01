"""The MultiNode protocol of one job: its calls on their way to the coordinator and back."""

import json
from itertools import islice

import anyio
from attrs import frozen

from callboard.actors.drivers import Node
from callboard.actors.members import Member, named
from callboard.actors.messages import (
    Answer,
    AskBusy,
    Call,
    CoordinatorMessage,
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

LONGEST_MESSAGE = 65_534
"""Most characters of a message (LAVA: the limit of the MultiNode protocol)."""


@frozen
class _Open:
    """A call on its way."""

    call: Call
    number: int
    reply: Reply[Answer]
    made_s: float
    cause: int


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
        node: The device, which may have work aside from its calls.
        journal: Where calls and answers are recorded.
    """

    def __init__(
        self,
        member: Member,
        group: tuple[Member, ...],
        coordinator: ActorRef[CoordinatorMessage],
        node: Node,
        journal: Journal,
    ) -> None:
        self._member = member
        self._group = {each.job: each for each in group}
        self._coordinator = coordinator
        self._node = node
        self._journal = journal
        self._calls = 0
        self._waiting: dict[int, _Open] = {}

    async def started(self) -> None:
        """Make the protocol known to the coordinator."""
        await self._coordinator.tell(Join(self._member.job, self.context.ref))

    async def receive(self, message: ProtocolMessage | _Answered | _Withdrawn) -> object:
        """Pass a call on, or its answer back."""
        match message:
            case Call():
                await self._call(message)
            case _Answered(open_, outcome):
                self._answered(open_, outcome)
            case _Withdrawn(open_, outcome):
                missing = outcome.value or ()
                self._answer(open_, Refused(self._expired(open_.call, missing)))
            case GiveUp():
                for open_ in self._meant(message):
                    del self._waiting[open_.number]
                    await self._coordinator.tell(Withdraw((self._member.job, open_.number)))
                    self._answer(open_, GivenUp())
            case AskBusy():
                return await self._is_busy()
        return None

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
            return await self._node.busy()
        except OSError:  # it can't be seen, so it is given the benefit of the doubt
            return True

    async def _call(self, call: Call) -> None:
        self._calls += 1
        blocking = call.call != "send"
        cause = self._journal.emit(
            self.context.address,
            CallMade(
                self._member.job,
                call.call,
                call.id,
                role=call.role,
                limit_s=call.limit_s if blocking else None,
                where=call.where,
                data=None if blocking or call.roles is not None else call.data,
                roles=call.roles,
            ),
            cause=call.cause,
        )
        open_ = _Open(call, self._calls, self.context.defer(call), anyio.current_time(), cause)
        request = self._request(open_)
        if isinstance(request, Release):
            await self._coordinator.tell(request)
            self._answer(open_, Granted())
        elif isinstance(request, Send):
            size = len(json.dumps(dict(call.data)))
            if size > LONGEST_MESSAGE:
                reason = f"the message has {size} characters; {LONGEST_MESSAGE} is the most"
                self._answer(open_, Refused(reason))
                return
            await self._coordinator.tell(request)
            self._answer(open_, Granted())
        else:
            self._waiting[open_.number] = open_
            self.context.pipe(
                self._coordinator,
                request,
                lambda outcome: _Answered(open_, outcome),
                timeout_s=call.limit_s,
            )

    def _request(self, open_: _Open) -> Send | Release | Waiting:
        call, ticket, cause = open_.call, (self._member.job, open_.number), open_.cause
        match call.call:
            case "send" if call.roles is not None:
                return Release(self._member.job, call.roles)
            case "send":
                return Send(self._member.job, call.id, call.data)
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
                self.context.pipe(
                    self._coordinator,
                    Withdraw((self._member.job, open_.number)),
                    lambda outcome: _Withdrawn(open_, outcome),
                )
            case error:
                self._answer(open_, Refused(str(error)))

    def _expired(self, call: Call, missing: tuple[int, ...]) -> str:
        what = "the start" if call.call == "start" else f"lava-{call.call} {call.id}"
        waited = f"{what} was not satisfied within {call.limit_s:g} s"
        if not missing:
            return waited
        verb = {"sync": "call it", "start": "send lava_start"}.get(call.call, "send it")
        return f"{waited}: {named(self._group, missing)} did not {verb}"

    def _answer(self, open_: _Open, answer: Answer) -> None:
        call = open_.call
        result: Result = "unknown"
        reason = data = None
        match answer:
            case Granted():
                result = "pass"
                if call.call in ("wait", "wait-all"):
                    data = {str(job): values for job, values in answer.data.items()}
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
        open_.reply.send(answer)
