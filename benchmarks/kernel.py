"""The kernel against bare anyio memory object streams."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median

import anyio
from attrs import frozen

from benchmarks.measurement import Measurement
from callboard.runtime import Actor, ActorSystem, Request

_ROUNDS = 7
_MAILBOX = 1024


@frozen
class _Add(Request[int]):
    n: int


class _Adder(Actor[_Add | int]):
    async def receive(self, message: _Add | int) -> int | None:
        return message.n + 1 if isinstance(message, _Add) else None


async def _ask_actor(count: int) -> float:
    async with ActorSystem() as system:
        ref = system.spawn(_Adder, "adder", mailbox_size=_MAILBOX)
        await ref.ask(_Add(0))
        began = time.perf_counter()
        for number in range(count):
            await ref.ask(_Add(number))
        return count / (time.perf_counter() - began)


async def _ask_stream(count: int) -> float:
    send, receive = anyio.create_memory_object_stream[tuple[_Add, asyncio.Future[int]]](_MAILBOX)
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        async for request, reply in receive:
            reply.set_result(request.n + 1)

    async with anyio.create_task_group() as tasks, send:
        tasks.start_soon(serve)
        began = time.perf_counter()
        for number in range(count):
            reply: asyncio.Future[int] = loop.create_future()
            send.send_nowait((_Add(number), reply))  # faster than send, which lets others run first
            await reply
        took_s = time.perf_counter() - began
    return count / took_s


async def _tell_actor(count: int) -> float:
    async with ActorSystem() as system:
        ref = system.spawn(_Adder, "adder", mailbox_size=_MAILBOX)
        await ref.ask(_Add(0))
        began = time.perf_counter()
        for number in range(count):
            await ref.tell(number)
        await ref.ask(_Add(0))
        return count / (time.perf_counter() - began)


async def _drain_stream(count: int) -> float:
    """The fastest way with a bare stream: put without waiting, take all that is there."""
    send, receive = anyio.create_memory_object_stream[int](_MAILBOX)

    async def drain() -> None:
        while True:
            try:
                await receive.receive()
                while True:
                    receive.receive_nowait()
            except anyio.WouldBlock:
                pass
            except anyio.EndOfStream:
                return

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks, send:
        tasks.start_soon(drain)
        for number in range(count):
            try:
                send.send_nowait(number)
            except anyio.WouldBlock:
                await send.send(number)
    return count / (time.perf_counter() - began)


@frozen
class _Breed(Request[float]):
    """Spawn, ask and stop so many children one after the other; the answer is the rate."""

    count: int


class _Parent(Actor[_Breed]):
    async def receive(self, message: _Breed) -> float:
        began = time.perf_counter()
        for number in range(message.count):
            child = self.context.spawn(_Adder, "child")
            if await child.ask(_Add(number)) != number + 1:
                raise ValueError(number)
            await child.stop()
        return message.count / (time.perf_counter() - began)


async def _spawn_actor(count: int) -> float:
    async with ActorSystem() as system:
        parent = system.spawn(_Parent, "parent")
        await parent.ask(_Breed(10))
        return await parent.ask(_Breed(count))


async def _start_task(count: int) -> float:
    """The least that a child can be: a task that sets an event."""
    async with anyio.create_task_group() as tasks:

        async def answer(done: anyio.Event) -> None:
            done.set()

        began = time.perf_counter()
        for _ in range(count):
            done = anyio.Event()
            tasks.start_soon(answer, done)
            await done.wait()
        took_s = time.perf_counter() - began
    return count / took_s


def _compare(
    ours: Callable[[int], Awaitable[float]], raw: Callable[[int], Awaitable[float]], count: int
) -> tuple[float, float, float]:
    """Medians of both and of their ratio, measured in turns, so that noise hits both alike."""
    pairs = [(anyio.run(ours, count), anyio.run(raw, count)) for _ in range(_ROUNDS)]
    return (
        median(our for our, _ in pairs) / 1000,
        median(its for _, its in pairs) / 1000,
        median(our / its for our, its in pairs),
    )


def ask() -> Measurement:
    """Round trips of `ask` against a bare stream with a reply future."""
    figure, baseline, ratio = _compare(_ask_actor, _ask_stream, 20_000)
    return Measurement("ask round trips", figure, baseline, "k/s", ratio, goal=0.5)


def tell() -> Measurement:
    """Messages by `tell` against a bare stream that is drained."""
    figure, baseline, ratio = _compare(_tell_actor, _drain_stream, 100_000)
    return Measurement("tell", figure, baseline, "k/s", ratio, goal=0.3)


def spawn() -> Measurement:
    """Children that are spawned, asked once and stopped, against bare tasks that set an event."""
    figure, baseline, ratio = _compare(_spawn_actor, _start_task, 5_000)
    return Measurement("spawn, ask and stop a child", figure, baseline, "k/s", ratio, goal=0.6)
