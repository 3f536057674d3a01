"""Thousands of clients of LAVA's coordinator protocol in one process, as cheap as Python has them.

Each request has a connection of its own, as a dispatcher's: the client connects, sends, shuts its
side down, reads the reply, and closes.
"""

import errno
import heapq
import json
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from callboard.coordinator.framing import HEADER_LENGTH, frame

Done = Callable[[bytes], None]
"""Takes the JSON text of a reply, or nothing if none came."""

_PIECE = 1 << 16
_AGAIN_S = 0.1


class Clients:
    """The connections of all clients, on one epoll.

    Args:
        port: Where the coordinator listens on loopback.
    """

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._open: dict[int, _Connection] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def close(self) -> None:
        """Give up what is under way."""
        for each in self._open.values():
            each.socket.close()
        self._open.clear()
        self._epoll.close()

    def ask(self, request: bytes, done: Done) -> None:
        """Make a request; `done` is told what comes of it."""
        connection = _Connection(request, done)
        try:
            error = connection.socket.connect_ex(self._address)
        except OSError as failed:
            error = failed.errno or errno.EIO
        if error not in (0, errno.EINPROGRESS):
            connection.socket.close()
            self.later(_AGAIN_S, lambda: self.ask(request, done))
            return
        self._open[connection.socket.fileno()] = connection
        if error:
            self._epoll.register(connection.socket, select.EPOLLOUT)
        else:
            self._epoll.register(connection.socket, select.EPOLLIN)
            self._send(connection)

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call something in so many seconds."""
        heapq.heappush(self._later, (time.monotonic() + delay_s, next(self._numbers), call))

    def run(self, finished: Callable[[], bool], limit_s: float) -> None:
        """Go on until it is finished.

        Raises:
            TimeoutError: It wasn't in time.
        """
        end_s = time.monotonic() + limit_s
        while not finished():
            now_s = time.monotonic()
            if now_s > end_s:
                raise TimeoutError(f"not finished after {limit_s:g} s")
            while self._later and self._later[0][0] <= now_s:
                heapq.heappop(self._later)[2]()
            due_s = self._later[0][0] if self._later else end_s
            for number, events in self._epoll.poll(max(min(due_s, end_s) - now_s, 0.0)):
                self._go_on(self._open[number], events)

    def all(self, requests: Sequence[bytes], at_once: int = 1, limit_s: float = 120.0) -> list[Any]:
        """Make many requests, so many at a time; the replies' documents in the same order."""
        replies: dict[int, Any] = {}
        waiting = iter(enumerate(requests))

        def begin() -> None:
            for place, request in waiting:

                def done(reply: bytes, place: int = place) -> None:
                    replies[place] = json.loads(reply) if reply else None
                    begin()

                self.ask(request, done)
                return

        for _ in range(min(at_once, len(requests))):
            begin()
        self.run(lambda: len(replies) == len(requests), limit_s)
        return [replies[place] for place in range(len(requests))]

    def _go_on(self, connection: "_Connection", events: int) -> None:
        if events & select.EPOLLOUT:
            self._epoll.modify(connection.socket, select.EPOLLIN)
            self._send(connection)
            return
        try:
            piece = connection.socket.recv(_PIECE)
        except OSError:
            piece = b""
        connection.reply += piece
        if not piece or connection.is_whole:
            del self._open[connection.socket.fileno()]
            connection.socket.close()
            connection.done(connection.reply[HEADER_LENGTH:])

    @staticmethod
    def _send(connection: "_Connection") -> None:
        try:
            connection.socket.sendall(connection.request)
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # what is read next tells


class _Connection:
    """A request under way."""

    __slots__ = ("done", "reply", "request", "socket")

    def __init__(self, request: bytes, done: Done) -> None:
        self.socket = socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.request = request
        self.done = done
        self.reply = b""

    @property
    def is_whole(self) -> bool:
        """Whether all of the reply has come."""
        reply = self.reply
        return len(reply) >= HEADER_LENGTH and (
            len(reply) >= HEADER_LENGTH + int(reply[:HEADER_LENGTH], 16)
        )


def request(group: str, client: int, name: str, size: int = 0, **fields: object) -> bytes:
    """A request as it goes over the wire, with all that a dispatcher says of itself."""
    document: Mapping[str, object] = {
        "port": 3079,
        "blocksize": 4096,
        "poll_delay": 1,
        "host": "localhost",
        "hostname": "worker",
        "client_name": str(client),
        "group_name": group,
        "role": "client",
        "request": name,
        **({"group_size": size} if size else {}),
        **fields,
    }
    return frame(document)
