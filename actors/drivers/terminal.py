"""A console on a pseudo-terminal: its processes think that somebody types."""

import asyncio
import contextlib
import os
import termios
from collections import deque

import anyio

_READ_BYTES = 65_536
_MOST_PENDING_BYTES = 1_048_576


class Terminal:
    """The master side of a pseudo-terminal, set to canonical mode without echo.

    Args:
        master: Its descriptor, which this object closes.
    """

    def __init__(self, master: int) -> None:
        self._master = master
        os.set_blocking(master, False)
        self.pass_on()
        self._open = True
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0

    def pass_on(self) -> None:
        """Have the terminal pass on what is written, as it is, and echo nothing."""
        iflag, oflag, cflag, lflag, *rest = termios.tcgetattr(self._master)
        lflag &= ~(termios.ECHO | termios.ECHONL | termios.ECHOCTL)
        oflag &= ~termios.OPOST
        termios.tcsetattr(self._master, termios.TCSANOW, [iflag, oflag, cflag, lflag, *rest])

    async def receive(self) -> bytes:
        """The next output, nothing at the end; see `Console.receive`."""
        while self._open:
            try:
                return os.read(self._master, _READ_BYTES)
            except BlockingIOError:
                with contextlib.suppress(anyio.ClosedResourceError):
                    await anyio.wait_readable(self._master)
            except OSError:  # a terminal whose other side is closed reports EIO
                return b""
        return b""

    def send(self, data: bytes) -> None:
        """Send input without waiting; see `Console.send`."""
        if not self._open:
            return
        if self._pending_bytes + len(data) > _MOST_PENDING_BYTES:
            raise BlockingIOError("the device has stopped reading its console")
        self._pending.append(data)
        self._pending_bytes += len(data)
        if len(self._pending) == 1:
            # Later, together with what is sent to other nodes now: each write wakes a shell,
            # and many of them would leave this process little time to write to the rest.
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what is pending, as far as the device takes it; goes on when it takes more."""
        if not self._open:
            return
        loop = asyncio.get_running_loop()
        while self._pending:
            data = self._pending.popleft()
            try:
                written = os.write(self._master, data)
            except BlockingIOError:
                written = 0
            except OSError:  # the other side is closed; `receive` reports the end
                self._pending.clear()
                break
            self._pending_bytes -= written
            if written < len(data):
                self._pending.appendleft(data[written:])
                loop.add_writer(self._master, self.flush)
                return
        self._pending_bytes = 0
        loop.remove_writer(self._master)

    def close(self) -> None:
        """Close the terminal; its processes get SIGHUP."""
        if not self._open:
            return
        self._open = False
        loop = asyncio.get_running_loop()
        loop.remove_writer(self._master)
        anyio.notify_closing(self._master)
        # Not before whoever waits to read has left: anyio takes back what it had asked of the
        # loop by the descriptor's number, which would by then be another file's.
        loop.call_soon(os.close, self._master)
