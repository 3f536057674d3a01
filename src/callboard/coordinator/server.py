"""Listens to the clients of LAVA's coordinator protocol, and answers them.

Nothing that a peer does keeps others waiting. A connection has one request and limited time, and
where there are too many, those give way that have not said for the longest what they want: a
client sends its request at once. If the machine has no descriptors left the same happens, and
when nobody can give way, whoever comes is turned away until there are some again.
"""

import asyncio
import errno
import fcntl
import os
import resource
import select
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from socket import socket

import anyio
from attrs import frozen

from callboard.coordinator.admission import Admission, Origin
from callboard.coordinator.connection import Connection
from callboard.coordinator.desk import Desk, Keeper, Witness
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.hall import Hall
from callboard.coordinator.listening import BACKLOG, listeners
from callboard.coordinator.refusals import Refusals, place
from callboard.coordinator.spare import Spare
from callboard.coordinator.terms import Terms

_SHORT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_MANY = 1 << 20
_PAUSE_S = 0.05
_SAY_AGAIN_S = 60.0
_OWN_DESCRIPTORS = 64
"""How many descriptors are left for the log, the disk and whoever asks for the state."""


@frozen
class Statistics:
    """How a server is doing.

    Attributes:
        connections: How many there are.
        reading: How many of them have not said yet what they want.
        held: How many of them have their answer held back.
        answering: How many of them wait for the disk, or don't take their answer.
        accepted: How many there were since it began.
        refused: How much was refused since it began.
    """

    connections: int
    reading: int
    held: int
    answering: int
    accepted: int
    refused: int


class Server:
    """Answers each connection's request, one a connection.

    It is made, used and closed on a running loop.

    Args:
        exchange: The groups.
        terms: What is granted to clients.
        say: Takes what the log is to say.
        keeper: What writes changes down; None if nothing is to survive.
        witness: Told of each request that was served.

    Attributes:
        desk: Where requests are served; for those that come from no client, too.
    """

    def __init__(
        self,
        exchange: Exchange,
        terms: Terms,
        say: Say,
        keeper: Keeper | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._say = say
        self._refusals = Refusals(self._loop, say)
        self.desk = Desk(exchange, self._loop, say, keeper, witness, terms.pending_bytes)
        self._hall = Hall(terms, self._loop, self.desk, self._refusals)
        self._admission: Admission[Connection] = Admission(terms)
        self._connections: set[Connection] = set()
        self._limit = max(min(terms.connections, _descriptors() - _OWN_DESCRIPTORS), 1)
        self._listeners: list[socket] = []
        self._accepted = 0
        self._spare = Spare()
        self._said_short_s: float | None = None
        self._empty: anyio.Event | None = None
        self._closed = False

    def listen(self, hosts: Sequence[str], port: int) -> None:
        """Begin to serve.

        Args:
            hosts: Names or addresses to listen on.
            port: The port; 0 for a free one, see `addresses`.

        Raises:
            AddressError: It can't be listened there.
        """
        self._listeners = listeners(hosts, port)
        if self._limit < (wanted := self._hall.terms.connections):
            text = f"at most {self._limit} connections, not {wanted}: more files can't be open"
            self._say(Fact("few-files", text, "warning", {"connections": self._limit}))
        for listener in self._listeners:
            _reserve(listener, self._limit + _OWN_DESCRIPTORS)
            self._welcome(listener)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Where it listens: host and port."""
        return tuple(each.getsockname()[:2] for each in self._listeners)

    @property
    def statistics(self) -> Statistics:
        """How it is doing now."""
        hall = self._hall
        return Statistics(
            len(self._connections),
            len(hall.reading),
            len(hall.held),
            len(hall.answering),
            self._accepted,
            self._refusals.total,
        )

    async def close(self, grace_s: float = 5.0) -> None:
        """Take no new connections, answer those whose requests are there, and let go of the rest.

        Who is held is told to ask again. The second time nothing happens.

        Args:
            grace_s: How long that may take, in seconds; cancelled, it takes no longer.
        """
        if self._closed:
            return
        self._closed = True
        for listener in self._listeners:
            self._hall.watch.forget(listener.fileno())
            for _ in range(BACKLOG):
                if not self._accept(listener):
                    break
            listener.close()
        self._listeners.clear()
        for held in [*self._hall.held]:
            held.send_home()
        for reading in [*self._hall.reading]:
            if not reading.begun:
                reading.cut("")
        try:
            if self._connections:
                self._empty = anyio.Event()
                with anyio.move_on_after(grace_s):
                    await self._empty.wait()
        finally:
            for left in [*self._connections]:
                left.cut("the coordinator ends")
            self._hall.close()
            self._refusals.close()
            self._spare.close()

    # Those who come

    def _welcome(self, listener: socket) -> None:
        self._hall.watch.data(listener.fileno(), partial(self._accept, listener))

    def _accept(self, listener: socket) -> bool:
        """Let one in who waits there; whether there may be more."""
        try:
            sock, address = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            if error.errno not in _SHORT:
                return True  # this peer has gone already, or the network to it has
            if not _waits(listener):
                return False  # without a descriptor the kernel doesn't look whether anybody comes
            self._run_short(error)
            if self._make_room() or self._spare.turn_away(listener):
                return True
            self._pause(listener)
            return False
        sock.setblocking(False)
        self._accepted += 1
        self._enter(sock, (address[0], address[1]))
        return True

    def _enter(self, sock: socket, peer: tuple[str, int]) -> None:
        origin = self._admission.origin(peer[0])
        why = self._refusal(origin, sock, peer[0])
        if why:
            self._refusals.note(origin.name, place(*peer), why)
            sock.close()
            return
        connection = Connection(sock, peer, origin, self._hall, self._leave)
        self._connections.add(connection)
        self._admission.enter(connection, origin)
        connection.begin()

    def _refusal(self, origin: Origin[Connection], sock: socket, host: str) -> str:
        """Why a connection from there is turned away; empty if it isn't."""
        # Who comes from the very address where it arrives is on this machine.
        if not origin.allowed and sock.getsockname()[0] != host:
            return "it is in none of the networks that are allowed"
        if self._admission.full(origin) and not _give_way(origin.connections):
            return f"it has {len(origin.connections)} connections, which is the most"
        if len(self._connections) >= self._limit and not self._make_room():
            return f"there are {self._limit} connections, which is the most"
        return ""

    def _leave(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._admission.leave(connection, connection.origin)
        if self._empty is not None and not self._connections:
            self._empty.set()

    # Too many of them

    def _make_room(self) -> bool:
        """Have somebody leave who loses little by it; False if nobody does."""
        reading = self._hall.reading.first
        if reading is not None:
            return reading.give_way()
        return any(held.give_way() for held in [*self._hall.held][:1])

    def _run_short(self, error: OSError) -> None:
        now_s = self._loop.time()
        if self._said_short_s is None or now_s >= self._said_short_s + _SAY_AGAIN_S:
            self._said_short_s = now_s
            text = (
                f"{error.strerror}, with {len(self._connections)} connections: "
                "who has not asked yet gives way to who comes"
            )
            self._say(Fact("short", text, "error", {"connections": len(self._connections)}))

    def _pause(self, listener: socket) -> None:
        self._hall.watch.forget(listener.fileno())
        self._loop.call_later(_PAUSE_S, self._go_on, listener)

    def _go_on(self, listener: socket) -> None:
        if listener in self._listeners:
            self._welcome(listener)


def _give_way(connections: "dict[Connection, None]") -> bool:
    """Whether one of an origin's connections could be had to leave."""
    for stage in ("reading", "held"):
        for each in connections:
            if each.stage == stage:
                return each.give_way()
    return False


def _waits(listener: socket) -> bool:
    """Whether a connection waits to be accepted."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    return bool(poll.poll(0))


def _reserve(listener: socket, descriptors: int) -> None:
    """Have the kernel make room for so many descriptors now, and not while clients wait.

    Whenever there are twice as many as before, a process with threads is held up for tens of
    milliseconds; meanwhile those who come fill the listener's queue, and are lost for a second.
    """
    with suppress(OSError):
        os.close(fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, descriptors - 1))


def _descriptors() -> int:
    """How many files the process may have open: as many as it is allowed to ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return _MANY if soft == resource.RLIM_INFINITY else soft
