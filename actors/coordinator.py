"""The actor around a group's coordination: requests in, answers out, and it awaits no member."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

import anyio
from attrs import define, field, frozen

from callboard.actors.coordination import Coordination
from callboard.actors.effects import Effect, Grant, Hopeless, Refusal, Slot, Ticket, Wake
from callboard.actors.ledger import Identity, Ledger, identity
from callboard.actors.members import Member
from callboard.actors.messages import (
    Answer,
    AskBusy,
    CoordinatorMessage,
    Disband,
    GivenUp,
    Granted,
    Join,
    Leave,
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
from callboard.events import Absentee, WaitHopeless
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, Outcome, Reply

REPORT_S = 1.0
"""Seconds after which a wait that is presumably hopeless is reported."""

_LONGEST_ANSWER_S = 10.0

CONFIRM_S = 0.3
"""Seconds between the two times that members are asked: what a node has just printed, maybe a
call, is on its way for a moment although nothing runs on the node any more."""


@frozen
class Patience:
    """What happens to waits that can't be satisfied any more.

    Attributes:
        fail_fast: Whether they are failed, and not only reported.
        grace_s: Seconds without any request after which a presumed one is failed.
    """

    fail_fast: bool = True
    grace_s: float = 10.0


@frozen
class _Look:
    """Time to see whether waits are presumably hopeless."""


@define(eq=False)
class _Survey:
    """Members are asked whether they work aside from their waiting requests, `tickets`."""

    tickets: frozenset[Ticket]
    left: int
    again: bool
    busy: set[int] = field(factory=set[int])


@frozen
class _Again:
    """Time to ask once more those that were not busy in a survey."""

    tickets: frozenset[Ticket]


@frozen
class _Busy:
    """One of the members that were asked in a survey has answered."""

    survey: _Survey
    member: int
    busy: bool


class Coordinator(Actor[CoordinatorMessage | _Look | _Busy | _Again]):
    """Answers the calls of a group's members, and sees when nobody can answer them any more.

    With a ledger, it can be restarted: a fresh coordinator with a fresh coordination takes up
    what the ledger has, waiting requests included, and a request that comes again changes
    nothing: who waits is answered in the end, and who was answered gets the same answer again.
    All answers are kept for that. What a request has led to and isn't on record is recorded then.

    Args:
        coordination: The group's state; no one else may use it.
        members: Every member by its job's id.
        journal: Where hopeless waits are recorded.
        patience: What happens to them.
        ledger: Where every request is written down before it is applied; None for nowhere.
    """

    def __init__(
        self,
        coordination: Coordination,
        members: Mapping[int, Member],
        journal: Journal,
        patience: Patience,
        ledger: Ledger | None = None,
    ) -> None:
        self._coordination = coordination
        self._members = members
        self._journal = journal
        self._patience = patience
        self._ledger = ledger
        self._protocols: dict[int, ActorRef[ProtocolMessage]] = {}
        self._asked_s = 0.0
        self._disbanded = False
        self._looking = False
        self._slot: Callable[[Waiting], Reply[Answer]] = _unheard
        self._doubted_s: dict[Ticket, float] = {}
        self._reported: dict[Ticket, bool] = {}
        self._report_s = min(REPORT_S, patience.grace_s)
        self._answers: dict[Identity, object] = {}
        # Looked up by type: a ladder of cases costs more than all that a request does.
        self._requests: dict[type, Callable[[Any], object]] = {
            Join: self._join,
            Leave: self._leave,
            Disband: self._disband,
            Send: self._send,
            Release: self._release,
            Wait: self._wait,
            WaitAll: self._wait_all,
            Sync: self._sync,
            Start: self._start,
            Withdraw: self._withdraw,
        }
        self._handlers = self._requests
        if ledger is not None:
            self._handlers = dict.fromkeys(self._requests, self._once)

    async def started(self) -> None:
        """Take up what the ledger has."""
        for entry in self._ledger or ():
            if isinstance(entry, Hopeless):
                self._fail(entry)
            else:
                self._note(entry, self._requests[type(entry)](entry))
        self._slot = self.context.defer
        if self._coordination.suspicious:
            self._suspect()

    def receive(self, message: CoordinatorMessage | _Look | _Busy | _Again) -> object:
        """Apply one request and answer everything that it releases."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            answer = handler(message)
            if self._coordination.suspicious:
                self._suspect()
            return answer
        match message:
            case _Look():
                self._look()
            case _Again(tickets):
                self._ask_again(tickets)
            case _Busy():
                self._answered(message)
            case _:
                raise TypeError(f"the coordinator doesn't understand {message!r}")
        return None

    def _suspect(self) -> None:
        """A request has left the group suspicious; nothing else makes it so."""
        self._asked_s = anyio.current_time()
        if not self._looking:
            self._look_in(self._report_s)

    # Requests

    def _join(self, message: Join) -> None:
        self._protocols[message.member] = message.protocol

    def _leave(self, message: Leave) -> None:
        self._apply(self._coordination.leave(message.member))

    def _disband(self, _message: Disband) -> None:
        self._disbanded = True

    def _send(self, message: Send) -> None:
        self._apply(self._coordination.send(message.member, message.message_id, message.data))

    def _release(self, message: Release) -> None:
        self._apply(self._coordination.release(message.member, message.roles))

    def _wait(self, message: Wait) -> None:
        slot = self._slot(message)
        self._apply(self._coordination.wait(message.ticket, message.message_id, slot))

    def _wait_all(self, message: WaitAll) -> None:
        slot, ticket = self._slot(message), message.ticket
        self._apply(self._coordination.wait_all(ticket, message.message_id, message.role, slot))

    def _sync(self, message: Sync) -> None:
        slot = self._slot(message)
        if effects := self._coordination.sync(message.ticket, message.sync_id, slot):
            self._apply(effects)  # mostly there are none

    def _start(self, message: Start) -> None:
        slot = self._slot(message)
        self._apply(self._coordination.start(message.ticket, message.role, slot))

    def _withdraw(self, message: Withdraw) -> tuple[int, ...]:
        slot = self._coordination.slot(message.ticket)
        missing = self._coordination.withdraw(message.ticket)
        if slot is not None:
            self._answer([message.ticket], [slot], GivenUp())
        return missing

    def _apply(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Grant(tickets, data, slots):
                    self._answer(tickets, slots, Granted(data))
                case Refusal(ticket, why, overlooked, slot):
                    self._answer([ticket], [slot], Refused(why, overlooked))
                case Hopeless() if self._disbanded:
                    pass
                case Hopeless():
                    self._report(effect)
                    if self._patience.fail_fast:
                        self._fail(effect)
                case Wake():
                    raise TypeError("actors don't fetch their answers")
                case _:
                    assert_never(effect)

    def _answer(self, tickets: Sequence[Ticket], slots: Sequence[Slot], answer: Answer) -> None:
        for slot in slots:
            if slot is not None:
                slot.send(answer)
        if self._reported:
            for ticket in tickets:
                self._reported.pop(ticket, None)
        if self._ledger is not None:
            self._answers.update(dict.fromkeys(tickets, answer))

    # The ledger

    def _once(self, message: CoordinatorMessage) -> object:
        """Write a request down and apply it, unless that has been done."""
        assert self._ledger is not None
        known = identity(message)
        if known in self._answers:
            return self._answers[known]
        if isinstance(message, Waiting) and self._coordination.slot(message.ticket) is not None:
            self._coordination.answer_to(message.ticket, self.context.defer(message))
            return None
        self._ledger.append(message)
        return self._note(message, self._requests[type(message)](message))

    def _note(self, message: CoordinatorMessage, answer: object) -> object:
        """Keep the answer to what is answered at once."""
        known = identity(message)
        if known is not None and not isinstance(message, Waiting):
            self._answers[known] = answer
        return answer

    # Hopeless waits

    def _report(self, found: Hopeless) -> None:
        """Record what is found, once; and again when what was presumed has become certain."""
        known = self._reported.get(found.ticket)
        if known is not None and known >= found.certain:
            return
        self._reported[found.ticket] = found.certain
        slot = self._coordination.slot(found.ticket)
        assert slot is not None, "it waits"
        request = slot.message
        assert isinstance(request, Waiting)
        if self._ledger is not None and not self._ledger.reports(request, found.certain):
            return  # a coordinator before this one has
        self._journal.emit(self.context.address, self._body(found), request.cause)

    def _fail(self, found: Hopeless) -> None:
        slot = self._coordination.slot(found.ticket)
        self._coordination.withdraw(found.ticket, found.culprits)
        self._answer([found.ticket], [slot], Refused(self._body(found).text))

    def _body(self, found: Hopeless) -> WaitHopeless:
        missing = tuple(
            Absentee(each.member, self._members[each.member].role, each.state)
            for each in found.missing
        )
        member = found.ticket[0]
        return WaitHopeless(
            member, found.kind, found.id, found.role, found.certain, missing, found.culprits
        )

    def _look_in(self, delay_s: float) -> None:
        self._looking = True
        self.context.call_after(delay_s, _Look())

    def _look(self) -> None:
        """Report what has presumably been hopeless for long enough, and ask before it is failed."""
        self._looking = False
        ages_s = self._ages()
        old = [ticket for ticket, age_s in ages_s.items() if age_s >= self._report_s]
        if unreported := [ticket for ticket in old if ticket not in self._reported]:
            for found in self._coordination.judge(unreported):
                self._report(found)
        due = frozenset(t for t, age_s in ages_s.items() if age_s >= self._patience.grace_s)
        if due and self._patience.fail_fast:
            self._ask(due)
            return
        steps_s = [self._report_s, *([self._patience.grace_s] if self._patience.fail_fast else [])]
        waits_s = [step_s - age_s for age_s in ages_s.values() for step_s in steps_s]
        if coming := [wait_s for wait_s in waits_s if wait_s > 0]:
            self._look_in(min(coming))

    def _ages(self) -> dict[Ticket, float]:
        """What is presumably hopeless, and for how long it has been, in seconds.

        When all members wait, any request of theirs is a sign of life and begins the time anew;
        a wait whose senders have ended is not helped by what others do.
        """
        if self._disbanded:
            return {}
        now_s = anyio.current_time()
        abandoned = self._coordination.abandoned
        self._doubted_s = {
            ticket: self._doubted_s.get(ticket, self._asked_s)
            if ticket in abandoned
            else self._asked_s
            for ticket in self._coordination.presumed()
        }
        return {ticket: now_s - since_s for ticket, since_s in self._doubted_s.items()}

    def _due(self, tickets: frozenset[Ticket]) -> frozenset[Ticket]:
        """Those of `tickets` that are still due to be failed."""
        ages_s = self._ages()
        return frozenset(t for t in tickets if ages_s.get(t, -1.0) >= self._patience.grace_s)

    def _ask_again(self, tickets: frozenset[Ticket]) -> None:
        self._looking = False
        if due := self._due(tickets):
            self._ask(due, again=True)
        elif self._coordination.suspicious:
            self._look_in(self._report_s)

    def _ask(self, due: frozenset[Ticket], *, again: bool = False) -> None:
        """Ask those that wait whether they work aside: that might still end the waiting."""
        waiting = sorted({ticket[0] for ticket in due})
        asked = [each for each in waiting if each in self._protocols]
        survey = _Survey(due, len(asked), again)
        self._looking = True  # whatever the answers are, they lead to the next look
        for member in asked:
            self.context.pipe(
                self._protocols[member],
                AskBusy(),
                # Who doesn't say is given the benefit of the doubt.
                partial(_said, survey, member),
                timeout_s=_LONGEST_ANSWER_S,
            )

    def _answered(self, answer: _Busy) -> None:
        survey = answer.survey
        survey.left -= 1
        if answer.busy:
            survey.busy.add(answer.member)
        if survey.left:
            return
        idle = self._idle(survey)
        if idle and not survey.again:
            self.context.call_after(CONFIRM_S, _Again(idle))
            return
        self._looking = False
        for found in _first(self._coordination.judge(self._due(idle))):
            self._report(found)
            if self._ledger is not None:
                self._ledger.append(found)
            self._fail(found)
        if self._coordination.suspicious:
            self._look_in(self._report_s if idle else max(REPORT_S, self._patience.grace_s))

    def _idle(self, survey: _Survey) -> frozenset[Ticket]:
        """The waits that nobody who works aside may still end.

        Where all wait, anybody may; one whose senders have ended only its own node may help.
        """
        abandoned = self._coordination.abandoned
        return frozenset(
            ticket
            for ticket in survey.tickets
            if not (ticket[0] in survey.busy if ticket in abandoned else survey.busy)
        )


def _unheard(message: Waiting) -> Reply[Answer]:
    """A slot for the answer to a request that is replayed: who asked is told when it asks again."""
    return Reply(message, asyncio.get_running_loop().create_future())


def _said(survey: _Survey, member: int, outcome: Outcome[bool]) -> _Busy:
    return _Busy(survey, member, busy=outcome.value is not False)


def _first(found: Sequence[Hopeless]) -> Sequence[Hopeless]:
    """Those to fail first: their members go on then, and may do what the others wait for.

    They are the ones that wait for nobody who lives; where there are none, those in a circle.
    """
    for_the_ended = [each for each in found if all(m.state == "ended" for m in each.missing)]
    in_a_circle = [each for each in found if each.ticket[0] in each.culprits]
    return for_the_ended or in_a_circle or found
