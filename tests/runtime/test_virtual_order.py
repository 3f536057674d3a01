"""The order of what is ready at once in virtual time: any, but the same for the same seed."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.memory import MemoryObjectSendStream
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.interleaving import trace

from callboard.runtime import run_virtual

ROOT = Path(__file__).parents[2]
PROCESSES = 6
SEEDS = ("none", "0", "1", "2", "3", "-7", "123456789012345678901234567890")


def test_one_seed_is_one_trace_in_every_process() -> None:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.runtime.interleaving", *SEEDS],
            env=environment | {"PYTHONHASHSEED": str(number * 977)},
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    traces = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert len(traces[0].splitlines()) > 100 * len(SEEDS)
    assert len(set(traces)) == 1


def test_one_seed_is_one_trace_however_often_it_runs() -> None:
    kept: list[object] = []
    for _ in range(5):
        kept.append(bytearray(1_000))
        assert trace(5) == trace(5)
        assert trace(None) == trace(None)


def test_other_seeds_are_other_schedules() -> None:
    traces = [trace(seed) for seed in range(50)]
    assert len(set(traces)) == 50
    assert len({"\n".join(sorted(each.splitlines())) for each in traces}) > 1


def _finishers(seed: int | None, nodes: int) -> list[int]:
    order: list[int] = []

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for node in range(nodes):
                tasks.start_soon(sleep, node)

    async def sleep(node: int) -> None:
        await anyio.sleep(1)
        order.append(node)

    run_virtual(main, seed=seed)
    return order


def test_every_order_of_what_happens_at_once_is_found() -> None:
    assert len({tuple(_finishers(seed, 4)) for seed in range(400)}) == 24


def test_without_a_seed_what_happens_at_once_happens_by_age() -> None:
    assert _finishers(None, 100) == list(range(100))


def test_timers_of_one_instant_fire_in_an_order_that_the_seed_chooses() -> None:
    def order(seed: int | None) -> tuple[int, ...]:
        fired: list[int] = []

        async def main() -> None:
            for number in range(3):
                asyncio.get_running_loop().call_at(1, fired.append, number)
            await anyio.sleep(2)

        run_virtual(main, seed=seed)
        return tuple(fired)

    assert len({order(seed) for seed in range(100)}) == 6
    assert order(None) == (0, 1, 2)


@pytest.mark.parametrize("seed", [None, *range(20)])
def test_callbacks_keep_the_order_in_which_they_were_called_soon(seed: int | None) -> None:
    called: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                loop.call_soon(called.append, number)
                tasks.start_soon(anyio.sleep, 0)

    run_virtual(main, seed=seed)
    assert called == list(range(20))


@given(st.integers(), st.integers(1, 5), st.lists(st.integers(0, 3), max_size=12))
def test_items_of_one_sender_arrive_in_order_at_every_seed(
    seed: int, senders: int, pauses: list[int]
) -> None:
    received: list[tuple[int, int]] = []

    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[tuple[int, int]](3)

        async def produce(sender: int, out: MemoryObjectSendStream[tuple[int, int]]) -> None:
            async with out:
                for number, pause in enumerate(pauses):
                    await anyio.sleep(pause)
                    await out.send((sender, number))

        async with anyio.create_task_group() as tasks:
            for sender in range(senders):
                tasks.start_soon(produce, sender, send.clone())
            await send.aclose()
            received.extend([item async for item in receive])
        await receive.aclose()

    run_virtual(main, seed=seed)
    for sender in range(senders):
        assert [n for who, n in received if who == sender] == list(range(len(pauses)))
