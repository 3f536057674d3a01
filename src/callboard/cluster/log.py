"""The log of a group: a stream that one leader at a time may write.

Lines are published in batches, one message each, and every batch says which one it follows: the
server takes it only if that is the last of the group. So who has been deposed can't write, however
late it wakes up. While a batch is on its way the lines of the next one gather.

The lines are one stream of bytes: a line that is longer than a message may be goes on in the next
one. A leader that dies in the middle of a line leaves a part, which readers leave out.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Protocol

from attrs import frozen
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, MaxPayloadError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from callboard.cluster import subjects
from callboard.cluster.errors import ClusterError, Fenced

CONTINUES = "Callboard-Continues"
"""Header of a batch that begins within a line."""

ACK_S = 2.0
"""Seconds after which a batch is published again whose acknowledgement hasn't come."""

TURNS = 3
"""Turns of the event loop that a line waits for those that come of the same cause: what an actor is
told now it answers some turns later, and a batch of its own would take as long as the first."""

_HEADERS_BYTES = 1024
"""What is left of the largest message for its subject and headers; all of ours take less."""

_MOST_BYTES = 1024 * 1024
"""A batch is no larger, where the server would take more: readers hold one at a time."""

_ID = "Nats-Msg-Id"
_AFTER = "Nats-Expected-Last-Subject-Sequence"

_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5

ROOM = "give the stream or the account more room, or let old logs expire"

NO_STREAM = 10059
"""Error code of the server: it has no such stream."""

_WRONG_LAST = 10071
_FULL = frozenset({10002, 10023, 10028, 10047, 10054})
"""Error codes of the server: no more memory or storage, for the account or at all; a message is
larger than the stream takes."""

_NOT_STORED = 10077
"""Error code of the server: whatever the stream's store says, its limits among others."""

_LIMITS = ("maximum ", "no space")


class Connected(Protocol):
    """A connection to the cluster."""

    @property
    def nc(self) -> Client:
        """The connection."""

    @property
    def js(self) -> JetStreamContext:
        """Its streams."""


def is_full(error: APIError) -> bool:
    """Whether the servers have no room; a store that is just being closed is another matter."""
    said = (error.description or "").lower()
    return error.err_code in _FULL or (error.err_code == _NOT_STORED and said.startswith(_LIMITS))


@frozen
class _Batch:
    """What one message carries.

    Attributes:
        data: The lines.
        lines: How many lines it completes.
        continues: Whether it begins within a line.
    """

    data: bytes
    lines: int
    continues: bool = False


class LogWriter:
    """Writes the log of a group, as long as nobody else does.

    First `begin`, then let `run` run in a task. What is appended when it has failed is dropped.

    Attributes:
        last: Sequence number of the last message of the log, as far as is known.
        position: How many lines have been appended.
        stored: How many of them the servers have stored.
    """

    def __init__(self, cluster: Connected, group: str, last: int = 0) -> None:
        """Prepare to write.

        Args:
            cluster: The connection.
            group: The group's id.
            last: Sequence number of the last message of its log; 0 for none.
        """
        self.last = last
        self.position = 0
        self.stored = 0
        self._nc = cluster.nc
        self._js = cluster.js
        self._group = group
        self._subject = subjects.log(group)
        self._name = secrets.token_hex(8)  # tells our batches from those of others
        self._lines: deque[bytes] = deque()
        self._offset = 0  # what of the first line is in a batch already
        self._wanted = asyncio.Event()
        self._calls: deque[tuple[int, Callable[[], None]]] = deque()
        self._flushes: set[asyncio.Future[None]] = set()
        self._failure: Exception | None = None

    def append(self, line: bytes) -> None:
        """Add a line, line break included; never waits. It is stored some time later."""
        if self._failure is None:
            self._lines.append(line)
            self.position += 1
            self._wanted.set()

    def when_stored(self, call: Callable[[], None]) -> None:
        """Call this when all that has been appended is stored, at once if it is.

        Calls are made in the order in which they came, and must not wait. When writing fails,
        those that are left are never made.
        """
        if self.stored == self.position:
            call()
        else:
            self._calls.append((self.position, call))

    async def flush(self) -> None:
        """Wait until all that has been appended is stored.

        Raises:
            Fenced: Another leader writes the log now.
            ClusterError: It can't be written, see `run`.
        """
        if self._failure is not None:
            raise self._failure
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.add(stored)
        self.when_stored(lambda: None if stored.done() else stored.set_result(None))
        try:
            await stored
        finally:
            self._flushes.discard(stored)

    async def begin(self, line: bytes) -> int:
        """Write the first line of a term.

        Args:
            line: An entry that says who leads from now on.

        Returns:
            The term; it is greater than those of all leaders before.

        Raises:
            Fenced: Something has been written after `last`.
            ClusterError: It can't be written, see `run`.
        """
        assert not self.position, "it begins with this"
        self.position = 1
        await self._publish(_Batch(line, 1))
        return self.last

    async def run(self) -> None:
        """Write what is appended, for ever; while servers can't be reached it waits for them.

        Raises:
            Fenced: Another leader writes the log now.
            ClusterError: The servers have no room for it, CB274; the connection is closed, CB270.
        """
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                if self._nc.is_connected:
                    for _ in range(TURNS):
                        await asyncio.sleep(0)
                while self._lines:
                    await self._publish(self._gather())
        except (Fenced, ClusterError) as failure:
            self._fail(failure)
            raise

    def _gather(self) -> _Batch:
        """As many of the lines as fit into a message."""
        most = min(_MOST_BYTES, self._nc.max_payload - _HEADERS_BYTES)
        continues = self._offset > 0
        parts: list[bytes] = []
        whole = 0
        while self._lines and most > 0:
            part = self._lines[0][self._offset : self._offset + most]
            if self._offset + len(part) < len(self._lines[0]):
                if parts:
                    break  # it begins in the next batch, and mostly ends there too
                self._offset += len(part)
            else:
                self._lines.popleft()
                self._offset = 0
                whole += 1
            parts.append(part)
            most = most - len(part) if not self._offset else 0
        return _Batch(b"".join(parts), whole, continues)

    async def _publish(self, batch: _Batch) -> None:
        """Have a batch stored, however often it takes, and say so to who waits for it."""
        headers = {_ID: f"{self._name}-{self.last}", _AFTER: str(self.last)}
        if batch.continues:
            headers[CONTINUES] = "1"
        pause_s = _PAUSE_S
        while (sequence := await self._attempt(batch, headers)) is None:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        self.last = sequence
        self.stored += batch.lines
        while self._calls and self._calls[0][0] <= self.stored:
            self._calls.popleft()[1]()

    async def _attempt(self, batch: _Batch, headers: dict[str, str]) -> int | None:
        """The sequence number of the batch, stored now or before; None when nobody can say."""
        if not self._nc.is_connected and not self._nc.is_closed:
            return None  # it would gather in the client, once for each attempt
        try:
            ack = await self._js.publish(self._subject, batch.data, ACK_S, headers=headers)
        except APIError as error:
            if error.err_code == _WRONG_LAST:
                return await self._find(headers[_ID])
            if is_full(error):
                text = f"the servers have no room for the log of {self._group}: {error.description}"
                raise ClusterError("CB274", text, ROOM) from error
            return None
        except ConnectionClosedError as error:
            text = "the connection to the NATS servers has been closed"
            raise ClusterError("CB270", text) from error
        except MaxPayloadError as error:
            raise ClusterError("CB275", "a server takes smaller messages than another") from error
        except NatsError:  # it may have been stored all the same; `headers` say what it is
            return None
        return ack.seq

    async def _find(self, identity: str) -> int | None:
        """The sequence number of a batch that may have been stored before it was refused."""
        try:
            found = await self._js.get_last_msg(subjects.LOG, self._subject)
        except NotFoundError:
            found = None
        except NatsError:
            return None
        if found is not None and found.headers and found.headers.get(_ID) == identity:
            return found.seq
        raise Fenced(f"another worker leads {self._group}")

    def _fail(self, failure: Exception) -> None:
        self._failure = failure
        self._lines.clear()
        self._calls.clear()
        for each in self._flushes:
            if not each.done():
                each.set_exception(failure)
