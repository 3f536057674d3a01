"""What the job's connection has of a line: its output as it comes, and its input."""

from collections.abc import Callable

import anyio

_MOST_BYTES = 1_048_576


class Session:
    """A console as the connection sees it; it ends when the line does, or when it is closed.

    Args:
        send: Types something on the line.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.open = True
        self._send = send
        self._data = bytearray()
        self._ended = False
        self._announced = False
        self._ready: Callable[[], None] | None = None
        self._changed = anyio.Event()

    def heard(self, data: bytes) -> None:
        """Take output of the line; nothing is its end."""
        self._data += data
        self._ended = self._ended or not data
        self._change()
        self._announce()

    async def room(self) -> None:
        """Wait until so much has been taken that more can be kept."""
        while self.open and len(self._data) > _MOST_BYTES:
            await self._changed.wait()

    def announce(self, ready: Callable[[], None] | None) -> None:
        """See `Announcing.announce`."""
        self._ready = ready
        self._announce()

    def take(self) -> bytes:
        """The output that there is; nothing at the end."""
        data = bytes(self._data)
        self._data.clear()
        self._announced = False
        self._change()
        if data:
            self._announce()
        return data

    async def receive(self) -> bytes:
        """The next output; see `Console.receive`."""
        while not self._data and not self._ended:
            await self._changed.wait()
        return self.take()

    def send(self, data: bytes) -> None:
        """Type something; see `Console.send`."""
        if self.open:
            self._send(data)

    def close(self) -> None:
        """End the session, not the line; closing twice is harmless."""
        if self.open:
            self.open = False
            self.heard(b"")

    def _announce(self) -> None:
        if self._ready is not None and not self._announced and (self._data or self._ended):
            self._announced = True
            self._ready()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
