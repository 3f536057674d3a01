"""A folder, and callboard on the command line in it, with a cluster in the environment."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    """Standard output and error of a command that has ended."""

    out: str
    err: str


class Shell:
    """Starts commands, each in a process of its own.

    Attributes:
        folder: Where they run.
        environment: What they have in it beside our own.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {"CALLBOARD_NATS": url}

    async def __call__(self, *arguments: str, code: int = 0) -> Said:
        """What a command says that exits with a code."""
        async with self.started(*arguments) as process:
            out, err = await process.communicate()
        assert process.returncode == code, err.decode() + out.decode()
        return Said(out.decode(), err.decode())

    @asynccontextmanager
    async def started(
        self, *arguments: str, stdout: int = PIPE, variables: Mapping[str, str] | None = None
    ) -> AsyncIterator[Process]:
        """A command that runs; it is ended, or else killed, with the context."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "callboard", *arguments),
            stdout=stdout,
            stderr=PIPE,
            cwd=self.folder,
            env={**os.environ, **self.environment, **(variables or {})},
        )
        try:
            yield process
        finally:
            await _end(process)


async def line_with(stream: asyncio.StreamReader | None, text: str) -> str:
    """The next line that has a text."""
    assert stream is not None
    async for line in stream:
        if text in line.decode():
            return line.decode()
    raise AssertionError(f"no line has {text!r}")


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(15):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
