"""A server on loopback that answers connections as a script says, whatever comes."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream
from attrs import define, field

from callboard.coordinator.client import Address
from callboard.coordinator.framing import HEADER_LENGTH, frame

ACK = frame({"response": "ack"})
NACK = frame({"response": "nack"})
WAIT = frame({"response": "wait"})


@define(eq=False)
class Peer:
    """What is there of the server.

    Attributes:
        address: Where it listens.
        script: What each connection is answered, one after the other; the last one for ever.
        asked: The requests that came, in that order.
        most: How many connections there were at most at a time.
        held: If it isn't set, no connection is answered.
        end: Has nobody listen any more.
    """

    address: Address
    script: list[bytes]
    asked: list[Any] = field(factory=list[Any])
    most: int = 0
    held: anyio.Event = field(factory=anyio.Event)
    end: Callable[[], Awaitable[None]] = field(kw_only=True)
    _now: int = 0
    _arrived: anyio.Event = field(factory=anyio.Event)

    async def arrived(self, count: int) -> None:
        """Wait until so many requests have come."""
        while len(self.asked) < count:
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def serve(self, stream: SocketStream) -> None:
        """One connection: read up to the end, answer byte by byte, close."""
        self._now += 1
        self.most = max(self.most, self._now)
        async with stream:
            request = bytearray()
            while True:  # a client shuts its side down when it has asked
                try:
                    request += await stream.receive()
                except anyio.EndOfStream:
                    break
            self.asked.append(json.loads(request[HEADER_LENGTH:]))
            assert int(request[:HEADER_LENGTH], 16) == len(request) - HEADER_LENGTH
            self._arrived.set()
            await self.held.wait()
            reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            with suppress(anyio.BrokenResourceError):  # who asked may have gone
                for each in reply:
                    await stream.send(bytes([each]))
        self._now -= 1


@asynccontextmanager
async def answering(*script: bytes, held: bool = False, port: int = 0) -> AsyncIterator[Peer]:
    """The server, as long as the context is open; on any port, or on one."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    port = listener.extra(SocketAttribute.local_port)
    serving, ended = anyio.CancelScope(), anyio.Event()

    async def end() -> None:
        serving.cancel()
        await ended.wait()

    peer = Peer(Address("127.0.0.1", port), [*script], end=end)
    if not held:
        peer.held.set()

    async def serve() -> None:
        async with listener:
            with serving:
                await listener.serve(peer.serve)
        ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        try:
            yield peer
        finally:
            tasks.cancel_scope.cancel()
