"""One process's connection to the NATS servers of its cluster.

It lasts: once made, it comes back by itself whatever becomes of the servers, and says in one line
that they are away and in one that they are back. Meanwhile everybody waits.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TypeVar

import anyio
from attrs import define, field

from callboard.cluster.access import Access
from callboard.cluster.alongside import alongside
from callboard.cluster.errors import ClusterError, fault, no_client

try:
    from nats.aio.msg import Msg
    from nats.errors import Error
    from nats.js import JetStreamContext
except ImportError as missing:
    raise no_client(missing) from None

from callboard.cluster.bucket import Bucket  # these need the client
from callboard.cluster.denial import denied, is_denial
from callboard.cluster.founding import look
from callboard.cluster.identity import Identity, read_identity
from callboard.cluster.lasting import FIRST_S, LastingClient
from callboard.cluster.refusals import no_jetstream, reason_of, too_large
from callboard.cluster.stores import LEASE_S, RETENTION_S, stream_of

T = TypeVar("T")

_CLOSE_S = 2.0

_OTHERS_S = 1.0
"""How long those are still waited for whose requests may be allowed, when one is forbidden."""

_MOST_SAID = 1000
"""How many different lines are said once: some are on what others write, who may never stop."""


@define(eq=False)
class _Asker:
    """Somebody who waits for an answer, and what was forbidden meanwhile."""

    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    denied: ClusterError | None = None


@define(eq=False)
class Cluster:
    """A cluster that this process is connected to.

    Attributes:
        nc: The connection.
        js: JetStream on it.
        access: How it was reached.
        identity: Who we are there.
        note: Takes a line for the user, about the connection.
        lease_s: Seconds after which an entry without a heartbeat is gone.
        retention_s: Seconds for which groups and logs are kept.
        connected: Whether the servers can be reached now, as far as we know.
        since_s: When that last changed, by the event loop's clock.
    """

    nc: LastingClient
    js: JetStreamContext
    access: Access
    identity: Identity
    note: Callable[[str], None]
    lease_s: float = LEASE_S
    retention_s: float = RETENTION_S
    connected: bool = True
    since_s: float = field(factory=anyio.current_time)
    _listeners: list[Callable[[bool], None]] = field(factory=list[Callable[[bool], None]])
    _here: dict[str, Callable[[str, bytes], None]] = field(
        factory=dict[str, Callable[[str, bytes], None]]
    )
    _outgoing: deque[tuple[str, bytes]] = field(factory=deque[tuple[str, bytes]])
    _posted: anyio.Event = field(factory=anyio.Event)
    _said: set[str] = field(factory=set[str])
    _askers: "set[_Asker]" = field(factory=set["_Asker"])
    _leaving: bool = False

    @property
    def limit_bytes(self) -> int:
        """The size of the largest message that the servers take."""
        return self.nc.max_payload

    def bucket(self, name: str) -> Bucket:
        """A bucket of `subjects`; asks the server nothing."""
        return Bucket(name, stream_of(name), f"$KV.{name}.", self.js, direct=True)

    def listen(self, call: Callable[[bool], None]) -> Callable[[], None]:
        """Call with True when the servers are back, with False when they are away.

        Returns:
            What ends it.
        """
        self._listeners.append(call)
        return lambda: self._listeners.remove(call)

    @contextmanager
    def each_time_back(self, call: Callable[[], None]) -> Iterator[None]:
        """Call this whenever the servers have been away and are back."""
        forget = self.listen(lambda there: call() if there else None)
        try:
            yield
        finally:
            forget()

    @contextmanager
    def here(self, subject: str, call: Callable[[str, bytes], None]) -> Iterator[None]:
        """Take what this process posts to a subject, which then doesn't go over the servers.

        Args:
            subject: The subject; its last part may be `*`.
            call: Called with subject and data, in order, a turn of the event loop later.
        """
        self._here[subject] = call
        try:
            yield
        finally:
            if self._here.get(subject) is call:
                del self._here[subject]

    @asynccontextmanager
    async def taking(
        self, subject: str, take: Callable[[str, bytes], None], here: str
    ) -> AsyncIterator[None]:
        """Take what comes to a subject while the context is open.

        Args:
            subject: The subject.
            take: Called with subject and data of each message, in order.
            here: The part of it that is from this process, see `here`.
        """

        async def arrive(message: Msg) -> None:
            take(message.subject, message.data)

        subscription = await self.nc.subscribe(subject, cb=arrive)
        try:
            with self.here(here, take):
                yield
        finally:
            with anyio.CancelScope(shield=True), suppress(Error):
                await subscription.unsubscribe()

    def post(self, subject: str, data: bytes) -> None:
        """Publish soon and in order, without waiting for anything.

        It is for who sends again what was not answered: what finds the buffer for a server that
        is away full is dropped.

        Raises:
            ClusterError: It is too large for the servers.
        """
        if len(data) > self.limit_bytes:
            raise too_large(len(data), self.limit_bytes)
        if self._here:
            call = self._here.get(subject) or self._here.get(f"{subject.rpartition('.')[0]}.*")
            if call is not None:
                asyncio.get_running_loop().call_soon(self._hand_over, call, subject, data)
                return
        self._outgoing.append((subject, data))
        self._posted.set()

    def _hand_over(self, call: Callable[[str, bytes], None], subject: str, data: bytes) -> None:
        try:
            call(subject, data)
        except Exception as error:  # as one of what takes what comes from a server
            self.say_once(fault(error))

    async def ask(self, subject: str, data: bytes) -> bytes | None:
        """The answer of whoever answers on a subject; None when nobody does within a lease."""
        try:
            return (await self.nc.request(subject, data, timeout=self.lease_s)).data
        except (Error, OSError):
            return None

    async def wait_connected(self) -> None:
        """Return as soon as the servers can be reached."""
        if self.connected:
            return
        back = anyio.Event()
        forget = self.listen(lambda there: back.set() if there else None)
        try:
            await back.wait()
        finally:
            forget()

    async def run(self) -> None:
        """Send what is posted; `connect` runs it.

        Raises:
            ClusterError: The server has ended the connection for good.
        """
        while True:
            await self._posted.wait()
            if self.nc.is_closed:
                raise _ended(self)
            self._posted = anyio.Event()
            while self._outgoing:
                with suppress(Error):  # full, or closed
                    await self.nc.publish(*self._outgoing.popleft())

    async def permitted(self, request: Awaitable[T]) -> T:
        """The answer to a request that the servers may forbid.

        What is forbidden is never answered; what comes instead is an error of the connection.

        Raises:
            ClusterError: It is forbidden.
            nats.errors.Error: Whatever the request raises.
        """
        asker = _Asker()
        self._askers.add(asker)
        try:
            with asker.scope:
                answer = await request
                if asker.denied is not None:  # something else was
                    self.say_once(asker.denied.text)
                return answer
        except Error:
            if asker.denied is None:
                raise
        finally:
            self._askers.remove(asker)
        assert asker.denied is not None, "else nobody has given the scope an end"
        raise asker.denied

    async def answered(self, request: Awaitable[T]) -> T:
        """The answer to a request of JetStream that is not made again.

        Raises:
            ClusterError: It is forbidden, or JetStream doesn't answer.
        """
        try:
            return await self.permitted(request)
        except Error as error:
            if "no responders" in str(error):
                raise no_jetstream() from error
            text = f"JetStream does not answer at {self.access.shown}: {reason_of(error)}"
            raise ClusterError("CB272", text, "see the log of the NATS server") from error

    async def dial(self, name: str) -> None:
        """Make the connection; `connect` does, and `hang_up` ends it."""
        await self.nc.dial(
            self.access,
            name=name,
            inbox=self.identity.inbox,
            disconnected=self._on_disconnected,
            reconnected=self._on_reconnected,
            closed=self._on_closed,
            failed=self._on_error,
        )
        self.since_s = anyio.current_time()

    async def hang_up(self) -> None:
        """Close the connection, as far as that is possible within a moment."""
        self._leaving = True
        with anyio.move_on_after(_CLOSE_S, shield=True), suppress(Exception):
            await self.nc.hang_up()

    def say_once(self, text: str) -> None:
        """Note a line that would say nothing new a second time."""
        if text not in self._said and len(self._said) < _MOST_SAID:
            self._said.add(text)
            self.note(text)

    async def _on_disconnected(self) -> None:
        if self.connected and not self._leaving:
            self._become(connected=False)
            self.note("NATS is unreachable; everything waits")

    async def _on_reconnected(self) -> None:
        if not self.connected:
            self._become(connected=True)
            self.note("NATS is back")

    async def _on_closed(self) -> None:
        self._posted.set()  # `run` says so

    async def _on_error(self, error: Exception) -> None:
        if is_denial(str(error)):
            self._deny(denied(str(error), self.access, self.identity.kind))
        elif not isinstance(error, Error | OSError | EOFError):
            self.say_once(fault(error))  # what takes a message has raised it, and goes on

    def _deny(self, error: ClusterError) -> None:
        """Tell those who ask; who then gets no answer is whom it was said to."""
        for asker in self._askers:
            asker.denied = error
            asker.scope.deadline = anyio.current_time() + _OTHERS_S
        if not self._askers:
            self.say_once(error.text)

    def _become(self, *, connected: bool) -> None:
        self.connected = connected
        self.since_s = anyio.current_time()
        for call in tuple(self._listeners):
            call(connected)


@asynccontextmanager
async def connect(
    access: Access,
    *,
    name: str,
    note: Callable[[str], None],
    make: bool = True,
    init: bool = False,
) -> AsyncIterator[Cluster]:
    """Be connected to a cluster.

    Args:
        access: Where it is.
        name: Of this process, for those who look at the server.
        note: Takes a line for the user when the servers are away, are back, or refuse something.
        make: Make what the cluster keeps on the servers where it is missing, unless the
            credentials are of a member who may not.
        init: Be content with a server that has no cluster yet, see `founding`.

    Raises:
        ClusterError: There is no server, it lets us in not at all or not as far as needed, it is
            too old, or the cluster is one of another version; later, that the server has ended
            the connection for good.
    """
    access.check()
    identity = read_identity(access.creds) if access.creds else Identity()
    make = make and identity.kind in (None, "leader")
    logging.getLogger("nats").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").addFilter(_is_for_users)
    client = LastingClient()
    js = client.jetstream(timeout=FIRST_S, prefix=identity.api)
    cluster = Cluster(client, js, access, identity, note)
    try:
        await cluster.dial(name)
        if not init:
            cluster.lease_s, cluster.retention_s = await look(cluster, make=make)
        async with alongside(cluster.run):
            yield cluster
    finally:
        await cluster.hang_up()


def _is_for_users(record: logging.LogRecord) -> bool:
    """Whether a line of asyncio's log is not about how the client library ends TLS."""
    return "eof_received() has no effect" not in record.getMessage()


def _ended(cluster: Cluster) -> ClusterError:
    error = cluster.nc.last_error
    reason = reason_of(error) if error is not None else "no reason was given"
    text = f"the NATS server at {cluster.access.shown} has ended the connection: {reason}"
    return ClusterError("CB270", text, "see the log of the NATS server")
