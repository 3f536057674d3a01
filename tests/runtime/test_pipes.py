"""What the kernel promises about pipes, timers and feeds."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from attrs import frozen
from tests.runtime.asking import ask

from callboard.runtime import (
    Actor,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskTimeout,
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
class Later(Request[int]):
    """Never answered."""


@frozen
class Notes(Request[tuple[str, ...]]):
    """Answered when all that is expected has come."""


@frozen
class Block(Request[None]):
    """Keeps the handler busy until `gate` opens."""

    entered: anyio.Event
    gate: anyio.Event


class Adder(Actor[Add | Later]):
    async def receive(self, message: Add | Later) -> object:
        match message:
            case Add(n):
                return n + 1
            case Later():
                return self.context.defer(message)


@frozen
class Answered:
    outcome: Outcome[int]


@frozen
class Outcomes(Request[tuple[Outcome[int], ...]]):
    """Answered when as many outcomes have come as were expected."""

    count: int


@frozen
class Pipe:
    to: ActorRef[Any]
    request: Request[int]
    timeout_s: float | None = None


@frozen
class Value(Request[int]):
    """Answered with 7."""


@frozen
class Fail:
    """Raises in the handler."""


@frozen
class Tick:
    number: int


class Piper(Actor[Pipe | Answered | Outcomes | Block | Tick | Value]):
    def __init__(self) -> None:
        self.outcomes: list[Outcome[int]] = []
        self.asked: tuple[int, Reply[tuple[Outcome[int], ...]]] | None = None

    async def receive(self, message: Pipe | Answered | Outcomes | Block | Tick | Value) -> object:
        match message:
            case Pipe(to, request, timeout_s):
                self.context.pipe(to, request, Answered, timeout_s)
            case Answered(outcome):
                self.outcomes.append(outcome)
            case Tick(number):
                self.outcomes.append(Outcome(number))
            case Value():
                return 7
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
        gone = system.spawn(Adder, "gone")
        await gone.stop()
        adder = system.spawn(Adder, "adder")
        piper = system.spawn(Piper, "piper")
        await piper.tell(Pipe(adder, Add(1)))
        await piper.tell(Pipe(gone, Add(1)))
        await piper.tell(Pipe(adder, Later(), 0.01))
        outcomes = await piper.ask(Outcomes(3))
    assert Outcome(2) in outcomes
    assert {type(each.error) for each in outcomes} == {type(None), ActorStopped, AskTimeout}


async def test_outcomes_and_timers_arrive_though_the_mailbox_is_full() -> None:
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        adder = system.spawn(Adder, "adder")
        piper = system.spawn(Piper, "piper", mailbox_size=1)
        await piper.tell(Pipe(adder, Add(1)))
        tasks.start_soon(ask, piper, Block(entered, gate))
        await entered.wait()
        piper.tell_nowait(Tick(7))
        await anyio.wait_all_tasks_blocked()
        gate.set()
        assert set(await piper.ask(Outcomes(2))) == {Outcome(2), Outcome(7)}


class Asker(Actor[Pipe | Answered | Fail]):
    def __init__(self, answers: list[Outcome[int]]) -> None:
        self.answers = answers

    async def receive(self, message: Pipe | Answered | Fail) -> None:
        match message:
            case Pipe(to, request, timeout_s):
                self.context.pipe(to, request, Answered, timeout_s)
            case Answered(outcome):
                self.answers.append(outcome)
            case Fail():
                raise ValueError("told to fail")


async def test_a_restarted_actor_does_not_get_what_the_one_before_it_asked_for() -> None:
    answers: list[Outcome[int]] = []
    entered, gate = anyio.Event(), anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        busy = system.spawn(Piper, "busy")
        tasks.start_soon(ask, busy, Block(entered, gate))
        await entered.wait()
        asker = system.spawn(
            lambda: Asker(answers), "asker", supervision=Supervision.restart(1, 60)
        )
        await asker.tell(Pipe(busy, Value()))
        await asker.tell(Fail())
        await asker.tell(Pipe(busy, Value()))
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert answers == [Outcome(7)]


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

    async def source(self) -> AsyncGenerator[Note, None]:
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
