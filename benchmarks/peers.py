"""The barrier in bare anyio, and in other systems that people simulate or build groups with.

Each way starts `nodes` that go through `rounds` barriers by one coordinator, whom they send a
message each time and wait for; where `short` is said, one member never comes, so that all are
blocked. Peers are imported where they are used: they come with the `bench` extra alone.
"""

import asyncio
import gc
import importlib
import threading
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import define

from callboard.actors.messages import Sync

_PAGE_BYTES = 4096
_STATM = Path("/proc/self/statm")


@define
class Barrier:
    """A barrier to be measured: how many take part, and what is found out.

    Time counts from the first node's leaving barrier 0 to the first one's leaving the last:
    starting the nodes is outside of it, and `rounds` whole rounds are inside.

    Attributes:
        nodes: How many nodes there are.
        rounds: How many times they meet, not counting barrier 0.
        short: Whether one more is waited for in vain.
    """

    nodes: int
    rounds: int
    short: bool
    _began_s: float | None = None
    _ended_s: float | None = None
    _passed: int = 0
    _before_bytes: int = 0
    _blocked_bytes: int | None = None

    def prepared(self) -> None:
        """All that doesn't grow with the nodes is there; the same for all ways."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 1_000)
        self._before_bytes = _resident_bytes()

    @property
    def members(self) -> int:
        """How many must come."""
        return self.nodes + self.short

    @property
    def syncs_per_s(self) -> float:
        """Barriers passed by nodes a second; asserts that all of them were."""
        assert self._passed == self.nodes, f"{self._passed} of {self.nodes} nodes got through"
        assert self._began_s is not None
        assert self._ended_s is not None
        return self.nodes * self.rounds / (self._ended_s - self._began_s)

    @property
    def bytes_per_node(self) -> float:
        """What a blocked node takes, as resident memory of the process; asserts that all are."""
        assert self._blocked_bytes is not None, "the nodes were never blocked"
        assert self._passed == 0, f"{self._passed} nodes got through"
        assert self._began_s is None
        return self._blocked_bytes / self.nodes

    def began(self) -> None:
        """A node has left barrier 0."""
        if self._began_s is None:
            self._began_s = time.perf_counter()

    def passed(self) -> None:
        """A node has left the last barrier."""
        self._passed += 1
        if self._ended_s is None:
            self._ended_s = time.perf_counter()

    @property
    def over(self) -> bool:
        """Whether all nodes have left the last barrier."""
        return self._passed == self.nodes

    def blocked(self) -> None:
        """All nodes are blocked."""
        gc.collect()
        self._blocked_bytes = _resident_bytes() - self._before_bytes


def _resident_bytes() -> int:
    return int(_STATM.read_text().split()[1]) * _PAGE_BYTES


@asynccontextmanager
async def nodes(barrier: Barrier) -> AsyncGenerator[TaskGroup, None]:
    """A task group for the nodes, which is cancelled when they are blocked and to be so."""
    barrier.prepared()
    async with anyio.create_task_group() as tasks:
        yield tasks
        if barrier.short:
            await anyio.wait_all_tasks_blocked()
            barrier.blocked()
            tasks.cancel_scope.cancel()


_Reply = asyncio.Future[None]


def bare(barrier: Barrier) -> None:
    """Anyio tasks, a memory stream that the coordinator drains, a future for each reply.

    The message is the one that callboard's own coordinator gets, with the reply beside it, as in
    the baseline of `benchmarks.kernel.ask`.
    """
    anyio.run(_bare, barrier)


async def _bare(barrier: Barrier) -> None:
    send, receive = anyio.create_memory_object_stream[tuple[Sync, _Reply]](2 * barrier.nodes)
    loop = asyncio.get_running_loop()
    ids = [f"round-{number}" for number in range(barrier.rounds + 1)]

    async def node(number: int) -> None:
        for turn, sync_id in enumerate(ids):
            reply: _Reply = loop.create_future()
            send.send_nowait((Sync((number, turn), sync_id), reply))
            await reply
            if turn == 0:
                barrier.began()
        barrier.passed()

    async def coordinate() -> None:
        waiting: list[tuple[Sync, _Reply]] = []
        while True:
            waiting.append(await receive.receive())
            try:
                while True:
                    if len(waiting) == barrier.members:
                        for _, reply in waiting:
                            reply.set_result(None)
                        waiting.clear()
                    waiting.append(receive.receive_nowait())
            except anyio.WouldBlock:
                pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(coordinate)
        async with nodes(barrier) as group:
            for number in range(barrier.nodes):
                group.start_soon(node, number)
        tasks.cancel_scope.cancel()
    send.close()
    receive.close()


def simpy_store(barrier: Barrier) -> None:
    """SimPy processes that put a request with an event into the coordinator's Store."""
    simpy: Any = importlib.import_module("simpy")
    environment = simpy.Environment()
    mailbox = simpy.Store(environment)

    def node(number: int) -> Generator[Any, Any, None]:
        for turn in range(barrier.rounds + 1):
            reply = environment.event()
            yield mailbox.put((number, turn, reply))
            yield reply
            if turn == 0:
                barrier.began()
        barrier.passed()

    def coordinate() -> Generator[Any, Any, None]:
        waiting: list[Any] = []
        while True:
            request = yield mailbox.get()
            waiting.append(request)
            if len(waiting) == barrier.members:
                for _, _, reply in waiting:
                    reply.succeed()
                waiting.clear()

    environment.process(coordinate())
    _run_simpy(barrier, environment, node)


def simpy_event(barrier: Barrier) -> None:
    """SimPy processes that count themselves and wait for one shared event: no messages."""
    simpy: Any = importlib.import_module("simpy")
    environment = simpy.Environment()
    came = 0
    opened = environment.event()

    def node(_number: int) -> Generator[Any, Any, None]:
        nonlocal came, opened
        for turn in range(barrier.rounds + 1):
            came += 1
            mine = opened
            if came == barrier.members:
                came, opened = 0, environment.event()
                mine.succeed()
            yield mine
            if turn == 0:
                barrier.began()
        barrier.passed()

    _run_simpy(barrier, environment, node)


def _run_simpy(barrier: Barrier, environment: Any, node: Any) -> None:
    barrier.prepared()
    for number in range(barrier.nodes):
        environment.process(node(number))
    environment.run()
    if barrier.short:
        barrier.blocked()


def pykka(barrier: Barrier) -> None:
    """Pykka actors, a thread each, that tell the coordinator and wait for a future."""
    library: Any = importlib.import_module("pykka")
    threading.stack_size(256 * 1024)
    over = threading.Event()
    lock = threading.Lock()

    class Coordinator(library.ThreadingActor):  # type: ignore[misc]  # its types are not installed
        def __init__(self) -> None:
            super().__init__()
            self._waiting: list[Any] = []

        def on_receive(self, reply: Any) -> None:
            self._waiting.append(reply)
            if len(self._waiting) == barrier.members:
                for each in self._waiting:
                    each.set(None)
                self._waiting.clear()
            elif barrier.short and len(self._waiting) == barrier.nodes:
                over.set()

    class Node(library.ThreadingActor):  # type: ignore[misc]  # its types are not installed
        def on_receive(self, coordinator: Any) -> None:
            for turn in range(barrier.rounds + 1):
                reply = library.ThreadingFuture()
                coordinator.tell(reply)
                reply.get()
                if turn == 0:
                    barrier.began()
            with lock:
                barrier.passed()
                if barrier.over:
                    over.set()

    coordinator = Coordinator.start()
    barrier.prepared()
    for _ in range(barrier.nodes):
        Node.start().tell(coordinator)
    over.wait()
    if barrier.short:
        time.sleep(0.2)  # threads of Pykka: nothing tells that the last of them is blocked
        barrier.blocked()
    else:
        library.ActorRegistry.stop_all()


def xoscar(barrier: Barrier) -> None:
    """Actors of xoscar in one process, which call the coordinator and are answered later."""
    asyncio.run(_xoscar(barrier))


async def _xoscar(barrier: Barrier) -> None:
    library: Any = importlib.import_module("xoscar")
    came = 0
    opened, full = asyncio.Event(), asyncio.Event()

    class Coordinator(library.StatelessActor):  # type: ignore[misc]  # its types are not installed
        async def sync(self) -> None:
            nonlocal came, opened
            came += 1
            mine = opened
            if came == barrier.members:
                came, opened = 0, asyncio.Event()
                mine.set()
            elif came == barrier.nodes:
                full.set()
            await mine.wait()

    class Node(library.Actor):  # type: ignore[misc]  # its types are not installed
        async def go(self, coordinator: Any) -> None:
            for turn in range(barrier.rounds + 1):
                await coordinator.sync()
                if turn == 0:
                    barrier.began()
            barrier.passed()

    pool = await library.create_actor_pool("127.0.0.1:0", n_process=0)
    async with pool:
        address = pool.external_address
        coordinator = await library.create_actor(Coordinator, address=address, uid="coordinator")
        barrier.prepared()
        calls = []
        for number in range(barrier.nodes):
            node = await library.create_actor(Node, address=address, uid=str(number))
            calls.append(asyncio.ensure_future(node.go(coordinator)))
        if not barrier.short:
            await asyncio.gather(*calls)
            return
        await full.wait()
        barrier.blocked()
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
