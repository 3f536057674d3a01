"""What rehearsals leave in memory, and what they need of it."""

import asyncio
import gc

from callboard.definition import load
from callboard.events import CallMade, Event
from callboard.runtime import run_virtual
from callboard.scenarios import scenario
from callboard.simulation.console import SimulatedConsole
from callboard.simulation.simulator import prepare


def test_rehearsals_leave_nothing_behind() -> None:
    rehearsal = prepare(load(str(scenario("two-roles"))))
    rehearsal.run(0)
    gc.collect()
    before = len(gc.get_objects())
    for seed in range(5):
        rehearsal.run(seed)
    assert len(gc.get_objects()) - before < 50


def test_a_node_that_waits_takes_no_task() -> None:
    tasks: list[int] = []

    def count(event: Event) -> None:
        if isinstance(event.body, CallMade):
            tasks.append(len(asyncio.all_tasks()))

    rehearsal = prepare(load(str(scenario("two-roles"))), scale={"client": 100})
    rehearsal.run(0, [count])
    assert tasks[-1] < 25


def test_a_console_announces_output_once_until_it_is_taken_and_its_end_apart() -> None:
    async def listen() -> None:
        told: list[str] = []
        console = SimulatedConsole(lambda _line: None)
        console.announce(lambda: told.append("ready"))
        console.print("one")
        console.print("two", "three")
        console.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told == ["ready"]
        assert console.take() == b"one\r\ntwo\r\nthree\r\n"
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told == ["ready", "ready"]
        assert console.take() == b""

    run_virtual(listen)


def test_a_console_can_be_waited_for() -> None:
    async def listen() -> None:
        console = SimulatedConsole(lambda _line: None)
        asyncio.get_running_loop().call_later(3.0, console.print, "one")
        assert await console.receive() == b"one\r\n"
        assert asyncio.get_running_loop().time() == 3.0
        console.close()
        assert await console.receive() == b""

    run_virtual(listen)
