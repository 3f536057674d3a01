"""Runs tools inside of network namespaces that this process has open."""

import contextlib
import os
from collections.abc import Iterator

import anyio
from attrs import frozen

from callboard.actors.drivers.sandboxed import Sandbox

_LIMIT_S = 30.0
_MOST_BYTES = 1_048_576


@frozen
class Inside:
    """A network namespace, and the way into it.

    Attributes:
        sandbox: Whose holder may enter it.
        network: The namespace, as an open file.
    """

    sandbox: Sandbox
    network: int

    @property
    def entering(self) -> tuple[str, ...]:
        """The words that start a program there which then is root's own; only root can."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.network}", "--")

    async def run(self, *command: str, given: str = "", file: int | None = None) -> str:
        """Run a tool there.

        Args:
            command: It and its arguments.
            given: Its input.
            file: An open file, which it finds at `wire.FILE`.

        Returns:
            Its output.

        Raises:
            OSError: It fails, does not end, or isn't there; the text has its first line.
        """
        with memory(given) as source, memory() as output:
            files = (source, output, *([] if file is None else [file]))
            status: int | None = None
            async with self.sandbox.tool(command, self.network, files, inside=True) as tool:
                with anyio.move_on_after(_LIMIT_S):
                    status = await tool.ended()
            said = text_of(output)
        if status is None:
            raise TimeoutError(f"{command[0]} did not end within {_LIMIT_S:g} s")
        if status != 0:
            raise OSError(complaint(command[0], said, status))
        return said

    async def ip(self, *lines: str, file: int | None = None) -> None:
        """Have `ip` carry out lines, in order, up to the first that fails; raises OSError."""
        given = "".join(f"{each}\n" for each in lines)
        await self.run("ip", "-batch", "-", given=given, file=file)


@contextlib.contextmanager
def memory(content: str = "") -> Iterator[int]:
    """A file in memory that can be read from its beginning."""
    file = os.memfd_create("callboard")
    try:
        os.write(file, content.encode())
        os.lseek(file, 0, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def text_of(file: int) -> str:
    """What has been written to such a file."""
    return os.pread(file, _MOST_BYTES, 0).decode(errors="replace")


def complaint(tool: str, said: str, status: int) -> str:
    """What a tool has complained of: the first line of it, after which comes where that was."""
    first = next((each.strip() for each in said.splitlines() if each.strip()), None)
    return f"{tool}: {first or f'exit status {status}'}"
