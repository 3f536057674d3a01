"""Tools end in time, say all that they print, and leave nothing."""

import os
import select
import sys
from typing import BinaryIO

import anyio
import pytest

from callboard.actors.drivers.tool import ToolTimeout, feed, run_tool

pytestmark = pytest.mark.asyncio


async def test_a_tool_gives_its_status_and_both_outputs() -> None:
    ran = await run_tool(["sh", "-c", "echo out; echo err >&2; exit 3"], limit_s=10)
    assert (ran.status, ran.output, ran.errors) == (3, "out\n", "err\n")


async def test_lines_are_said_as_they_come_and_the_last_one_needs_no_end() -> None:
    said: list[str] = []
    await run_tool(["sh", "-c", "echo one; echo; printf two"], limit_s=10, said=said.append)
    assert said == ["one", "two"]


async def test_what_a_tool_reads_is_what_it_is_given() -> None:
    assert (await run_tool(["cat"], limit_s=10, stdin=b"x" * 200_000)).output == "x" * 200_000
    assert (await run_tool(["cat"], limit_s=10)).output == ""


async def test_a_tool_sees_its_own_variables_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    ran = await run_tool(["env"], limit_s=10, variables={"OWN": "1"})
    assert "OWN=1\n" in ran.output
    assert "SECRET" not in ran.output


async def test_a_tool_that_does_not_end_is_ended_with_its_children() -> None:
    said: list[str] = []
    script = "sh -c 'trap \"\" TERM; echo $$; exec sleep 4711' & wait"
    with pytest.raises(ToolTimeout, match=r"^sh did not end within 0\.3 s$"):
        await run_tool(["sh", "-c", script], limit_s=0.3, said=said.append)
    [child] = said
    _await_death(int(child))


async def test_a_tool_that_is_cancelled_is_ended_with_its_children() -> None:
    children: list[int] = []
    started = anyio.Event()

    def said(line: str) -> None:
        children.append(int(line))
        started.set()

    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            script = "sleep 4711 & echo $!; wait"
            await run_tool(["sh", "-c", script], limit_s=60, said=said)

        tasks.start_soon(run)
        await started.wait()
        tasks.cancel_scope.cancel()
    _await_death(children[0])


async def test_who_is_left_behind_with_the_outputs_is_not_waited_for() -> None:
    with anyio.fail_after(5):
        ran = await run_tool(["sh", "-c", "sleep 4711 & echo $!"], limit_s=60)
    os.kill(int(ran.output), 9)
    assert ran.status == 0


async def test_a_tool_is_fed_while_it_reads() -> None:
    def write(stream: BinaryIO) -> None:
        stream.writelines(b"x" * 100_000 for _ in range(100))

    assert (await feed(["wc", "-c"], write, limit_s=30)).output == "10000000\n"


async def test_who_feeds_a_tool_that_does_not_read_stops_with_it() -> None:
    def write(stream: BinaryIO) -> None:
        while True:
            stream.write(b"x" * 100_000)

    with anyio.fail_after(30):
        ran = await feed(["sh", "-c", "echo full >&2; exit 1"], write, limit_s=30)
        assert (ran.status, ran.errors) == (1, "full\n")
        with pytest.raises(FileNotFoundError, match="no-such-tool"):
            await feed(["no-such-tool"], write, limit_s=30)
        with pytest.raises(ToolTimeout):
            await feed(["sleep", "4711"], write, limit_s=0.1)
        async with anyio.create_task_group() as tasks:

            def cancel(stream: BinaryIO) -> None:
                anyio.from_thread.run_sync(tasks.cancel_scope.cancel)
                write(stream)

            await feed(["sleep", "4711"], cancel, limit_s=30)


async def test_what_a_tool_can_not_be_fed_is_said_as_it_is() -> None:
    def write(stream: BinaryIO) -> None:
        stream.write(b"half")
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        await feed(["sh", "-c", "cat; exit 1"], write, limit_s=30)


async def test_a_missing_tool_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-tool"):
        await run_tool(["no-such-tool"], limit_s=1)


async def test_of_a_flood_the_end_is_kept() -> None:
    script = "import sys; sys.stdout.write('x' * 3_000_000 + 'end')"
    ran = await run_tool([sys.executable, "-c", script], limit_s=30)
    assert len(ran.output) == 1_048_576
    assert ran.output.endswith("xend")


def _await_death(pid: int) -> None:
    """Wait until a process that was killed has ended; an orphan may be buried later."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 10)[0], f"the process {pid} lives on"
    finally:
        os.close(descriptor)
