"""A program whose schedule shows: many tasks that meet, and that are cancelled all at once.

`python -m tests.runtime.interleaving SEED...` prints its trace for each seed.
"""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from callboard.runtime import run_virtual

_NODES = 12


class _Program:
    def __init__(self) -> None:
        self.trace: list[str] = []
        self.never = anyio.Event()

    def say(self, *words: object) -> None:
        self.trace.append(f"{anyio.current_time():.9f} {' '.join(map(str, words))}")

    async def run(self) -> str:
        send, receive = anyio.create_memory_object_stream[str](2)
        async with anyio.create_task_group() as tasks:
            for node in range(_NODES):
                tasks.start_soon(self.ping, node, send.clone())
            for reader in range(3):
                tasks.start_soon(self.read, reader, receive.clone())
            send.close()
            receive.close()
            with anyio.move_on_after(5):
                await self.crowd()
            self.say("the crowd is gone")
        return "\n".join(self.trace)

    async def ping(self, node: int, send: MemoryObjectSendStream[str]) -> None:
        with send:
            for turn in range(3):
                await send.send(f"{node}.{turn}")
                await anyio.sleep(1)

    async def read(self, reader: int, receive: MemoryObjectReceiveStream[str]) -> None:
        with receive:
            async for item in receive:
                self.say("reader", reader, "got", item)

    async def crowd(self) -> None:
        """Tasks that wait in every way, inside scopes of their own, until all are cancelled."""
        async with anyio.create_task_group() as tasks:
            for node in range(_NODES):
                tasks.start_soon(self.sleeper, node)
                tasks.start_soon(self.waiter, node)
                tasks.start_soon(self.nested, node)
                tasks.start_soon(self.chained, node)

    async def sleeper(self, node: int) -> None:
        try:
            with anyio.fail_after(2 + node % 2):
                await anyio.sleep(100)
        except TimeoutError:
            self.say("sleeper", node, "timed out")
        await self.last(f"sleeper {node}", self.never.wait)

    async def waiter(self, node: object) -> None:
        with anyio.CancelScope():
            await self.last(f"waiter {node}", self.never.wait)

    async def nested(self, node: int) -> None:
        async with anyio.create_task_group() as tasks:
            for child in range(3):
                tasks.start_soon(self.waiter, f"{node}.{child}")

    async def chained(self, node: int) -> None:
        """Waits for a future that others hear of as well."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(lambda _future: self.say("future", node))

        async def wait() -> None:
            await future

        await self.last(f"chained {node}", wait)

    async def last(self, name: str, wait: Callable[[], Awaitable[None]]) -> None:
        """What a task does when it is cancelled, which takes it some turns."""
        try:
            await wait()
        finally:
            self.say(name, "is cancelled")
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                self.say(name, "ends")


def trace(seed: int | None) -> str:
    """What happens with this seed, line by line."""
    return run_virtual(lambda: _Program().run(), seed=seed)


def _litter() -> list[object]:
    """Objects that make new ones lie at other addresses in each process."""
    kept: list[object] = [bytearray(random.randrange(600)) for _ in range(random.randrange(20_000))]
    return kept[:: random.randrange(1, 5)]


if __name__ == "__main__":
    kept = _litter()
    for text in sys.argv[1:]:
        sys.stdout.write(f"{text}\n{trace(None if text == 'none' else int(text))}\n")
