"""How many tasks the kernel holds, and how much memory."""

import asyncio
import gc
import tracemalloc

import anyio
import pytest
from attrs import frozen
from tests.runtime.asking import ask

from callboard.runtime import Actor, ActorRef, ActorStopped, ActorSystem, Request
from callboard.runtime.cell import Cell

pytestmark = pytest.mark.asyncio

_FEW = 20


@frozen
class Noop(Request[None]):
    """Does nothing."""


@frozen
class Wait(Request[None]):
    """Keeps the handler busy until `gate` opens."""

    gate: anyio.Event


@frozen
class Serve:
    """Play the ball to the other one."""

    to: "ActorRef[Serve]"


class Waiter(Actor[Noop | Wait]):
    def __init__(self, ended: list[str] | None = None) -> None:
        self.ended = ended

    async def receive(self, message: Noop | Wait) -> None:
        if isinstance(message, Wait):
            await message.gate.wait()

    async def stopped(self) -> None:
        if self.ended is not None:
            self.ended.append(self.context.address)


def extra_tasks(before: int) -> int:
    return len(asyncio.all_tasks()) - before


async def test_only_handlers_that_wait_hold_a_task() -> None:
    before = len(asyncio.all_tasks())
    gate = anyio.Event()
    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        refs = [system.spawn(Waiter, str(number)) for number in range(1000)]
        for ref in refs:
            await ref.ask(Noop())
        assert extra_tasks(before) <= _FEW
        for ref in refs[:200]:
            tasks.start_soon(ask, ref, Wait(gate))
        await anyio.wait_all_tasks_blocked()
        assert 2 * 200 <= extra_tasks(before) <= 2 * 200 + _FEW
        gate.set()
        await anyio.wait_all_tasks_blocked()
        assert extra_tasks(before) <= _FEW
    assert extra_tasks(before) == 0


async def test_an_idle_actor_takes_less_than_4_kib() -> None:
    count = 500
    async with ActorSystem() as system:
        for number in range(10):
            await system.spawn(Waiter, f"first-{number}").ask(Noop())
        gc.collect()
        tracemalloc.start()
        before, _peak = tracemalloc.get_traced_memory()
        for number in range(count):
            await system.spawn(Waiter, str(number)).ask(Noop())
        gc.collect()
        after, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (after - before) / count < 4096


def actors() -> int:
    """How many actors there are in this process, ended or not."""
    return sum(isinstance(each, Waiter | Cell) for each in gc.get_objects())


async def test_an_actor_that_has_ended_is_freed_without_the_garbage_collector() -> None:
    async with ActorSystem() as system:
        ref = system.spawn(Waiter, "first")
        await ref.ask(Noop())
        await ref.stop()
        del ref
        gc.collect()
        gc.disable()
        try:
            before = actors()  # of tests before this one, which something may still hold
            for number in range(100):
                ref = system.spawn(Waiter, str(number))
                await ref.ask(Noop())
                await ref.stop()
            del ref
            assert actors() <= before
        finally:
            gc.enable()


async def test_two_actors_that_keep_each_other_busy_let_others_have_their_turn() -> None:
    class Player(Actor[Serve]):
        async def receive(self, message: Serve) -> None:
            message.to.tell_nowait(Serve(self.context.ref))

    async with ActorSystem() as system:
        first, second = system.spawn(Player, "first"), system.spawn(Player, "second")
        first.tell_nowait(Serve(second))
        with anyio.move_on_after(0.01) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught


async def test_every_actor_ends_when_the_tasks_themselves_are_cancelled() -> None:
    ended: list[str] = []
    errors: list[Exception] = []

    async def ask(ref: ActorRef[Noop | Wait]) -> None:
        try:
            await ref.ask(Wait(anyio.Event()))
        except ActorStopped as error:
            errors.append(error)

    async def run() -> None:
        async with ActorSystem() as system:
            refs = [system.spawn(lambda: Waiter(ended), str(number)) for number in range(5)]
            askers.extend(asyncio.create_task(ask(ref)) for ref in refs)
            await anyio.wait_all_tasks_blocked()
            await system.spawn(lambda: Waiter(ended), "idle").ask(Noop())
            for task in asyncio.all_tasks() - mine - {*askers, asyncio.current_task()}:
                task.cancel()
            await anyio.sleep_forever()

    askers: list[asyncio.Task[None]] = []
    mine = asyncio.all_tasks()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(run())
    await asyncio.gather(*askers)
    assert sorted(ended) == [*(f"/{number}" for number in range(5)), "/idle"]
    assert len(errors) == 5
