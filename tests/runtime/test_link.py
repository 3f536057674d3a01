"""A link: what an actor gets over the worst of transports is what it would get without."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import hypothesis.strategies as st
import pytest
from attrs import define, field
from hypothesis import settings
from hypothesis.stateful import invariant, precondition, rule
from tests.runtime.wire import RESEND_S, Clock, Note, OverAWire, Question, Scripted, Wire, run

from callboard.runtime import (
    Actor,
    ActorFailed,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    MailboxFull,
    Outcome,
    Reply,
)
from callboard.runtime.link import Link
from callboard.runtime.transport import (
    Confirmed,
    Deliver,
    Envelope,
    Message,
    Received,
    Settled,
)

SENDERS = 3


class OverALink(OverAWire):
    """Whatever the transport does, in whatever order: nothing is lost, doubled or overtaken.

    The actor crashes as well; it knows afterwards what it had handled.
    """

    def __init__(self) -> None:
        super().__init__()
        self.actor = Scripted(remembers=True)
        self.link = Link(
            self.actor, self.wire, resend_s=RESEND_S, survives=True, on_dead_letter=self.no_letter
        )
        self.sent = [0] * SENDERS

    @property
    def handled(self) -> list[Note | Question]:
        return self.actor.handled

    def next(self, sender: int) -> tuple[int, int]:
        self.sent[sender] += 1
        return sender, self.sent[sender]

    @rule(sender=st.integers(0, SENDERS - 1))
    def tell(self, sender: int) -> None:
        self.tell_to(self.link.ref, Note(*self.next(sender)))

    @rule(sender=st.integers(0, SENDERS - 1))
    def ask(self, sender: int) -> None:
        self.ask_of(self.link.ref, Question(*self.next(sender)))

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        self.actor.full = full

    @precondition(lambda self: self.actor.mailbox)
    @rule()
    def handle(self) -> None:
        self.run(self.actor.handle)

    @precondition(lambda self: self.actor.held)
    @rule(place=st.integers(0, 9))
    def answer(self, place: int) -> None:
        self.run(self.actor.answer, place)

    @rule(stopped=st.booleans())
    def crash(self, stopped: bool) -> None:
        self.actor.stopped = stopped
        self.run(self.actor.crash)

    @invariant()
    def nothing_is_handled_twice(self) -> None:
        assert len(set(self.actor.handled)) == len(self.actor.handled)

    @invariant()
    def messages_of_one_sender_are_handled_in_order(self) -> None:
        for sender in range(SENDERS):
            numbers = [each.number for each in self.actor.handled if each.sender == sender]
            assert numbers == sorted(numbers)

    def mend(self) -> None:
        self.actor.full = self.actor.stopped = False
        self.run(self.actor.work)


class OverALinkToOneThatForgets(OverALink):
    """The same with an actor that never fails: it needs to remember nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.actor = Scripted(remembers=False)
        self.link = Link(self.actor, self.wire, resend_s=RESEND_S, on_dead_letter=self.no_letter)

    @precondition(lambda _self: False)
    @rule()
    def crash(self) -> None:
        """Never."""


for machine in (OverALink, OverALinkToOneThatForgets):
    machine.TestCase.settings = settings(stateful_step_count=60)
TestOverALink = OverALink.TestCase
TestOverALinkToOneThatForgets = OverALinkToOneThatForgets.TestCase


@define
class Bench:
    """A link to a scripted actor, step by step."""

    survives: bool = True
    loop: Clock = field(factory=Clock)
    wire: Wire = field(factory=Wire)
    actor: Scripted = field(factory=lambda: Scripted(remembers=True))
    link: Link[Any] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.link = Link(self.actor, self.wire, resend_s=RESEND_S, survives=self.survives)

    def run(self, action: Callable[..., object], *arguments: object) -> None:
        run(self.loop, action, *arguments)

    def ask(self, number: int) -> asyncio.Future[tuple[int, int]]:
        future: asyncio.Future[tuple[int, int]] = self.loop.create_future()
        self.run(self.link.ref.deliver, Reply(Question(1, number), future))
        return future

    def carry(self) -> list[Envelope]:
        """Have everything arrive; what that was."""
        carried = []
        while self.wire.flying:
            carried.append(self.wire.flying[0][0])
            self.run(self.wire.deliver, 0)
        return carried

    def wait(self) -> list[Envelope]:
        """What is sent when nothing has come for a while; it is lost."""
        self.loop.now_s += RESEND_S
        self.loop.settle()
        sent = [envelope for envelope, _ in self.wire.flying]
        self.wire.flying.clear()
        return sent


@pytest.fixture
def group() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.loop.close()


def test_a_message_is_sent_until_it_is_received(group: Bench) -> None:
    group.ask(1)
    group.wire.flying.clear()
    sent = Message(1, 1, Question(1, 1))
    assert [group.wait(), group.wait()] == [[sent], [sent]]
    group.wire.flying.append((sent, group.link._receiver.arrive))
    assert group.carry() == [sent, Received(1)]
    assert group.wait() == []


def test_an_outcome_is_sent_until_it_is_confirmed(group: Bench) -> None:
    future = group.ask(1)
    group.carry()
    group.run(group.actor.handle)
    group.run(group.actor.answer, 0)
    group.wire.flying.clear()
    settled = Settled(1, Outcome((1, 1)))
    assert [group.wait(), group.wait()] == [[settled], [settled]]
    assert not future.done()
    group.wire.flying.append((settled, group.link._sender.arrive))
    assert group.carry() == [settled, Confirmed(1)]
    assert future.result() == (1, 1)
    assert group.wait() == []


def test_an_outcome_that_comes_again_is_confirmed_again(group: Bench) -> None:
    group.run(group.link.ref.tell_nowait, Note(1, 1))
    group.carry()
    group.run(group.actor.handle)
    settled, to_near = group.wire.flying[0]
    group.carry()
    group.wire.flying.append((settled, to_near))
    assert group.carry() == [settled, Confirmed(1)]


def test_what_an_actor_leaves_is_handed_over_again_in_order_and_before_what_is_new(
    group: Bench,
) -> None:
    group.ask(1)
    group.ask(2)
    group.carry()
    group.run(group.actor.handle)
    group.actor.stopped = True
    group.run(group.actor.crash)
    group.ask(3)
    assert group.carry() == [Message(3, 3, Question(1, 3))], "it is neither received nor settled"
    group.wait()
    group.actor.stopped = False
    sent = group.wait()
    assert Message(3, 3, Question(1, 3)) in sent
    group.wire.flying += [(each, group.link._receiver.arrive) for each in sent[-1:]]
    group.carry()
    assert [each.message for each in group.actor.mailbox] == [Question(1, n) for n in (1, 2, 3)]


def test_what_is_new_waits_for_what_was_left_though_the_actor_is_back(group: Bench) -> None:
    group.ask(1)
    group.carry()
    group.run(group.actor.crash)
    group.ask(2)
    group.carry()
    assert not group.actor.mailbox
    group.wait()
    assert [each.message for each in group.actor.mailbox] == [Question(1, 1), Question(1, 2)]


def test_what_is_to_be_handed_over_again_is_only_said_to_be_received(group: Bench) -> None:
    group.ask(1)
    [message] = group.wire.flying
    group.carry()
    group.run(group.actor.crash)
    group.wire.flying.append(message)
    assert group.carry() == [message[0], Received(1)]


def test_a_second_answer_is_dropped(group: Bench) -> None:
    group.ask(1)
    group.carry()
    [slot] = group.actor.mailbox
    group.run(slot.send, "first")
    group.run(slot.send, "second")
    group.wire.flying.clear()
    assert group.wait() == [Settled(1, Outcome("first"))]


def test_an_answer_that_comes_after_a_crash_is_the_old_one_and_dropped(group: Bench) -> None:
    future = group.ask(1)
    group.carry()
    [old] = group.actor.mailbox
    group.run(group.actor.crash)
    group.wait()
    group.run(group.actor.handle)
    group.run(old.send, "late")
    group.run(group.actor.answer, 0)
    group.carry()
    assert future.result() == (1, 1)


def test_the_failure_is_the_answer_of_an_actor_that_does_not_come_back() -> None:
    group = Bench(survives=False)
    future = group.ask(1)
    group.carry()
    group.run(group.actor.crash)
    group.carry()
    assert isinstance(future.exception(), ActorStopped)
    assert group.wait() == []
    group.loop.close()


def test_a_message_that_finds_no_room_is_sent_until_it_does(group: Bench) -> None:
    group.actor.full = True
    group.ask(1)
    group.ask(2)
    assert {type(each) for each in group.carry()} == {Message}
    group.actor.full = False
    sent = group.wait()
    assert [each.number for each in sent if isinstance(each, Message)] == [1, 2]
    group.wire.flying += [(each, group.link._receiver.arrive) for each in sent]
    group.carry()
    assert [each.message for each in group.actor.mailbox] == [Question(1, 1), Question(1, 2)]


def test_nobody_sends_for_an_asker_that_has_given_up_nor_waits_for_what_it_asked(
    group: Bench,
) -> None:
    future = group.ask(1)
    group.ask(2)
    future.cancel()
    group.wire.flying.clear()
    sent = group.wait()
    assert sent == [Message(2, 2, Question(1, 2))]
    group.wire.flying += [(each, group.link._receiver.arrive) for each in sent]
    group.carry()
    assert [each.message for each in group.actor.mailbox] == [Question(1, 2)]


def test_messages_that_overtake_others_are_handed_over_after_them(group: Bench) -> None:
    for number in (1, 2, 3):
        group.ask(number)
    group.wire.flying.reverse()
    group.carry()
    assert [each.message for each in group.actor.mailbox] == [Question(1, n) for n in (1, 2, 3)]


class Direct:
    """A transport that never fails; what was carried is kept."""

    def __init__(self) -> None:
        self.carried: list[Envelope] = []

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        self.carried.append(envelope)
        deliver(envelope)


class Nothing:
    """A transport that carries nothing, until it is mended."""

    def __init__(self) -> None:
        self.mended = False
        self.carried: list[Envelope] = []

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        self.carried.append(envelope)
        if self.mended:
            deliver(envelope)


class Counter(Actor[Note | Question]):
    """Answers with what it has counted, and fails at number 0."""

    def __init__(self) -> None:
        self.notes = 0

    async def receive(self, message: Note | Question) -> tuple[int, int] | None:
        if not message.number:
            raise ValueError("nothing to count")
        self.notes += isinstance(message, Note)
        return (message.sender, self.notes) if isinstance(message, Question) else None


@pytest.mark.asyncio
async def test_an_actor_is_told_and_asked_over_a_link_as_it_is_without() -> None:
    wire = Direct()
    async with ActorSystem() as system:
        ref = system.spawn(Counter, "counter")
        link = Link(ref, wire)
        await link.ref.tell(Note(1, 1))
        link.ref.tell_nowait(Note(1, 2))
        assert await link.ref.ask(Question(7, 3)) == (7, 2)
        assert link.ref.address == "/counter"
    assert [type(each).__name__ for each in wire.carried].count("Settled") == 3
    assert sum(isinstance(each, Confirmed) for each in wire.carried) == 3


@pytest.mark.asyncio
async def test_the_failure_of_an_actor_is_the_answer_over_a_link_too() -> None:
    letters: list[DeadLetter] = []
    with pytest.raises(ValueError, match="nothing to count"):
        async with ActorSystem() as system:
            ref = system.spawn(Counter, "counter")
            link = Link(ref, Direct(), on_dead_letter=letters.append)
            with pytest.raises(ActorFailed):
                await link.ref.ask(Question(1, 0))
            with pytest.raises(ActorStopped):
                await link.ref.ask(Question(1, 1))
            await link.ref.tell(Note(1, 1))
    assert letters == [DeadLetter("/counter", Note(1, 1))]


@pytest.mark.asyncio
async def test_an_asker_that_gives_up_sends_nothing_any_more() -> None:
    wire = Nothing()
    async with ActorSystem() as system:
        link = Link(system.spawn(Counter, "counter"), wire, resend_s=0.01)
        with pytest.raises(AskTimeout):
            await link.ref.ask(Question(1, 1), timeout_s=0.1)
        carried = len(wire.carried)
        assert carried > 2
        wire.mended = True
        assert await link.ref.ask(Question(2, 1)) == (2, 0)
    assert [each.body for each in wire.carried[carried:] if isinstance(each, Message)] == [
        Question(2, 1)
    ]


@pytest.mark.asyncio
async def test_an_asker_that_gives_up_leaves_its_room_to_others_at_once() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(Counter, "counter")
        link = Link(ref, Nothing(), resend_s=1000, window=1)
        with pytest.raises(AskTimeout):
            await link.ref.ask(Question(1, 1), timeout_s=0.001)
        link.ref.tell_nowait(Note(1, 2))
        with pytest.raises(MailboxFull):
            link.ref.tell_nowait(Note(1, 3))


@pytest.mark.asyncio
async def test_who_tells_waits_while_too_much_is_on_its_way() -> None:
    wire = Nothing()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(Counter, "counter")
        link = Link(ref, wire, resend_s=0.01, window=2)
        await link.ref.tell(Note(1, 1))
        link.ref.tell_nowait(Note(1, 2))
        with pytest.raises(MailboxFull):
            link.ref.tell_nowait(Note(1, 3))
        future = asyncio.get_running_loop().create_future()
        link.ref.deliver(Reply(Question(1, 3), future))
        assert isinstance(future.exception(), MailboxFull)
        tasks.start_soon(link.ref.tell, Note(1, 3))
        await anyio.lowlevel.checkpoint()
        assert not any(isinstance(each, Message) and each.number > 2 for each in wire.carried)
        wire.mended = True
        with anyio.fail_after(5):
            while await link.ref.ask(Question(1, 4)) != (1, 3):
                await anyio.lowlevel.checkpoint()


@pytest.mark.asyncio
async def test_what_the_actor_left_unhandled_is_for_the_one_that_takes_its_place() -> None:
    async with ActorSystem() as system:
        first = system.spawn(Counter, "first")
        link = Link(first, Direct(), resend_s=0.01, survives=True)
        await first.stop()
        await link.ref.tell(Note(1, 1))
        link.attach(system.spawn(Counter, "second"))
        while await link.ref.ask(Question(1, 2)) != (1, 1):
            await anyio.lowlevel.checkpoint()


@pytest.mark.asyncio
async def test_a_closed_link_answers_that_the_actor_has_stopped() -> None:
    letters: list[DeadLetter] = []
    wire = Nothing()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(Counter, "counter")
        link = Link(ref, wire, resend_s=0.01, on_dead_letter=letters.append)

        async def ask() -> None:
            with pytest.raises(ActorStopped):
                await link.ref.ask(Question(1, 1))

        tasks.start_soon(ask)
        await link.ref.tell(Note(1, 1))
        await anyio.lowlevel.checkpoint()
        link.close()
        await link.ref.tell(Note(1, 2))
        await ask()
    assert [each.message for each in letters] == [Note(1, 1), Note(1, 2)]


@pytest.mark.asyncio
async def test_an_actor_is_not_ended_over_a_link() -> None:
    async with ActorSystem() as system:
        link = Link(system.spawn(Counter, "counter"), Direct())
        for end in (link.ref.stop, link.ref.cancel):
            with pytest.raises(RuntimeError, match="its parent does that"):
                await end()


@pytest.mark.asyncio
async def test_an_envelope_at_the_wrong_end_is_a_bug_that_shows() -> None:
    async with ActorSystem() as system:
        link = Link(system.spawn(Counter, "counter"), Nothing())
        for arrive, wrong in (
            (link._sender.arrive, Message(1, 1, Note(1, 1))),
            (link._sender.arrive, Confirmed(1)),
            (link._receiver.arrive, Received(1)),
            (link._receiver.arrive, Settled(1, Outcome())),
        ):
            with pytest.raises(TypeError, match="came to the wrong end"):
                arrive(wrong)
