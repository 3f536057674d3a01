"""The console of a simulated device: bytes both ways, as on a real one."""

import asyncio
from collections.abc import Callable

import anyio


class SimulatedConsole:
    """A session with a simulated device.

    Args:
        typed: Is given each line that is sent to the device, without its end.
    """

    def __init__(self, typed: Callable[[str], None]) -> None:
        self._typed = typed
        self._partial = b""
        self._output: list[bytes] = []
        self._ready: Callable[[], None] | None = None
        self._announced = False
        self._closed = False

    def announce(self, ready: Callable[[], None] | None) -> None:
        """See `Announcing`."""
        self._ready = ready
        self._announced = False
        if self._output or self._closed:
            self._wake()

    def take(self) -> bytes:
        """See `Announcing`."""
        data = b"".join(self._output)
        self._output.clear()
        self._announced = False
        if data and self._closed:
            self._wake()
        return data

    async def receive(self) -> bytes:
        """The next output; waits for it, and returns nothing at the end of the session."""
        while not (self._output or self._closed):
            news = anyio.Event()
            self.announce(news.set)
            await news.wait()
        return self.take()

    def send(self, data: bytes) -> None:
        """Type on the device's keyboard."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if not self._closed:
                self._typed(line.decode())

    def print(self, *lines: str) -> None:
        """Show lines, each with an end as a terminal makes it."""
        if lines and not self._closed:
            self._output.append("".join(f"{line}\r\n" for line in lines).encode())
            self._wake()

    def close(self) -> None:
        """End the session; what has been printed is still received."""
        if not self._closed:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        if self._ready is not None and not self._announced:
            self._announced = True
            # Not at once: what the device has been told may not be answered before those who
            # told it have gone on.
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        if self._ready is not None:
            self._ready()
