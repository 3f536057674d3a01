"""A link whose other end is replaced: what isn't settled goes to the new one, in order."""

import asyncio
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import invariant, rule
from tests.runtime.wire import RESEND_S, Note, OverAWire, Question, Scripted

from callboard.runtime import ActorRef, ActorStopped, DeadLetter, Outcome, Reply
from callboard.runtime.receiver import Receiver
from callboard.runtime.remote import RemoteRef
from callboard.runtime.sender import Sender
from callboard.runtime.transport import Envelope, Message

NAMES = ("/a", "/b", "/c")


class End:
    """An end with an actor of each name, and the numbering that it is for."""

    def __init__(self, send: Callable[[Envelope], None]) -> None:
        self.actors = {name: Scripted(remembers=False) for name in NAMES}
        self.received: list[Message] = []
        self.receiver = Receiver(self.resolve, send, RESEND_S, survives=False)

    def resolve(self, to: str) -> ActorRef[object]:
        return self.actors[to]

    @property
    def handled(self) -> list[Note | Question]:
        return [each for actor in self.actors.values() for each in actor.handled]


class OverEndsThatAreReplaced(OverAWire):
    """Each end handles a message at most once and in order; some end handles it, and each ask
    is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[End] = []
        self.sender = Sender(self.send_there, RESEND_S, 1024, self.no_letter)
        self.refs = {name: RemoteRef[Note | Question](self.sender, name, name) for name in NAMES}
        self.sent = dict.fromkeys(NAMES, 0)
        self.run(self.replace)

    @property
    def handled(self) -> list[Note | Question]:
        return [each for end in self.ends for each in end.handled]

    def send_there(self, envelope: Envelope) -> None:
        number = len(self.ends)  # whoever carries envelopes keeps those of former ends apart

        def arrive(envelope: Envelope) -> None:
            if number == len(self.ends):
                self.ends[-1].receiver.arrive(envelope)

        self.wire.send(envelope, arrive)

    def send_back(self, number: int, envelope: Envelope) -> None:
        def arrive(envelope: Envelope) -> None:
            if number == len(self.ends):
                self.sender.arrive(envelope)

        self.wire.send(envelope, arrive)

    def replace(self) -> None:
        if self.ends:
            self.ends[-1].receiver.close()
        number = len(self.ends) + 1
        self.ends.append(End(lambda envelope: self.send_back(number, envelope)))
        self.sender.renew()

    @rule()
    def replace_end(self) -> None:
        self.run(self.replace)

    def next(self, name: str) -> tuple[int, int]:
        self.sent[name] += 1
        return NAMES.index(name), self.sent[name]

    @rule(name=st.sampled_from(NAMES))
    def tell(self, name: str) -> None:
        self.tell_to(self.refs[name], Note(*self.next(name)))

    @rule(name=st.sampled_from(NAMES))
    def ask(self, name: str) -> None:
        self.ask_of(self.refs[name], Question(*self.next(name)))

    @rule(full=st.booleans(), name=st.sampled_from(NAMES))
    def fill(self, full: bool, name: str) -> None:
        self.ends[-1].actors[name].full = full

    @rule(end=st.integers(0, 9), name=st.sampled_from(NAMES))
    def handle(self, end: int, name: str) -> None:
        actor = self.ends[end % len(self.ends)].actors[name]  # those of a former end go on
        if actor.mailbox:
            self.run(actor.handle)

    @rule(end=st.integers(0, 9), name=st.sampled_from(NAMES), place=st.integers(0, 9))
    def answer(self, end: int, name: str, place: int) -> None:
        actor = self.ends[end % len(self.ends)].actors[name]
        if actor.held:
            self.run(actor.answer, place)

    @invariant()
    def no_end_handles_a_message_twice(self) -> None:
        for end in self.ends:
            assert len(set(end.handled)) == len(end.handled)

    @invariant()
    def each_end_handles_messages_in_order(self) -> None:
        for end in self.ends:
            for actor in end.actors.values():
                numbers = [each.number for each in actor.handled]
                assert numbers == sorted(numbers)

    def mend(self) -> None:
        for actor in self.ends[-1].actors.values():
            actor.full = False
            self.run(actor.work)


OverEndsThatAreReplaced.TestCase.settings = settings(stateful_step_count=60)
TestOverEndsThatAreReplaced = OverEndsThatAreReplaced.TestCase


@pytest.mark.asyncio
async def test_what_is_not_settled_is_sent_again_numbered_from_one() -> None:
    sent: list[Envelope] = []
    sender = Sender(sent.append, RESEND_S, 10, lambda _letter: None)
    ref = RemoteRef[Note](sender, "/a", "/a")
    for number in (1, 2, 3):
        ref.tell_nowait(Note(1, number))
    sender.settle(2, Outcome())
    del sent[:]
    sender.renew()
    assert sent == [Message(1, 1, Note(1, 1), "/a"), Message(2, 1, Note(1, 3), "/a")]
    sender.close()


@pytest.mark.asyncio
async def test_a_message_for_an_unknown_actor_finds_it_stopped_and_holds_up_no_other() -> None:
    letters: list[DeadLetter] = []
    known = Scripted(remembers=False)
    back: list[Envelope] = []
    receiver = Receiver({"/a": known}.__getitem__, back.append, RESEND_S, survives=False)
    sender = Sender(receiver.arrive, RESEND_S, 10, letters.append)
    future: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()
    nobody = RemoteRef[Note | Question](sender, "/b", "/b")
    nobody.tell_nowait(Note(1, 1))
    nobody.deliver(Reply(Question(1, 2), future))
    RemoteRef[Note](sender, "/a", "/a").tell_nowait(Note(1, 3))
    for envelope in back:
        sender.arrive(envelope)
    assert letters == [DeadLetter("/b", Note(1, 1))]
    assert isinstance(future.exception(), ActorStopped)
    messages: list[object] = [each.message for each in known.mailbox]
    assert messages == [Note(1, 3)]
    receiver.close()
    sender.close()


@pytest.mark.asyncio
async def test_what_is_abandoned_finds_its_actors_stopped_and_what_is_new_goes_on() -> None:
    sent: list[Envelope] = []
    letters: list[DeadLetter] = []
    sender = Sender(sent.append, RESEND_S, 1, letters.append)
    ref = RemoteRef[Note](sender, "/a", "/a")
    ref.tell_nowait(Note(1, 1))
    assert not sender.has_room
    sender.abandon()
    assert letters == [DeadLetter("/a", Note(1, 1))]
    ref.tell_nowait(Note(1, 2))
    assert sent[-1] == Message(2, 2, Note(1, 2), "/a")
    sender.close()
