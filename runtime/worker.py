"""The tasks that serve actors: as many as there are handlers that wait, and a few more."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

if TYPE_CHECKING:
    from callboard.runtime.cell import Cell

BURST = 256
"""Messages handled in a row before others get a turn."""

_SPARE = 16
"""Workers without work that are kept; starting one costs about as much as 10 messages."""


class Workers:
    """The actors that have something to do, and the workers that take them one by one.

    Only one worker runs at a time, as everything does in an event loop; when what it serves waits
    for something while other actors are ready, another worker is called. So no one is called
    where nothing waits, and at most one is on its way.

    Args:
        order: Chooses which of n > 1 ready actors is served next (0..n-1), after each message;
            None is first come, first served, up to `BURST` messages in a row.
        fail: Called with what `order` raises; from then on nothing is chosen any more.
    """

    def __init__(
        self, order: Callable[[int], int] | None, fail: Callable[[Exception], None]
    ) -> None:
        self.take: Callable[[], Cell]
        """Take the actor that is next; there has to be one."""
        self.ready: deque[Cell] | list[Cell]
        """The actors that have something to do and aren't being served."""
        if order is None:
            self.ready = queue = deque["Cell"]()
            self.take = queue.popleft
            self.burst = BURST
        else:
            self.ready = choice = list["Cell"]()
            self.take = lambda: self._choose(choice, order)
            self.burst = 1
        self.running = False
        """Whether it is a worker that runs now, which looks for more before it waits."""
        self.coming = False
        """Whether a worker is on its way."""
        self.parked: list[Worker] = []
        """Workers that wait to be called."""
        self._fail = fail
        self._tasks: TaskGroup | None = None

    def open(self, tasks: TaskGroup) -> None:
        """Start workers in `tasks` from now on."""
        self._tasks = tasks

    def close(self) -> None:
        """Let the workers go, when all actors have ended."""
        self._tasks = None
        for worker in self.parked:
            worker.wake()
        self.parked.clear()

    @property
    def open_for_work(self) -> bool:
        """Whether actors can be served."""
        return self._tasks is not None

    def put(self, cell: "Cell") -> None:
        """Have `cell` served, which is neither ready nor being served."""
        cell.idle = False
        self.ready.append(cell)
        if not self.running and not self.coming:
            self._call()

    def yielded(self) -> None:
        """A worker waits or has ended; call another one if there is something to do."""
        self.running = False
        if self.ready and not self.coming:
            self._call()

    def _call(self) -> None:
        self.coming = True
        while self.parked:
            if self.parked.pop().wake():
                return
        assert self._tasks is not None
        self._tasks.start_soon(Worker(self).run, name="worker")

    def _choose(self, ready: "list[Cell]", order: Callable[[int], int]) -> "Cell":
        if len(ready) > 1:
            try:
                number = order(len(ready))
                ready[number], ready[-1] = ready[-1], ready[number]
            except Exception as error:  # whatever it raises, the actors are to end in order
                self.take = ready.pop
                self._fail(error)
        return ready.pop()


class Worker:
    """A task that serves one ready actor after the other."""

    __slots__ = ("_cell", "_over", "_wake", "_workers", "scope", "task")

    scope: anyio.CancelScope
    """Around what can be cancelled. Shielded: only the kernel ends actors, children first.

    It lasts from one cancellation to the next, for entering one costs as much as 10 messages.
    """

    def __init__(self, workers: Workers) -> None:
        self.task: asyncio.Task[Any] | None = None
        self._workers = workers
        self._cell: Cell | None = None
        self._wake: asyncio.Future[None] | None = None
        self._over = False

    def wake(self) -> bool:
        """End the rest of a parked worker, unless its task has been cancelled meanwhile."""
        assert self._wake is not None
        if self._wake.done():
            return False
        self._wake.set_result(None)
        return True

    async def run(self) -> None:
        """Serve until there is nothing to do and others are waiting for work already."""
        self.task = asyncio.current_task()
        await _Watched(self._work(), self._workers)

    async def _work(self) -> None:
        self._workers.coming = False
        try:
            while not self._over:
                with anyio.CancelScope(shield=True) as self.scope:
                    await self._serve()
        finally:
            self._workers.coming = False
            cell = self._cell
            if (
                cell is not None and not cell.ended
            ):  # the task itself was cancelled, or the interpreter is to end
                cell.request_cancel()
                with anyio.CancelScope(shield=True):
                    await cell.wind_down(self)

    async def _serve(self) -> None:
        """Serve until the scope is used up or the worker is."""
        workers, scope = self._workers, self.scope
        burst = workers.burst
        handled = 0
        while not scope.cancel_called:
            cell = self._cell
            if cell is None:
                if not workers.ready and not await self._find_work():
                    return
                cell = self._cell = workers.take()
            handled += 1
            if cell.winding_down:
                await cell.wind_down(self)
                again = not cell.ended
            else:
                count = await cell.handle(self, burst)
                handled += count
                if cell.winding_down:  # in a fresh scope if this one has been cancelled
                    continue
                again = count == burst and cell.has_mail
            self._cell = None
            if again:
                workers.ready.append(cell)
            else:
                cell.idle = not cell.ended
            if handled >= BURST:
                handled = 0
                await self._let_others()

    async def _find_work(self) -> bool:
        """Wait until an actor is ready; False when this worker isn't needed any more."""
        workers = self._workers
        # Who has been answered often asks again at once, which is cheaper than to be called.
        if not workers.coming:
            await self._let_others()
        while not workers.ready:
            if not workers.open_for_work or len(workers.parked) >= _SPARE:
                self._over = True
                return False
            self._wake = asyncio.get_running_loop().create_future()
            workers.parked.append(self)
            await self._wake
            workers.coming = False
        return True

    async def _let_others(self) -> None:
        """Give everyone else a turn; on its way meanwhile."""
        self._workers.coming = True
        await asyncio.sleep(0)
        self._workers.coming = False


class _Watched:
    """Awaits a worker's coroutine, and says when it waits and when it goes on."""

    __slots__ = ("_coroutine", "_workers")

    def __init__(self, coroutine: Coroutine[Any, Any, None], workers: Workers) -> None:
        self._coroutine = coroutine
        self._workers = workers

    def __await__(self) -> Generator[Any, Any, None]:
        workers = self._workers
        go_on, throw = self._coroutine.send, self._coroutine.throw
        workers.running = True
        try:
            awaited = go_on(None)
            while True:
                workers.yielded()
                try:
                    result = yield awaited
                except BaseException as error:  # passed on, as `yield from` would
                    workers.running = True
                    awaited = throw(error)
                else:
                    workers.running = True
                    awaited = go_on(result)
        except StopIteration:
            return
        finally:
            workers.yielded()
