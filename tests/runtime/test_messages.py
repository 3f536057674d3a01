"""What the kernel promises about messages, answers and deadlines."""

import contextlib
import gc
import weakref
from collections.abc import Awaitable, Callable

import anyio
import pytest
from attrs import frozen
from tests.runtime.asking import ask

from callboard.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    DeadLetter,
    MailboxFull,
    NameTaken,
    Outcome,
    Reply,
    Request,
    Supervision,
)

pytestmark = pytest.mark.asyncio


@frozen
class Note:
    text: str


@frozen
class Add(Request[int]):
    n: int


@frozen
class Notes(Request[tuple[str, ...]]):
    """What has been noted so far."""


@frozen
class Fail(Request[None]):
    """Raises in the handler."""


@frozen
class Later(Request[str]):
    """Answered when `Release` comes."""


@frozen
class Release:
    text: str


@frozen
class Block(Request[None]):
    """Keeps the handler busy until `gate` opens."""

    entered: anyio.Event
    gate: anyio.Event


Understood = Note | Add | Notes | Fail | Later | Release | Block


class Recorder(Actor[Understood]):
    """Does what each message says, and records its life in `record`."""

    def __init__(self, record: list[str] | None = None) -> None:
        self.record: list[str] = [] if record is None else record
        self.notes: list[str] = []
        self.replies: list[Reply[str]] = []

    async def started(self) -> None:
        self.record.append(f"{self.context.address} started")

    async def stopped(self) -> None:
        self.record.append(f"{self.context.address} stopped")

    async def receive(self, message: Understood) -> object:
        match message:
            case Note(text):
                self.notes.append(text)
            case Add(n):
                return n + 1
            case Notes():
                return tuple(self.notes)
            case Fail():
                raise ValueError("told to fail")
            case Later():
                self.replies.append(self.context.defer(message))
            case Release(text):
                for reply in self.replies:
                    reply.send(text)
            case Block(entered, gate):
                entered.set()
                await gate.wait()
        return None


async def test_messages_of_one_sender_arrive_in_order() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(Recorder, "r", mailbox_size=4)
        for number in range(1000):
            await ref.tell(Note(str(number)))
        assert await ref.ask(Notes()) == tuple(map(str, range(1000)))


async def test_ask_returns_what_the_handler_returns() -> None:
    async with ActorSystem() as system:
        assert await system.spawn(Recorder, "r").ask(Add(1)) == 2


async def test_a_deferred_answer_reaches_everyone_who_asked() -> None:
    answers: list[str] = []
    async with ActorSystem() as system:
        ref = system.spawn(Recorder, "r")

        async def ask() -> None:
            answers.append(await ref.ask(Later()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            await ref.tell(Release("now"))
    assert answers == ["now", "now"]


class Plain(Actor[Understood]):
    """Its `receive` is a plain function, and what has to wait is a coroutine that it returns."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.replies: list[Reply[str]] = []

    def receive(self, message: Understood) -> object:
        match message:
            case Note(text):
                self.notes.append(text)
            case Add(n):
                return n + 1
            case Notes():
                return tuple(self.notes)
            case Later():
                self.replies.append(self.context.defer(message))
                self.context.call_after(0.0, Release("now"))
            case Release(text):
                self.replies.pop().send(text)
            case Block(entered, gate):
                return self._block(entered, gate)
            case Fail():
                raise ValueError("told to fail")
        return None

    async def _block(self, entered: anyio.Event, gate: anyio.Event) -> None:
        entered.set()
        await gate.wait()
        self.notes.append("blocked")


async def test_receive_may_be_a_plain_function() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system:
        ref = system.spawn(Plain, "plain")
        assert await ref.ask(Add(1)) == 2
        assert await ref.ask(Later()) == "now"
        await ref.tell(Block(entered, gate))
        await ref.tell(Note("noted"))
        await entered.wait()
        gate.set()
        assert await ref.ask(Notes()) == ("blocked", "noted")
    with pytest.raises(ValueError, match="told to fail"):
        async with ActorSystem() as system:
            await system.spawn(Plain, "plain").tell(Fail())
            await anyio.sleep_forever()


class Piper(Actor[Later | Outcome[str]]):
    """Pipes what it gets to `target`, and keeps the outcomes."""

    def __init__(self, target: ActorRef[Understood]) -> None:
        self.target = target
        self.outcomes: list[Outcome[str]] = []

    def receive(self, message: Later | Outcome[str]) -> None:
        match message:
            case Later():
                self.context.pipe(self.target, message, lambda outcome: outcome)
            case Outcome():
                self.outcomes.append(message)


async def test_of_the_requests_that_were_answered_later_only_the_last_is_kept() -> None:
    requests: list[weakref.ref[Later]] = []

    async def send(by: Callable[[Later], Awaitable[object]]) -> None:
        request = Later()
        requests.append(weakref.ref(request))
        await by(request)
        await anyio.wait_all_tasks_blocked()

    async with ActorSystem() as system:
        target = system.spawn(Plain, "plain")
        piper = Piper(target)
        await send(target.ask)
        await send(system.spawn(lambda: piper, "piper").tell)
        await send(target.ask)
        assert piper.outcomes == [Outcome("now")]
        gc.collect()
        assert [each() is None for each in requests] == [True, True, False]


async def test_a_failure_is_the_outcome_for_all_who_wait_for_a_later_answer() -> None:
    async with ActorSystem() as system:
        target = system.spawn(Recorder, "r", supervision=Supervision.restart(1, 60.0))
        piper = Piper(target)
        ref = system.spawn(lambda: piper, "piper")
        await ref.tell(Later())
        await ref.tell(Later())
        await anyio.wait_all_tasks_blocked()
        await target.tell(Fail())
        await anyio.wait_all_tasks_blocked()
        assert [type(each.error) for each in piper.outcomes] == [ActorFailed, ActorFailed]


async def test_deferring_what_was_only_told_is_an_error() -> None:
    with pytest.raises(LookupError, match="not handling"):
        async with ActorSystem() as system:
            ref = system.spawn(Recorder, "r")
            await ref.tell(Later())
            await anyio.sleep_forever()


async def test_an_ask_times_out_and_the_late_answer_is_dropped() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(Recorder, "r")
        with pytest.raises(AskTimeout, match=r"/r did not answer within 0\.01 s"):
            await ref.ask(Later(), timeout_s=0.01)
        await ref.tell(Release("late"))
        assert await ref.ask(Add(1)) == 2


async def test_an_ask_that_waits_for_room_in_the_mailbox_times_out_too() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(Recorder, "r", mailbox_size=1)
        tasks.start_soon(ask, ref, Block(entered, gate))
        await entered.wait()
        ref.tell_nowait(Note("fills the mailbox"))
        with pytest.raises(AskTimeout):
            await ref.ask(Add(1), timeout_s=0.01)
        gate.set()


async def test_a_full_mailbox_makes_tell_wait_and_tell_nowait_fail() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(Recorder, "r", mailbox_size=2)
        tasks.start_soon(ask, ref, Block(entered, gate))
        await entered.wait()
        ref.tell_nowait(Note("1"))
        ref.tell_nowait(Note("2"))
        with pytest.raises(MailboxFull, match="/r has a full mailbox"):
            ref.tell_nowait(Note("3"))
        with anyio.move_on_after(0.01) as scope:
            await ref.tell(Note("4"))
        assert scope.cancelled_caught
        gate.set()
        await ref.tell(Note("5"))
        assert await ref.ask(Notes()) == ("1", "2", "5")


async def test_what_waited_for_room_is_handled_though_nothing_follows_it() -> None:
    notes: list[str] = []

    class Noter(Actor[Note]):
        async def receive(self, message: Note) -> None:
            notes.append(message.text)

    async with ActorSystem() as system:
        ref = system.spawn(Noter, "r", mailbox_size=1)
        await anyio.wait_all_tasks_blocked()
        ref.tell_nowait(Note("1"))
        await ref.tell(Note("2"))
        await anyio.wait_all_tasks_blocked()
        assert notes == ["1", "2"]


async def test_an_error_that_looks_like_an_empty_mailbox_fails_the_actor() -> None:
    class Broken(Actor[Add]):
        async def receive(self, message: Add) -> int:
            raise anyio.WouldBlock(message)

    with pytest.raises(anyio.WouldBlock):
        async with ActorSystem() as system:
            ref = system.spawn(Broken, "r")
            with pytest.raises(ActorFailed):
                await ref.ask(Add(1))
            await anyio.sleep_forever()


async def test_a_busy_actor_lets_others_have_their_turn() -> None:
    async with ActorSystem() as system:
        busy = system.spawn(Recorder, "busy", mailbox_size=100_000)
        other = system.spawn(Recorder, "other")
        await other.ask(Add(0))
        for number in range(50_000):
            busy.tell_nowait(Note(str(number)))
        await other.ask(Add(1))
        assert len(await busy.ask(Notes())) == 50_000


async def test_a_message_to_a_stopped_actor_is_a_dead_letter_and_a_request_fails() -> None:
    letters: list[DeadLetter] = []
    async with ActorSystem(on_dead_letter=letters.append) as system:
        ref = system.spawn(Recorder, "r")
        await ref.ask(Add(1))
        await ref.stop()
        await ref.tell(Note("late"))
        ref.tell_nowait(Note("later"))
        with pytest.raises(ActorStopped, match="/r has stopped"):
            await ref.ask(Add(1))
    assert letters == [DeadLetter("/r", Note("late")), DeadLetter("/r", Note("later"))]


async def test_stop_finishes_the_current_message_and_refuses_what_is_left() -> None:
    letters: list[DeadLetter] = []
    entered, gate = anyio.Event(), anyio.Event()
    results: list[str] = []

    async def ask(ref: ActorRef[Understood], request: Request[object]) -> None:
        try:
            await ref.ask(request)
            results.append("answered")
        except ActorStopped:
            results.append("stopped")

    async with (
        ActorSystem(on_dead_letter=letters.append) as system,
        anyio.create_task_group() as tasks,
    ):
        ref = system.spawn(Recorder, "r")
        tasks.start_soon(ask, ref, Block(entered, gate))
        await entered.wait()
        tasks.start_soon(ask, ref, Add(1))
        await anyio.wait_all_tasks_blocked()
        ref.tell_nowait(Note("left"))
        tasks.start_soon(ref.stop)
        await anyio.wait_all_tasks_blocked()
        assert results == []
        gate.set()
    assert results == ["answered", "stopped"]
    assert letters == [DeadLetter("/r", Note("left"))]


async def test_cancel_interrupts_the_handler_and_its_asker_learns_it() -> None:
    entered = anyio.Event()
    record: list[str] = []
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(lambda: Recorder(record), "r")

        async def ask() -> None:
            with pytest.raises(ActorStopped):
                await ref.ask(Block(entered, anyio.Event()))
            record.append("asker learnt it")

        tasks.start_soon(ask)
        await entered.wait()
        await ref.cancel()
    assert sorted(record) == ["/r started", "/r stopped", "asker learnt it"]


async def test_a_clean_up_is_not_cut_short_though_the_handler_hid_its_cancellation() -> None:
    entered = anyio.Event()
    record: list[str] = []

    class Stubborn(Recorder):
        async def receive(self, message: Understood) -> object:
            entered.set()
            with contextlib.suppress(anyio.get_cancelled_exc_class()):
                await anyio.sleep_forever()
            return message

        async def stopped(self) -> None:
            await anyio.lowlevel.checkpoint()
            await super().stopped()

    async with ActorSystem() as system:
        ref = system.spawn(lambda: Stubborn(record), "r")
        await ref.tell(Note("hang"))
        await entered.wait()
        await ref.cancel()
    assert record == ["/r started", "/r stopped"]


async def test_a_handler_that_raises_fails_its_asker_and_the_root_ends_the_system() -> None:
    with pytest.raises(ValueError, match="told to fail"):
        async with ActorSystem() as system:
            ref = system.spawn(Recorder, "r")
            with pytest.raises(ActorFailed, match="ValueError: told to fail") as caught:
                await ref.ask(Fail())
            assert isinstance(caught.value.cause, ValueError)
            await anyio.sleep_forever()


async def test_a_name_is_free_again_when_its_actor_has_ended() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(Recorder, "r")
        with pytest.raises(NameTaken, match="/r is the address of a living actor"):
            system.spawn(Recorder, "r")
        await ref.stop()
        assert await system.spawn(Recorder, "r").ask(Add(1)) == 2


async def test_a_mailbox_without_room_is_refused() -> None:
    async with ActorSystem() as system:
        with pytest.raises(ValueError, match="the mailbox of /r has to hold a message, not 0"):
            system.spawn(Recorder, "r", mailbox_size=0)
        assert await system.spawn(Recorder, "r").ask(Add(1)) == 2


async def test_an_actor_that_would_wait_for_itself_is_told_so() -> None:
    class Narcissus(Actor[Add]):
        async def receive(self, message: Add) -> int:
            with pytest.raises(RuntimeError, match="can't wait for its own end"):
                await self.context.ref.stop()
            with pytest.raises(RuntimeError, match="can't ask itself"):
                await self.context.ref.ask(Add(2))
            return message.n

    async with ActorSystem() as system:
        assert await system.spawn(Narcissus, "n").ask(Add(1)) == 1
