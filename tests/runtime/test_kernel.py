"""What the kernel promises about messages, answers and deadlines."""

import anyio
import pytest
from attrs import frozen

from callboard.runtime import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
    ChildFailed,
    DeadLetter,
    MailboxFull,
    NameTaken,
    Outcome,
    Reply,
    Request,
    Supervision,
    Terminated,
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

    async def signalled(self, signal: Terminated | ChildFailed) -> None:
        self.record.append(f"{self.context.address} got {type(signal).__name__} {signal.ref.address}")

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
        tasks.start_soon(ref.ask, Block(entered, gate))
        await entered.wait()
        ref.tell_nowait(Note("fills the mailbox"))
        with pytest.raises(AskTimeout):
            await ref.ask(Add(1), timeout_s=0.01)
        gate.set()


async def test_a_full_mailbox_makes_tell_wait_and_tell_nowait_fail() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(Recorder, "r", mailbox_size=2)
        tasks.start_soon(ref.ask, Block(entered, gate))
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


# Pipes, timers and feeds


@frozen
class Answered:
    outcome: Outcome[int]


@frozen
class Outcomes(Request[tuple[Outcome[int], ...]]):
    """Answered when as many outcomes have come as were expected."""

    count: int


@frozen
class Pipe:
    to: ActorRef[Understood]
    request: Request[int]
    timeout_s: float | None = None


@frozen
class Tick:
    number: int


class Piper(Actor[Pipe | Answered | Outcomes | Block | Tick]):
    def __init__(self) -> None:
        self.outcomes: list[Outcome[int]] = []
        self.asked: tuple[int, Reply[tuple[Outcome[int], ...]]] | None = None

    async def receive(self, message: Pipe | Answered | Outcomes | Block | Tick) -> object:
        match message:
            case Pipe(to, request, timeout_s):
                self.context.pipe(to, request, Answered, timeout_s)
            case Answered(outcome):
                self.outcomes.append(outcome)
            case Tick(number):
                self.outcomes.append(Outcome(number))
            case Outcomes(count):
                self.asked = count, self.context.defer(message)
            case Block(entered, gate):
                entered.set()
                await gate.wait()
        if self.asked is not None and len(self.outcomes) >= self.asked[0]:
            self.asked[1].send(tuple(self.outcomes))
        return None


async def test_a_pipe_brings_values_errors_and_timeouts_to_the_own_mailbox() -> None:
    async with ActorSystem() as system:
        gone = system.spawn(Recorder, "gone")
        await gone.stop()
        adder = system.spawn(Recorder, "adder")
        piper = system.spawn(Piper, "piper")
        await piper.tell(Pipe(adder, Add(1)))
        await piper.tell(Pipe(gone, Add(1)))
        await piper.tell(Pipe(adder, Later(), 0.01))  # type: ignore[arg-type]
        added, stopped, late = await piper.ask(Outcomes(3))
        assert added == Outcome(2)
        assert isinstance(stopped.error, ActorStopped)
        assert isinstance(late.error, AskTimeout)


async def test_outcomes_and_timers_arrive_though_the_mailbox_is_full() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        adder = system.spawn(Recorder, "adder")
        piper = system.spawn(Piper, "piper", mailbox_size=1)
        await piper.tell(Pipe(adder, Add(1)))
        tasks.start_soon(piper.ask, Block(entered, gate))
        await entered.wait()
        piper.tell_nowait(Tick(7))
        await anyio.wait_all_tasks_blocked()
        gate.set()
        assert set(await piper.ask(Outcomes(2))) == {Outcome(2), Outcome(7)}


class Clock(Actor[Tick | Notes]):
    def __init__(self) -> None:
        self.ticks: list[int] = []
        self.asked: Reply[tuple[str, ...]] | None = None

    async def started(self) -> None:
        self.context.call_after(0.02, Tick(2))
        self.context.call_after(0.01, Tick(1))
        self.context.call_after(0.015, Tick(9)).cancel()
        self.context.call_after(30, Tick(3))

    async def receive(self, message: Tick | Notes) -> object:
        match message:
            case Tick(number):
                self.ticks.append(number)
            case Notes():
                self.asked = self.context.defer(message)
        if self.asked is not None and len(self.ticks) == 2:
            self.asked.send(tuple(map(str, self.ticks)))
        return None


async def test_timers_fire_in_order_of_time_and_not_when_cancelled() -> None:
    async with ActorSystem() as system:
        assert await system.spawn(Clock, "clock").ask(Notes()) == ("1", "2")


class Fed(Actor[Note | Notes]):
    def __init__(self, count: int, record: list[str], *, broken: bool = False) -> None:
        self.count = count
        self.record = record
        self.broken = broken

    async def started(self) -> None:
        self.context.feed(self.source())

    async def source(self):  # type: ignore[no-untyped-def]
        try:
            for number in range(self.count):
                self.record.append(f"made {number}")
                yield Note(str(number))
            if self.broken:
                raise OSError("the source broke")
            await anyio.sleep_forever()
        finally:
            self.record.append("closed")

    async def receive(self, message: Note | Notes) -> object:
        if isinstance(message, Note):
            self.record.append(f"handled {message.text}")
        return ()


async def test_each_item_of_a_feed_is_handled_before_the_next_is_made() -> None:
    record: list[str] = []
    async with ActorSystem() as system:
        ref = system.spawn(lambda: Fed(3, record), "fed")
        await anyio.wait_all_tasks_blocked()
        await ref.stop()
    steps = [f"{verb} {number}" for number in range(3) for verb in ("made", "handled")]
    assert record == [*steps, "closed"]


async def test_a_feed_that_breaks_fails_its_actor() -> None:
    record: list[str] = []
    with pytest.raises(OSError, match="the source broke"):
        async with ActorSystem() as system:
            system.spawn(lambda: Fed(1, record, broken=True), "fed")
            await anyio.sleep_forever()
    assert record == ["made 0", "handled 0", "closed"]


async def test_an_actor_that_waits_for_its_own_end_is_told_so() -> None:
    class Suicidal(Actor[Add]):
        async def receive(self, message: Add) -> int:
            with pytest.raises(RuntimeError, match="own end"):
                await self.context.ref.stop()
            return message.n

    async with ActorSystem() as system:
        with pytest.raises(ActorStopped):
            assert await system.spawn(Suicidal, "s").ask(Add(1)) == 1
            raise ActorStopped("/s")


async def test_restart_needs_no_new_ref_and_starts_with_a_fresh_actor() -> None:
    record: list[str] = []

    class Parent(Actor[Notes]):
        async def started(self) -> None:
            self.child = self.context.spawn(
                lambda: Recorder(record), "child", supervision=Supervision.restart(2, 60)
            )

        async def signalled(self, signal: Terminated | ChildFailed) -> None:
            assert isinstance(signal, ChildFailed)
            record.append(f"restarted={signal.restarted}")

        async def receive(self, message: Notes) -> object:
            for _ in range(3):
                with pytest.raises(ActorFailed):
                    await self.child.ask(Fail())
            with pytest.raises(ActorStopped):
                await self.child.ask(Add(1))
            return ("done",)

    async with ActorSystem() as system:
        parent = system.spawn(Parent, "parent")
        assert await parent.ask(Notes()) == ("done",)
        await parent.ask(Notes()) if False else None
    assert record.count("/parent/child started") == 3
    assert record.count("/parent/child stopped") == 3
