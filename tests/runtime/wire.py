"""A wire that does what a test says, the actor at its end, and a clock; and any order of them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import hypothesis.strategies as st
from attrs import define, field, frozen
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from callboard.runtime import (
    ActorFailed,
    ActorRef,
    ActorStopped,
    DeadLetter,
    MailboxFull,
    Reply,
    Request,
)
from callboard.runtime.transport import Deliver, Envelope

T = TypeVar("T")

RESEND_S = 1.0


@frozen
class Note:
    """What is sent: the sender's own number tells the order, and whether it came twice."""

    sender: int
    number: int


@frozen
class Question(Request[tuple[int, int]]):
    sender: int
    number: int


class Clock(asyncio.SelectorEventLoop):
    """A loop whose time is what the test says."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def settle(self) -> None:
        """Run what is ready, and what that makes ready."""
        for _ in range(5):
            self.run_until_complete(asyncio.sleep(0))


@define
class Wire:
    """A transport that keeps what it is given, for the test to choose from."""

    flying: list[tuple[Envelope, Deliver]] = field(factory=list)

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        self.flying.append((envelope, deliver))

    def deliver(self, place: int) -> None:
        envelope, deliver = self.flying.pop(place % len(self.flying))
        deliver(envelope)

    def deliver_all(self) -> None:
        while self.flying:
            self.deliver(0)


class Scripted(ActorRef[Any]):
    """An actor that does what the test says, when it says so."""

    def __init__(self, *, remembers: bool) -> None:
        self.remembers = remembers
        self.mailbox: deque[Reply[Any]] = deque()
        self.held: list[Reply[Any]] = []
        self.handled: list[Note | Question] = []
        self.answers: dict[Question, tuple[int, int]] = {}
        self.full = self.stopped = False

    @property
    def address(self) -> str:
        return "/scripted"

    async def tell(self, message: object) -> None:
        raise AssertionError(f"a link takes notice of how {message!r} ends")

    def tell_nowait(self, message: object) -> None:
        raise AssertionError(f"a link takes notice of how {message!r} ends")

    async def ask(self, request: Request[T], timeout_s: float | None = None) -> T:
        raise AssertionError(f"a link doesn't wait for {request!r}, nor {timeout_s} s")

    async def stop(self) -> None:
        self.crash()

    async def cancel(self) -> None:
        self.crash()

    def fail(self, error: Exception) -> None:
        raise error

    def deliver(self, reply: Reply[Any]) -> None:
        if self.stopped:
            reply.fail(ActorStopped(self.address))
        elif self.full:
            reply.fail(MailboxFull(self.address))
        else:
            self.mailbox.append(reply)

    def handle(self) -> None:
        reply = self.mailbox.popleft()
        message: Any = reply.message
        known = self.remembers and message in self.handled
        if not known:
            self.handled.append(message)
        if isinstance(message, Question):
            self.held.append(reply)
        else:
            reply.send(None)

    def answer(self, place: int) -> None:
        reply = self.held.pop(place % len(self.held))
        question: Any = reply.message
        reply.send((question.sender, question.number))

    def work(self) -> None:
        """Handle and answer all that there is."""
        while self.mailbox:
            self.handle()
        while self.held:
            self.answer(0)

    def crash(self) -> None:
        """All that it has not answered is lost, whether it was handled or not."""
        left = [*self.held, *self.mailbox]
        self.held.clear()
        self.mailbox.clear()
        for number, reply in enumerate(left):
            error = ActorFailed(self.address, OSError()) if number % 2 else None
            reply.fail(error or ActorStopped(self.address))


class OverAWire(RuleBasedStateMachine):
    """Whatever a transport does to envelopes, in whatever order, and askers that give up.

    Attributes:
        told: Every message that asks nothing.
        open: Every question whose asker has not given up.
        given_up: The others.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loop = Clock()
        self.wire = Wire()
        self.told: list[Note] = []
        self.open: dict[Question, asyncio.Future[tuple[int, int]]] = {}
        self.given_up: set[Question] = set()

    @property
    def handled(self) -> list[Note | Question]:
        """What actors have handled."""
        raise NotImplementedError

    def mend(self) -> None:
        """Have the actors work from now on, and do all that there is to do."""
        raise NotImplementedError

    def no_letter(self, letter: DeadLetter) -> None:
        raise AssertionError(letter)

    def run(self, action: Callable[..., object], *arguments: object) -> None:
        run(self.loop, action, *arguments)

    def tell_to(self, ref: ActorRef[Any], note: Note) -> None:
        self.told.append(note)
        self.run(ref.tell_nowait, note)

    def ask_of(self, ref: ActorRef[Any], question: Question) -> None:
        self.open[question] = self.loop.create_future()
        self.run(ref.deliver, Reply(question, self.open[question]))

    @precondition(lambda self: self.open)
    @rule(place=st.integers(0, 9))
    def give_up(self, place: int) -> None:
        question = list(self.open)[place % len(self.open)]
        if self.open[question].cancel():
            self.given_up.add(question)
            del self.open[question]

    @precondition(lambda self: self.wire.flying)
    @rule(place=st.integers(0, 9))
    def arrive(self, place: int) -> None:
        self.run(self.wire.deliver, place)

    @precondition(lambda self: self.wire.flying)
    @rule(place=st.integers(0, 9))
    def lose(self, place: int) -> None:
        self.wire.flying.pop(place % len(self.wire.flying))

    @precondition(lambda self: self.wire.flying)
    @rule(place=st.integers(0, 9))
    def double(self, place: int) -> None:
        self.wire.flying.append(self.wire.flying[place % len(self.wire.flying)])

    @rule()
    def wait(self) -> None:
        self.loop.now_s += RESEND_S
        self.loop.settle()

    @invariant()
    def an_answer_is_that_of_its_question(self) -> None:
        for question, future in self.open.items():
            assert not future.done() or future.result() == (question.sender, question.number)

    def teardown(self) -> None:
        """From now on everything arrives: all is handled, and nothing is said any more."""
        for _ in range(10):
            self.run(self.wire.deliver_all)
            self.mend()
            self.wait()
        handled = set(self.handled)
        assert set(self.told) <= handled
        assert all(future.done() for future in self.open.values())
        assert {*self.open, *self.given_up} - handled <= self.given_up
        assert self.wire.flying == [], "nothing is sent any more"
        self.loop.close()


def run(loop: Clock, action: Callable[..., object], *arguments: object) -> None:
    """Do something that takes no time, on a loop."""

    async def act() -> None:
        action(*arguments)

    loop.run_until_complete(act())
