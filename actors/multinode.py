"""The MultiNode protocol of one job: its calls on their way to the coordinator and back."""

import json

import anyio
from attrs import frozen

from callboard.actors.messages import (
    Answer,
    Call,
    CoordinatorMessage,
    Granted,
    Refused,
    Send,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.events import CallAnswered, CallMade
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, AskTimeout, Outcome, Reply

LONGEST_MESSAGE = 65_534
"""Most characters of a message (LAVA: the limit of the MultiNode protocol)."""


@frozen
class Member:
    """A node of the group: its job's id and its role."""

    job: int
    role: str

    def __str__(self) -> str:
        return f"{self.job} ({self.role})"


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
    """The coordinator knows that the call has been given up."""

    open: _Open
    outcome: Outcome[tuple[int, ...]]


class Multinode(Actor[Call | _Answered | _Withdrawn]):
    """Makes the calls of one node.

    Args:
        member: The job that calls.
        group: Every node of the group.
        coordinator: Who answers.
        journal: Where calls and answers are recorded.
    """

    def __init__(
        self,
        member: Member,
        group: tuple[Member, ...],
        coordinator: ActorRef[CoordinatorMessage],
        journal: Journal,
    ) -> None:
        self._member = member
        self._group = {each.job: each for each in group}
        self._coordinator = coordinator
        self._journal = journal
        self._calls = 0

    async def receive(self, message: Call | _Answered | _Withdrawn) -> None:
        """Pass a call on, or its answer back."""
        match message:
            case Call():
                await self._call(message)
            case _Answered(open_, outcome):
                self._answered(open_, outcome)
            case _Withdrawn(open_, outcome):
                missing = outcome.value or ()
                self._answer(open_, Refused(self._expired(open_.call, missing)))

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
                data=None if blocking else call.data,
            ),
            cause=call.cause,
        )
        open_ = _Open(call, self._calls, self.context.defer(call), anyio.current_time(), cause)
        request = self._request(open_)
        if isinstance(request, Send):
            size = len(json.dumps(dict(call.data)))
            if size > LONGEST_MESSAGE:
                reason = f"the message has {size} characters; {LONGEST_MESSAGE} is the most"
                self._answer(open_, Refused(reason))
                return
            await self._coordinator.tell(request)
            self._answer(open_, Granted())
        else:
            self.context.pipe(
                self._coordinator,
                request,
                lambda outcome: _Answered(open_, outcome),
                timeout_s=call.limit_s,
            )

    def _request(self, open_: _Open) -> Send | Wait | WaitAll | Sync:
        call, ticket = open_.call, (self._member.job, open_.number)
        match call.call:
            case "send":
                return Send(self._member.job, call.id, call.data)
            case "wait":
                return Wait(ticket, call.id)
            case "wait-all":
                return WaitAll(ticket, call.id, call.role)
            case "sync":
                return Sync(ticket, call.id)
            case "start":
                return WaitAll(ticket, "lava_start", call.role)

    def _answered(self, open_: _Open, outcome: Outcome[Answer]) -> None:
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
        waited = f"lava-{call.call} {call.id} was not satisfied within {call.limit_s:g} s"
        if not missing:
            return waited
        verb = "call" if call.call == "sync" else "send"
        names = [str(self._group[job]) for job in missing[:5]]
        more = [f"{len(missing) - 5} more"] if len(missing) > 5 else []
        return f"{waited}: {', '.join([*names, *more])} did not {verb} it"

    def _answer(self, open_: _Open, answer: Answer) -> None:
        call = open_.call
        received = isinstance(answer, Granted) and call.call in ("wait", "wait-all")
        self._journal.emit(
            self.context.address,
            CallAnswered(
                self._member.job,
                call.call,
                call.id,
                result="pass" if isinstance(answer, Granted) else "fail",
                waited_s=round(anyio.current_time() - open_.made_s, 6),
                reason=answer.reason if isinstance(answer, Refused) else None,
                data={str(job): data for job, data in answer.data.items()}
                if received and isinstance(answer, Granted)
                else None,
            ),
            cause=open_.cause,
        )
        open_.reply.send(answer)
