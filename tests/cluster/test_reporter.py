"""A host's events on their way to the leader: in order, before what follows from them."""

from typing import Any

import anyio
import pytest

from callboard.actors.messages import Leave, Sync
from callboard.cluster.messages import Emitted
from callboard.cluster.numbering import base_of
from callboard.cluster.reporter import PATIENCE_S, Reporter
from callboard.events import CallMade, Message, decode
from callboard.journal import Journal
from callboard.runtime import ActorStopped, MailboxFull, Outcome
from callboard.runtime.link import RESEND_S
from callboard.runtime.remote import RemoteRef
from callboard.runtime.sender import Sender
from callboard.runtime.transport import Envelope, Settled
from callboard.runtime.transport import Message as Sent

pytestmark = pytest.mark.asyncio


class Wire:
    """What a host sends over its link, and the other end's answers when a test gives them."""

    def __init__(self, window: int = 100) -> None:
        self.sent: list[Sent] = []
        self.sender = Sender(self._send, RESEND_S, window, lambda _letter: None)
        self.coordinator: RemoteRef[Any] = RemoteRef(self.sender, "/group/coordinator", "c")
        self.reporter = Reporter(RemoteRef(self.sender, "/recorder", "r"), most_bytes=1000)
        self.journal = Journal(anyio.current_time, sinks=[self.reporter], seq=base_of([7]))

    def _send(self, envelope: Envelope) -> None:
        if isinstance(envelope, Sent):
            self.sent.append(envelope)

    def say(self, *texts: str) -> None:
        for text in texts:
            self.journal.emit("/group/job-7", Message(7, "info", text))

    def settle(self, *numbers: int) -> None:
        """The leader has these messages."""
        for number in numbers:
            self.sender.arrive(Settled(number, Outcome()))

    @property
    def texts(self) -> list[list[str]]:
        """What each message said, or its class."""
        return [_texts(each.body) for each in self.sent]

    @property
    def all_texts(self) -> list[str]:
        return [text for texts in self.texts for text in texts]


def _texts(body: object) -> list[str]:
    if not isinstance(body, Emitted):
        return [type(body).__name__]
    events = [decode(line.encode()).body for line in body.lines]
    return [each.text if isinstance(each, Message) else type(each).__name__ for each in events]


async def moment() -> None:
    """Let what waits for others be put; a timer that was set before this one is due before it."""
    await anyio.sleep(PATIENCE_S)


async def test_events_of_one_moment_go_in_one_message() -> None:
    wire = Wire()
    wire.say("a", "b")
    assert wire.texts == []
    await moment()
    wire.say("c")
    await moment()
    assert wire.texts == [["a", "b"], ["c"]]
    bodies = [each.body for each in wire.sent]
    assert [each.first for each in bodies if isinstance(each, Emitted)] == [1, 3]


async def test_events_that_nothing_follows_from_wait_for_others() -> None:
    wire = Wire()
    wire.say("a")
    await anyio.lowlevel.checkpoint()
    wire.say("b")
    await moment()
    assert wire.texts == [["a", "b"]]


async def test_what_has_led_to_a_request_goes_before_it() -> None:
    wire = Wire()
    coordinator = wire.reporter.behind(wire.coordinator)
    wire.say("a")
    await coordinator.tell(Leave(7))
    wire.say("b")
    coordinator.tell_nowait(Leave(7))
    cause = wire.journal.emit("/group/job-7", CallMade(7, "sync", "go"))
    asked = anyio.Event()

    async def ask() -> None:
        asked.set()
        with pytest.raises(ActorStopped):
            await coordinator.ask(Sync((7, 1), "go", cause))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await asked.wait()
        await moment()
        wire.sender.close()
    assert wire.texts == [["a"], ["Leave"], ["b"], ["Leave"], ["CallMade"], ["Sync"]]
    assert coordinator.address == "/group/coordinator"


async def test_while_nobody_hears_events_gather_and_leave_room_for_requests() -> None:
    wire = Wire(window=20)
    coordinator = wire.reporter.behind(wire.coordinator)
    numbers = [str(number) for number in range(50)]
    for each in numbers:
        wire.say(each)
        await moment()
    assert wire.texts == [[each] for each in numbers[:8]]
    coordinator.tell_nowait(Leave(7))
    assert wire.texts[-1] == ["Leave"]
    assert wire.all_texts == [*numbers, "Leave"]
    assert len(wire.sent) < 20


async def test_a_link_without_room_is_tried_again() -> None:
    wire = Wire(window=1)
    wire.say("a")
    await moment()
    wire.say("b")
    await moment()
    with pytest.raises(MailboxFull):
        wire.reporter.behind(wire.coordinator).tell_nowait(Leave(7))
    assert wire.texts == [["a"]]
    wire.settle(1)
    with anyio.fail_after(10):
        while len(wire.sent) < 2:
            await moment()
    assert wire.texts == [["a"], ["b"]]


async def test_many_events_go_in_messages_of_bounded_size() -> None:
    wire = Wire()
    wire.say(*(f"{number} {'x' * 100}" for number in range(30)))
    await moment()
    sizes = [sum(map(len, each.body.lines)) for each in wire.sent if isinstance(each.body, Emitted)]
    assert max(sizes) <= 1000
    assert len(sizes) < 10
    wire.settle(*range(1, len(sizes) + 1))
    await moment()
    assert len(wire.all_texts) == 30


async def test_an_event_that_is_too_large_is_replaced_by_one_that_says_so() -> None:
    wire = Wire()
    wire.say("a", "x" * 2000, "b")
    await moment()
    ((a, replaced, b),) = wire.texts
    assert (a, b) == ("a", "b")
    assert replaced.startswith("an event is too large for the cluster and is left out: `message`")


async def test_a_reporter_that_is_closed_says_nothing_more() -> None:
    wire = Wire()
    wire.say("a")
    wire.reporter.close()
    wire.say("b")
    await moment()
    assert wire.sent == []


async def test_when_the_group_is_over_for_the_leader_nobody_minds() -> None:
    wire = Wire()
    wire.say("a")
    await moment()
    wire.sender.close()
    wire.say("b")
    await moment()
    await moment()
    assert wire.texts == [["a"]]
