"""`kill -9` at any moment under load loses nothing that was acknowledged."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from tests.coordinator.running import Coordinator
from tests.coordinator.witnesses import Pair, ask

WAIT = {"response": "wait"}

_PAIRS = 12
_MOST_ANSWERS = 400
"""How many answers there are at most between two kills."""


@pytest.mark.parametrize("semantics", ["lava", "documented"])
@pytest.mark.parametrize(
    "kills",
    [4, pytest.param(150, marks=[pytest.mark.long, pytest.mark.timeout(1_800)])],
)
def test_a_coordinator_that_is_killed_contradicts_no_answer(
    tmp_path: Path, semantics: str, kills: int
) -> None:
    options: list[str | Path] = ["--state", tmp_path / "state", "--semantics", semantics]
    with Coordinator(tmp_path, options) as coordinator:
        pairs = asyncio.run(_siege(coordinator, kills, passes_again=semantics == "documented"))
    assert sum(pair.facts for pair in pairs) > 10 * kills
    assert sum(len(pair.ended) for pair in pairs) > 0


def test_while_the_disk_is_full_clients_wait_and_then_all_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    with Coordinator(tmp_path, ["--state", small_disk]) as coordinator:
        asyncio.run(_fill(coordinator, small_disk / ".other"))
        coordinator.kill()
        coordinator.start()
        answer = asyncio.run(ask(coordinator.address, {**ASKED, "request": "lava_wait"}))
        assert answer == {"response": "ack", "message": {"a": MESSAGE}}
        assert coordinator.log.count("the disk takes nothing") == 1


MESSAGE = {"long": "x" * 10_000}
ASKED = {"client_name": "a", "group_name": "g", "role": "r", "group_size": 2, "messageID": "x"}


async def _fill(coordinator: Coordinator, other: Path) -> None:
    """Send something while another file fills the disk, and remove that."""
    assert (await ask(coordinator.address, {**ASKED, "request": "group_data"})) == WAIT
    with suppress(OSError), other.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))
    send = {**ASKED, "request": "lava_send", "message": MESSAGE}
    sending = asyncio.create_task(ask(coordinator.address, send))
    await asyncio.to_thread(_until_logged, coordinator, "the disk takes nothing")
    assert (await ask(coordinator.address, {**ASKED, "request": "lava_sync"})) == WAIT
    assert not sending.done()
    await asyncio.to_thread(other.unlink)
    assert (await sending) == {"response": "ack"}


def _until_logged(coordinator: Coordinator, text: str) -> None:
    """The log is a file of another process: nothing tells that it has grown."""
    deadline_s = time.monotonic() + 20
    while text not in coordinator.log:
        assert time.monotonic() < deadline_s, coordinator.log
        time.sleep(0.02)


async def _siege(coordinator: Coordinator, kills: int, *, passes_again: bool) -> list[Pair]:
    """Have clients use a coordinator that is killed again and again, and check what they know."""
    random, answers, stopped = Random(kills), asyncio.Semaphore(0), asyncio.Event()
    pairs = [
        Pair(f"group{n}", coordinator.address, Random(n), passes_again, answers.release)
        for n in range(_PAIRS)
    ]
    async with asyncio.TaskGroup() as tasks:
        for pair in pairs:
            tasks.create_task(pair.act(stopped.is_set))
        for _ in range(kills):
            for _ in range(random.randint(1, _MOST_ANSWERS)):
                await answers.acquire()
            await asyncio.to_thread(coordinator.kill)
            await asyncio.to_thread(coordinator.start)
        stopped.set()
    for pair in pairs:
        await pair.check()
        await pair.check_ended()
    return pairs
