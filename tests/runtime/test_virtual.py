"""Virtual time: what it promises about clocks, timers, deadlocks and errors."""

import asyncio
import datetime as dt
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.runtime.timeless import RealTime, no_real_time

from callboard.runtime import Actor, ActorSystem, Stalled, run_virtual
from callboard.runtime.virtual import VirtualLoop

YEAR_S = 365 * 86_400


def test_time_begins_at_zero_and_is_what_was_slept() -> None:
    async def main() -> list[float]:
        times = [anyio.current_time()]
        for delay_s in (0.1, 0.2, 1e-9, 3600):
            await anyio.sleep(delay_s)
            times.append(anyio.current_time())
        return times

    with no_real_time():
        assert run_virtual(main) == [0.0, 0.1, 0.3, 0.300000001, 3600.300000001]


def test_sums_of_sleeps_are_exact_where_sums_of_floats_are_not() -> None:
    async def main() -> float:
        for _ in range(1000):
            await anyio.sleep(0.1)
        return anyio.current_time()

    assert run_virtual(main) == 100.0
    assert sum([0.1] * 1000) != 100.0


@pytest.mark.parametrize("start_s", [0.2, 1234.567, 100 * YEAR_S + 0.1])
@pytest.mark.parametrize("limit_s", [1e-9, 0.1, 0.3, 1.1, 2 / 3, YEAR_S])
def test_a_deadline_comes_once_and_on_time_whatever_floats_make_of_it(
    start_s: float, limit_s: float
) -> None:
    async def main() -> float:
        await anyio.sleep(start_s)
        with anyio.move_on_after(limit_s) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        return anyio.current_time()

    # A float of that size is exact to 0.5 microseconds.
    assert run_virtual(main) == pytest.approx(start_s + limit_s, rel=0, abs=5e-7)


def test_timers_go_on_after_a_thousand_years() -> None:
    async def main() -> float:
        for _ in range(1000):
            await anyio.sleep(YEAR_S)
        for _ in range(1000):
            await anyio.sleep(0.001)
            with anyio.move_on_after(0.001):
                await anyio.sleep_forever()
        return anyio.current_time()

    with no_real_time():
        assert run_virtual(main) == pytest.approx(1000 * YEAR_S + 2, rel=0, abs=1e-2)


def test_ten_thousand_nodes_that_sleep_end_when_the_longest_does() -> None:
    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            for node in range(10_000):
                tasks.start_soon(anyio.sleep, node / 8)
        return anyio.current_time()

    assert run_virtual(main) == 9_999 / 8


@given(
    st.lists(st.tuples(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 50))), max_size=200),
    st.one_of(st.none(), st.integers()),
)
def test_timers_fire_in_the_order_of_time_unless_they_are_cancelled_before(
    timers: list[tuple[int, int | None]], seed: int | None
) -> None:
    fired: list[tuple[float, int]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def fire(number: int) -> None:
            fired.append((loop.time(), number))

        for number, (at_ms, cancelled_ms) in enumerate(timers):
            handle = loop.call_at(at_ms / 1000, fire, number)
            if cancelled_ms is not None:
                loop.call_later(cancelled_ms / 1000, handle.cancel)
        await asyncio.sleep(1)

    run_virtual(main, seed=seed)
    assert [at_s for at_s, _ in fired] == sorted(at_s for at_s, _ in fired)
    assert all(at_s == timers[number][0] / 1000 for at_s, number in fired)
    numbers = {number for _, number in fired}
    assert len(numbers) == len(fired)
    for number, (at_ms, cancelled_ms) in enumerate(timers):
        if cancelled_ms is None or at_ms < cancelled_ms:
            assert number in numbers
        elif cancelled_ms < at_ms:
            assert number not in numbers


def test_many_cancelled_timers_neither_fire_nor_move_the_clock() -> None:
    async def main() -> float:
        for _ in range(1_000):
            with anyio.fail_after(3600):
                await anyio.sleep(0.001)
        with pytest.raises(TimeoutError), anyio.fail_after(1):
            await anyio.sleep(2)
        return anyio.current_time()

    assert run_virtual(main) == 2.0


def test_a_timer_for_now_is_not_held_up_by_what_stays_ready() -> None:
    async def main() -> int:
        fired = asyncio.Event()
        asyncio.get_running_loop().call_later(0, fired.set)
        turns = 0
        while not fired.is_set():
            turns += 1
            await asyncio.sleep(0)
        return turns

    assert run_virtual(main) < 5


# Deadlocks


def test_a_deadlock_is_told_with_its_time_and_those_who_wait() -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            await anyio.sleep(12.5)
            tasks.start_soon(anyio.Event().wait, name="one")
            tasks.start_soon(anyio.sleep_forever, name="other")

    with pytest.raises(Stalled, match=r"deadlock at 12\.5 s: .* waiting: .*one, other$") as stalled:
        run_virtual(main)
    assert stalled.value.time_s == 12.5
    assert stalled.value.waiting[1:] == ("one", "other")


def test_a_deadlock_of_a_crowd_names_a_few() -> None:
    assert str(Stalled(0, [f"n{number}" for number in range(1000)])).endswith("n9 and 990 more")


def test_what_waits_in_a_deadlock_still_cleans_up() -> None:
    ended: list[str] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for name in ("one", "other"):
                tasks.start_soon(wait, name)

    async def wait(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
            ended.append(name)

    with pytest.raises(Stalled):
        run_virtual(main)
    assert sorted(ended) == ["one", "other"]


# Errors


def test_what_main_raises_comes_out_of_the_run() -> None:
    async def main() -> None:
        await anyio.sleep(1)
        raise LookupError("main")

    with pytest.raises(LookupError, match="main"):
        run_virtual(main)


def test_what_a_callback_raises_ends_the_run_and_others_clean_up() -> None:
    ended: list[float] = []

    def fail() -> None:
        raise LookupError("callback")

    async def main() -> None:
        asyncio.get_running_loop().call_later(2, fail)
        try:
            await anyio.sleep(3)
        finally:
            ended.append(anyio.current_time())

    with pytest.raises(LookupError, match="callback"):
        run_virtual(main)
    assert ended == [2.0]


def test_an_exception_handler_gets_what_callbacks_raise_and_the_run_goes_on() -> None:
    caught: list[object] = []

    def fail(number: int) -> None:
        raise LookupError(number)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: caught.append(context["exception"].args))
        for number in range(3):
            loop.call_soon(fail, number)
        await anyio.sleep(1)

    run_virtual(main)
    assert caught == [(0,), (1,), (2,)]


def test_a_task_that_failed_unseen_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise LookupError("unseen")

    async def main() -> None:
        task = asyncio.create_task(fail())
        await anyio.sleep(1)
        del task

    run_virtual(main)
    assert "never retrieved" in caplog.text
    assert "unseen" in caplog.text


def test_ctrl_c_ends_a_run_that_would_not_end() -> None:
    program = (
        "import anyio, signal\n"
        "from callboard.runtime import run_virtual\n"
        # What a shell starts in the background ignores it, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "async def main():\n"
        "    print('begun', flush=True)\n"
        "    try:\n"
        "        async with anyio.create_task_group() as tasks:\n"
        "            for _ in range(100): tasks.start_soon(tick)\n"
        "    finally:\n"
        "        print('cleaned up', flush=True)\n"
        "async def tick():\n"
        "    while True: await anyio.sleep(1)\n"
        "run_virtual(main)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert out == "cleaned up\n"
    assert err.endswith("KeyboardInterrupt\n")
    assert process.returncode == -signal.SIGINT


def test_an_interrupt_out_of_any_callback_leaves_no_task_behind() -> None:
    ended: list[int] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def node(number: int) -> None:
        try:
            while True:
                await anyio.lowlevel.checkpoint()
        finally:
            ended.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(node, number)
            await anyio.lowlevel.checkpoint()
            asyncio.get_running_loop().call_soon(interrupt)

    for seed in range(20):
        ended.clear()
        with pytest.raises(KeyboardInterrupt):
            run_virtual(main, seed=seed)
        assert sorted(ended) == list(range(50))


# Where it runs


@pytest.mark.asyncio
async def test_a_run_in_another_thread_leaves_the_event_loop_of_this_one_alone() -> None:
    async def main() -> float:
        await anyio.sleep(YEAR_S)
        return anyio.current_time()

    times: list[float] = []

    async def simulate() -> None:
        times.append(await anyio.to_thread.run_sync(run_virtual, main))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(simulate)
        await anyio.run_process(["true"])
        await anyio.to_thread.run_sync(time.sleep, 0)
    assert times == [YEAR_S] * 5


@pytest.mark.asyncio
async def test_a_run_in_a_thread_with_an_event_loop_is_refused() -> None:
    async def main() -> None:
        raise AssertionError

    with pytest.raises(RuntimeError, match="lready running"):
        run_virtual(main)


def test_actors_run_in_virtual_time() -> None:
    class Clock(Actor[str]):
        async def receive(self, message: str) -> None:
            if message == "start":
                self.context.call_after(YEAR_S, "tick")
            else:
                ticks.append(anyio.current_time())

    ticks: list[float] = []

    async def main() -> None:
        async with ActorSystem() as system:
            await system.spawn(Clock, "clock").tell("start")
            await anyio.sleep(2 * YEAR_S)

    with no_real_time():
        run_virtual(main)
    assert ticks == [YEAR_S]


# The loop as asyncio's own machinery sees it


def test_generators_that_are_left_open_are_closed_at_the_end_the_oldest_first() -> None:
    closed: list[int] = []

    async def count(number: int) -> AsyncGenerator[int, None]:
        try:
            while True:
                yield number
        finally:
            await anyio.lowlevel.checkpoint()
            closed.append(number)

    async def main() -> list[AsyncGenerator[int, None]]:
        kept = [count(number) for number in range(20)]
        for each in kept:
            await anext(each)
        await anext(count(99))  # dropped at once
        await anyio.sleep(1)
        return kept

    run_virtual(main)
    assert closed == [99, *range(20)]


def test_a_closed_loop_runs_no_more() -> None:
    loop = VirtualLoop()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()


def test_a_loop_that_is_stopped_too_early_says_so() -> None:
    loop = VirtualLoop()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="stopped before"):
        loop.run_until_complete(loop.create_future())
    loop.close()


def test_a_running_loop_is_not_closed_nor_run_again() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert loop.is_running()
        assert not loop.is_closed()
        for refused in (loop.close, loop.run_forever):
            with pytest.raises(RuntimeError):
                refused()
        loop.set_task_factory(None)
        with pytest.raises(ValueError, match="makes its tasks itself"):
            loop.set_task_factory(lambda loop, coro: asyncio.Task(coro, loop=loop))

    run_virtual(main)


# The test that forbids real time


@pytest.mark.parametrize(
    "read",
    [
        lambda: time.time(),  # noqa: PLW0108 - looked up when it is called
        lambda: time.monotonic(),  # noqa: PLW0108 - looked up when it is called
        lambda: time.perf_counter_ns(),  # noqa: PLW0108 - looked up when it is called
        lambda: dt.datetime.now(dt.UTC),
        lambda: time.sleep(0),
    ],
)
def test_whoever_reads_a_clock_of_the_machine_is_found_out(read: Callable[[], object]) -> None:
    async def main() -> None:
        await anyio.sleep(1)
        read()

    with no_real_time():
        read()
        with pytest.raises(RealTime):
            run_virtual(main)
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()


def test_the_runner_of_later_versions_of_python_may_say_how_long_an_executor_takes() -> None:
    async def main() -> None:
        await VirtualLoop().shutdown_default_executor(300.0)

    run_virtual(main)
