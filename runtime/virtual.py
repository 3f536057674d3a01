"""Virtual time: an event loop whose clock jumps to the next timer when nothing is ready.

Code that uses anyio's time and sleep alone runs on it unchanged, years in milliseconds. The same
program and seed give the same schedule in every process:

- Time is a whole number of nanoseconds and begins at 0. It stands still while anything is ready.
- Whatever is ready at once makes a batch. anyio cancels by walking sets, whose order follows the
  addresses of objects; so a batch is sorted by the number of the task that each callback resumes,
  then the seed shuffles it. Callbacks that resume no task keep their order among themselves, as
  asyncio promises; timers of the same instant come in an order that the seed chooses.
- There is no input or output, no thread and no signal, for they take real time: `RealIO`.
- Nothing ready and no timer left means that all wait for each other: `Stalled`.

An asynchronous generator that is dropped half-way ends when it is collected, which no seed governs;
close it (`contextlib.aclosing`).
"""

import asyncio
import logging
import math
import sys
import threading
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import Context
from heapq import heapify, heappop, heappush
from random import Random
from typing import Any, TypeVar, TypeVarTuple
from weakref import WeakValueDictionary

import anyio

from callboard.runtime.offline import OfflineLoop, RealIO, guard
from callboard.runtime.schedule import BY_NUMBER, Handle, Task, Timer, in_order

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_NS = 1_000_000_000
_MOST_NAMED = 10
_FEW_TIMERS = 64
_LOGGER = logging.getLogger("asyncio")


class Stalled(RuntimeError):
    """Nothing is ready and no timer is left: a deadlock, for what waits will wait for ever.

    Attributes:
        time_s: When that was, in virtual seconds.
        waiting: Names of the tasks that wait, in the order of their creation.
    """

    def __init__(self, time_s: float, waiting: Sequence[str]) -> None:
        named = ", ".join(waiting[:_MOST_NAMED])
        more = f" and {len(waiting) - _MOST_NAMED} more" if len(waiting) > _MOST_NAMED else ""
        super().__init__(
            f"deadlock at {time_s:g} s: nothing is ready and no timer is left; "
            f"waiting: {named or 'no task'}{more}"
        )
        self.time_s = time_s
        self.waiting = tuple(waiting)


class VirtualLoop(OfflineLoop):
    """An event loop in virtual time; most users call `run_virtual`.

    Args:
        seed: Chooses the order of what is ready at once. None leaves it: callbacks as they came,
            then tasks by age; timers of the same instant as they were set.
    """

    def __init__(self, seed: int | None = 0) -> None:
        # Seeded with a text, lest other draws from the same seed repeat these.
        random = Random(f"virtual time {seed}").random
        self._draw = None if seed is None else random
        self._ready: list[Handle] = []
        self._timers: list[tuple[int, float, int, Timer]] = []
        self._timers_set = 0
        self._timers_dropped = 0
        self._dropped = self._timer_dropped
        self._now_ns = 0
        self._now_s = 0.0
        self._created = 0
        self._stopping = False
        self._closed = False
        self._debug = False
        self._thread: int | None = None
        self._generators = WeakValueDictionary[int, AsyncGenerator[Any, Any]]()
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None

    # Time and callbacks

    def time(self) -> float:
        """Virtual seconds since the run began."""
        return self._now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Any:
        """Call `callback` in the next batch."""
        handle = Handle(callback, args, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Any:
        """Call `callback` in `delay` seconds, to the nanosecond."""
        if delay == math.inf:
            return Timer(callback, args, context, delay, None)
        when_ns = self._now_ns + round(delay * _NS)
        return self._set_timer(when_ns, when_ns / _NS, callback, args, context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Any:
        """Call `callback` at the time `when`, in seconds, rounded to the nanosecond."""
        if when == math.inf:
            return Timer(callback, args, context, when, None)
        return self._set_timer(round(when * _NS), when, callback, args, context)

    def _set_timer(
        self,
        when_ns: int,
        when_s: float,
        callback: Callable[[*Ts], object],
        args: tuple[*Ts],
        context: Context | None,
    ) -> Timer:
        if when_s <= self._now_s:
            timer = Timer(callback, args, context, when_s, None)
            self._ready.append(timer)
            return timer
        timer = Timer(callback, args, context, when_s, self._dropped)
        self._timers_set += 1
        tie = self._draw() if self._draw else 0.0
        heappush(self._timers, (when_ns, tie, self._timers_set, timer))
        return timer

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Any:
        """Like `call_soon`, for a signal handler. Raises RealIO in any other thread."""
        if self._thread not in (None, threading.get_ident()):
            raise RealIO("a callback from another thread (call_soon_threadsafe)")
        return self.call_soon(callback, *args, context=context)

    def _timer_dropped(self) -> None:
        """Once most timers are cancelled ones, forget those."""
        self._timers_dropped += 1
        if self._timers_dropped > max(_FEW_TIMERS, len(self._timers) // 2):
            self._timers = [each for each in self._timers if each[-1].callback is not None]
            heapify(self._timers)
            self._timers_dropped = 0

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Make the next task; without a name it is called by its number."""
        self._created += 1
        title = f"task-{self._created}" if name is None else str(name)
        task = Task(coro, loop=self, name=title, context=context)
        task.number = self._created
        return task

    def get_task_factory(self) -> None:
        """None: the loop numbers its tasks, so it makes them itself."""

    def set_task_factory(self, factory: object) -> None:
        """See `get_task_factory`. Raises ValueError when there is one to set."""
        if factory is not None:
            raise ValueError("in virtual time the loop makes its tasks itself")

    # Running

    def run_forever(self) -> None:
        """Run until `stop`.

        Raises:
            Stalled: All wait for each other.
            BaseException: What a callback raised, if there is no exception handler.
        """
        if self._closed:
            raise RuntimeError("the loop is closed")
        if _get_running_loop() is not None:
            raise RuntimeError("another event loop runs in this thread")
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(self._generator_began, self._generator_dropped)
        self._thread = threading.get_ident()
        _set_running_loop(self)
        try:
            while not self._stopping:
                self._run_batch()
        finally:
            _set_running_loop(None)
            self._thread = None
            self._stopping = False
            sys.set_asyncgen_hooks(*hooks)

    def run_until_complete(self, future: Any) -> Any:
        """Run until `future` is done, and return its result; raises like `run_forever`."""
        task = asyncio.ensure_future(future, loop=self)
        task.add_done_callback(self._completed)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._completed)
        if not task.done():
            raise RuntimeError("the loop was stopped before its future was done")
        return task.result()

    def _completed(self, _future: asyncio.Future[Any]) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop after the current batch."""
        self._stopping = True

    def is_running(self) -> bool:
        """Whether it runs."""
        return self._thread is not None

    def is_closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def close(self) -> None:
        """Forget what is left."""
        if self.is_running():
            raise RuntimeError("a running loop can't be closed")
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    def _run_batch(self) -> None:
        # First: what a signal's handler makes ready meanwhile must not get lost.
        batch, self._ready = self._ready, []
        if len(batch) > 1:
            batch = in_order(batch, self._draw)
        elif not batch:
            batch = self._wait()
        left = iter(batch)
        try:
            for handle in left:
                if handle.callback is not None:
                    handle.context.run(handle.callback, *handle.args)
        except BaseException as error:
            self._ready[:0] = left  # a task that lost its turn could never be cancelled
            if self._handler is None or isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            self.call_exception_handler({"message": "error in a callback", "exception": error})

    def _wait(self) -> list[Handle]:
        """Let time pass until the next timer; it and those of the same instant are due."""
        timers = self._timers
        due: list[Handle] = []
        while timers and (not due or timers[0][0] <= self._now_ns):
            when_ns, _, _, timer = heappop(timers)
            if timer.callback is None:
                self._timers_dropped -= 1
                continue
            timer.dropped = None
            due.append(timer)
            self._now_ns = max(self._now_ns, when_ns)
            # In floats, now is never less than what was waited for: a deadline that has come
            # would be waited for again, and that for ever.
            self._now_s = max(self._now_s, timer.when_s)
        if not due:
            raise Stalled(self._now_s, self._waiting())
        return due

    def _waiting(self) -> list[str]:
        tasks = [each for each in asyncio.all_tasks(self) if isinstance(each, Task)]
        return [each.get_name() for each in sorted(tasks, key=BY_NUMBER)]

    # Asynchronous generators, executors and errors, as asyncio.Runner expects them

    def _generator_began(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._created += 1
        self._generators[self._created] = generator

    def _generator_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    async def shutdown_asyncgens(self) -> None:
        """Close what is left of asynchronous generators, the oldest first."""
        for _, generator in sorted(self._generators.items(), key=lambda item: item[0]):
            await generator.aclose()

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Nothing to do: there is none; Python 3.12 and later say how long it may take."""

    def set_exception_handler(
        self, handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None
    ) -> None:
        """Have errors of callbacks handled, instead of ending the run."""
        self._handler = handler

    def get_exception_handler(self) -> Any:
        """What was set."""
        return self._handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Handle an error that nobody else can handle; without a handler it is logged."""
        (self._handler or type(self).default_exception_handler)(self, context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Log the error."""
        _LOGGER.error(context["message"], exc_info=context.get("exception"))

    def get_debug(self) -> bool:
        """Whether asyncio's debug mode is on."""
        return self._debug

    def set_debug(self, enabled: bool) -> None:
        """Switch asyncio's debug mode, which changes little here."""
        self._debug = enabled


def run_virtual(main: Callable[[], Awaitable[T]], *, seed: int | None = 0) -> T:
    """Run `main` in virtual time, from 0 s until it returns.

    Works in any thread that runs no event loop. Ctrl-C in the main thread cancels `main`.

    Args:
        main: What to run; it uses anyio's time and sleep and no other.
        seed: Chooses the order of what is ready at once, None leaves it in order.

    Returns:
        What `main` returns.

    Raises:
        Stalled: All wait for each other.
        RealIO: Something was tried that takes real time, unless it was handled where it was tried.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    guard()
    return anyio.run(
        main, backend="asyncio", backend_options={"loop_factory": lambda: VirtualLoop(seed)}
    )
