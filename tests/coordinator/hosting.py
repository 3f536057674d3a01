"""A server of the coordinator's protocol in a thread, and what clients do to it with sockets."""

import asyncio
import queue
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self, TypeVar

import anyio
from attrs import define, field
from tests.coordinator.real import ask

from callboard.coordinator.desk import Keeper
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact
from callboard.coordinator.framing import frame
from callboard.coordinator.server import Server, Statistics
from callboard.coordinator.terms import Terms

R = TypeVar("R")

PATIENCE_S = 20.0
"""How long something that has to happen may take on a slow machine."""


@define(eq=False)
class Host:
    """A server on loopback, until left.

    Attributes:
        terms: What it grants.
        keeper: Where it writes changes down.
        exchange: Its groups.
        facts: What its log says.
        host: Where it listens.
    """

    terms: Terms = field(factory=Terms)
    keeper: Keeper | None = None
    exchange: Exchange = field(factory=Exchange)
    facts: "queue.Queue[Fact]" = field(factory=queue.Queue)
    host: str = "127.0.0.1"
    _begun: threading.Event = field(factory=threading.Event)
    _ended: "asyncio.Event | None" = None
    _loop: "asyncio.AbstractEventLoop | None" = None
    _server: "Server | None" = None
    _address: tuple[str, int] | None = None
    _thread: "threading.Thread | None" = None
    _failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        assert self._begun.wait(PATIENCE_S)
        return self

    def end(self) -> None:
        """Have it end in order; whoever leaves waits for that."""
        assert self._loop is not None
        assert self._ended is not None
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._ended.set)

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self.end()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        assert self._failure is None, self._failure

    def _live(self) -> None:
        try:
            anyio.run(self._serve)
        except BaseException as failure:  # for the thread of the test
            self._failure = failure
            self._begun.set()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._server = Server(self.exchange, self.terms, self.facts.put, self.keeper)
        self._server.listen([self.host], 0)
        self._address = self._server.addresses[0]
        self._begun.set()
        await self._ended.wait()
        await self._server.close()
        assert self._server.statistics.connections == 0

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._address is not None
        return self._address

    def within(self, call: Callable[[], R]) -> R:
        """Call something on its loop."""

        async def called() -> R:
            return call()

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(called(), self._loop).result(PATIENCE_S)

    @property
    def server(self) -> Server:
        """For what is done on its loop."""
        assert self._server is not None
        return self._server

    @property
    def statistics(self) -> Statistics:
        """How it is doing, once it has nothing left to do."""
        return self.within(lambda: self.server.statistics)

    def until(self, so: Callable[[Statistics], bool]) -> None:
        """Wait until its figures are like this."""
        assert self._loop is not None

        async def waited() -> None:
            while not so(self.server.statistics):  # noqa: ASYNC110 - figures tell nobody that they change
                await asyncio.sleep(0.005)

        asyncio.run_coroutine_threadsafe(waited(), self._loop).result(PATIENCE_S)

    # What clients do

    def ask(self, request: str, client: str = "1", **fields: object) -> Any:
        """Make a request of the group "g" of two, and return the reply."""
        return ask(self.address, document(request, client, **fields))

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from that address, on which nothing was sent yet."""
        return socket.create_connection(self.address, PATIENCE_S, (source, 0))

    def asked(self, request: str, client: str = "1", **fields: object) -> socket.socket:
        """A connection on which a request was made, as a dispatcher does; its reply is to come."""
        connection = self.connect()
        connection.sendall(frame(document(request, client, **fields)))
        connection.shutdown(socket.SHUT_WR)
        return connection

    def refusal(self) -> Fact:
        """The next refusal of the log."""
        while (fact := self.facts.get(timeout=PATIENCE_S)).kind != "refused":
            pass
        return fact


def document(request: str, client: str = "1", **fields: object) -> Mapping[str, object]:
    """A request of a client of the group "g" of two."""
    own = {"client_name": client, "group_name": "g", "role": "r", "hostname": "w"}
    return {"request": request, "group_size": 2, "poll_delay": 1, **own, **fields}


def rest(connection: socket.socket) -> bytes:
    """All that still comes, until the other side closes or breaks the connection."""
    with connection:
        try:
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))
        except ConnectionResetError:
            return b""


def reset(connection: socket.socket) -> None:
    """Break a connection at once."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
