"""callboard's side of the sockets to the holder and to nodes; see `wire`."""

import contextlib
import os
import signal
import socket

import anyio

from callboard.actors.drivers.sandbox import wire
from callboard.actors.drivers.sandbox.wire import Done, Failed, Message, Packet, Started

_LONGEST_END_S = 10.0
_RETRY_S = 0.01


async def received(peer: socket.socket) -> Packet:
    """The next message; raises ConnectionResetError at the end."""
    while True:
        try:
            packet = wire.receive(peer)
        except BlockingIOError:
            await anyio.wait_readable(peer)
            continue
        if packet is None:
            raise ConnectionResetError("the sandbox has ended")
        return packet


async def send(peer: socket.socket, message: Message, *files: int) -> None:
    """Send a message, waiting while the peer has too many to read."""
    while True:
        try:
            wire.send(peer, message, *files)
        except BlockingIOError:
            # Not `wait_writable`: a socket has room for one task that waits, and nodes share it.
            await anyio.sleep(_RETRY_S)
        else:
            return


class Channel:
    """The socket to the first process of a node.

    Args:
        peer: It, not blocking; this object closes it.
    """

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._process: int | None = None
        self._lock = anyio.Lock()
        self._unanswered = 0

    async def ready(self) -> Packet:
        """Wait until the node has been made.

        Returns:
            The `Done` of the node, with its network namespace if it has one of its own, which the
            caller has to close.

        Raises:
            OSError: It can't be made.
        """
        done: Packet | None = None
        async with self._lock:
            # The holder and the node speak for themselves, so the node can be first.
            while done is None or self._process is None:
                answer = succeeded(await self._receive())
                match answer.message:
                    case Started():
                        (self._process,) = answer.files
                    case Done():
                        done = answer
                    case _:
                        raise nonsense()
        return done

    async def ask(self, request: Message, *files: int) -> Packet:
        """Have something done; returns the answer, whose files the caller has to close.

        Raises:
            ConnectionError: The node has ended.
            OSError: It can't be done.
        """
        async with self._lock:
            await send(self._peer, request, *files)
            self._unanswered += 1
            while True:
                answer = await self._receive()
                self._unanswered -= 1
                if self._unanswered == 0:
                    return succeeded(answer)
                # That was for one who was cancelled while waiting.
                for file in answer.files:
                    os.close(file)

    async def _receive(self) -> Packet:
        try:
            return await received(self._peer)
        except ConnectionResetError as error:
            raise ConnectionResetError("the node's first process has ended") from error

    def kill(self) -> None:
        """End every process of the node now."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    async def close(self) -> None:
        """End every process of the node, and return when the last one has ended.

        Raises:
            TimeoutError: The kernel holds some of them.
        """
        with contextlib.suppress(OSError):  # the other side can be closed already
            self._peer.shutdown(socket.SHUT_RDWR)
        try:
            await self._end()
        finally:
            # Who still waits for an answer has to leave the socket first.
            with anyio.CancelScope(shield=True):
                async with self._lock:
                    self._peer.close()

    async def _end(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            with anyio.fail_after(_LONGEST_END_S):
                await anyio.wait_readable(process)
        except ProcessLookupError:
            pass
        except TimeoutError as error:
            raise TimeoutError("processes of the node can't be ended") from error
        finally:
            os.close(process)


def succeeded(answer: Packet) -> Packet:
    """The answer; raises OSError when it says that something can't be done."""
    if isinstance(answer.message, Failed):
        raise answer.message.error()
    return answer


def nonsense() -> OSError:
    """What is raised for an answer that nobody has asked for."""
    return OSError("the sandbox gave an answer that makes no sense")
