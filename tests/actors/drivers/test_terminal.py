"""Terminals: one that ends disturbs nobody else, and one that is interrupted goes on."""

import os
import subprocess

import anyio
import anyio.lowlevel
import pytest

from callboard.actors.drivers.local import COMMAND_LOOP
from callboard.actors.drivers.terminal import Terminal

pytestmark = pytest.mark.asyncio


async def test_who_waits_for_the_next_file_is_not_forgotten_when_a_terminal_is_closed() -> None:
    master, slave = os.openpty()
    terminal = Terminal(master)
    ended = anyio.Event()

    async def read() -> None:
        assert await terminal.receive() == b""
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await anyio.wait_all_tasks_blocked()
        terminal.close()
        reader, writer = os.pipe()  # has the terminal's number if that is free already
        os.write(writer, b"x")
        with anyio.fail_after(20):
            await anyio.wait_readable(reader)
            await ended.wait()
    for each in (reader, writer, slave):
        os.close(each)


@pytest.mark.parametrize("shell", ["dash", "bash", "bash --posix", "busybox sh"])
async def test_an_interrupt_between_two_commands_ends_no_shell(shell: str) -> None:
    master, slave = os.openpty()
    script = f"{COMMAND_LOOP}; echo over"
    process = subprocess.Popen(  # noqa: ASYNC220 - a fork, which is over in milliseconds
        ["setsid", "--ctty", *shell.split(), "-c", script], stdin=slave, stdout=slave, stderr=slave
    )
    terminal = Terminal(master)
    try:
        terminal.send(b"echo begun\n")
        await _until(terminal, b"begun\n")
        for number in range(50):  # in most rounds the shell is at its `read` again
            terminal.send(b"half a line\x03")
            await anyio.lowlevel.checkpoint()  # so that the ^C is written by itself
            terminal.send(b"echo %d\n" % number)
            assert await _until(terminal, b"%d\n" % number) == b"%d\n" % number
        terminal.send(b"\x04")
        assert await _until(terminal, b"over\n") == b"over\n"
    finally:
        terminal.close()
        os.close(slave)
        process.kill()
        process.wait()


async def _until(terminal: Terminal, end: bytes) -> bytes:
    """What a terminal shows, up to an end."""
    shown = b""
    with anyio.fail_after(20):
        while not shown.endswith(end) and (data := await terminal.receive()):
            shown += data
    return shown
