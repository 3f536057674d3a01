"""The log of a group as it has been written: for those who follow it, and for its next leader."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from attrs import evolve, frozen
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError, NotFoundError

from callboard.cluster import subjects
from callboard.cluster.errors import ClusterError, Fenced
from callboard.cluster.log import CONTINUES, NO_STREAM, Connected, LogWriter

_HEARTBEAT_S = 1.0
"""How often the server says that there is nothing new."""

_PAUSE_S = 0.5
"""Pause before reading is tried again, when servers can't be reached."""

_SILENCE_S = 2.5 * _HEARTBEAT_S
_FORGET_S = 30.0

_STATUS = "Status"
_STALLED = "Nats-Consumer-Stalled"
_SENT = "Nats-Last-Consumer"


@frozen
class Batch:
    """A message of a log.

    Attributes:
        sequence: Its number in the stream.
        time_s: When the server got it, by the server's clock; for differences only.
        data: Lines, or parts of one.
        continues: Whether it begins within a line.
    """

    sequence: int
    time_s: float
    data: bytes
    continues: bool


@frozen
class Taken:
    """A log that has a new leader.

    Attributes:
        lines: All that was written before.
        term: Of the new leader.
        pause_s: Seconds between the last line before and the new leader's first, 0.0 when there
            was none.
        writer: Writes what comes next; it has begun.
    """

    lines: tuple[bytes, ...]
    term: int
    pause_s: float
    writer: LogWriter


async def read(cluster: Connected, group: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
    """The lines of a log from the first on, line breaks included: events and entries.

    Args:
        cluster: The connection.
        group: The group's id.
        follow: Whether to go on as lines are written, whatever befalls the servers meanwhile, and
            for ever; else it ends with the last line that is there now.

    Raises:
        ClusterError: There are no logs, or the connection has been closed; CB270.
    """
    lines = _Lines()
    async with aclosing(batches(cluster, group, follow=follow)) as found:
        async for batch in found:
            for line in lines.of(batch):
                yield line


async def take(cluster: Connected, group: str, line: bytes) -> Taken:
    """Become the one that writes the log of a group; who wrote it before can't any more.

    Args:
        cluster: The connection.
        group: The group's id.
        line: The first line of the new leader, an entry that says who it is.

    Raises:
        ClusterError: There are no logs, or this one can't be written; see `LogWriter.run`.
    """
    lines = _Lines()
    history: list[bytes] = []
    last, last_s, term = 0, None, 0
    writer = LogWriter(cluster, group)
    while not term:
        async with aclosing(batches(cluster, group, follow=False, after=last)) as found:
            async for batch in found:
                history += lines.of(batch)
                last, last_s = batch.sequence, batch.time_s
        writer = LogWriter(cluster, group, last)
        with suppress(Fenced):  # who is being deposed has written once more
            term = await writer.begin(line)
    pause_s = 0.0
    async with aclosing(batches(cluster, group, follow=False, after=term - 1)) as found:
        async for batch in found:
            if batch.sequence == term and last_s is not None:
                pause_s = max(0.0, batch.time_s - last_s)
    return Taken(tuple(history), term, pause_s, writer)


async def renew(cluster: Connected, group: str, line: bytes, taken: Taken) -> Taken:
    """The log under a new term of the same leader, which has written nothing more than `line`.

    Raises:
        Fenced: Another leader writes the log now.
        ClusterError: It can't be written; see `LogWriter.run`.
    """
    writer = LogWriter(cluster, group, taken.writer.last)
    return evolve(taken, term=await writer.begin(line), writer=writer)


async def batches(
    cluster: Connected, group: str, *, follow: bool, after: int = 0
) -> AsyncGenerator[Batch, None]:
    """The messages of a log in order; arguments and errors as of `read`.

    Args:
        cluster: The connection.
        group: The group's id.
        follow: Whether to go on for ever.
        after: The sequence number that all of them have to exceed.
    """
    end: int | None = None
    while True:
        try:
            if end is None and not follow:
                end = await _end(cluster, group)
            if end is not None and after >= end:
                return
            async with aclosing(_delivery(cluster, group, after + 1)) as delivery:
                async for batch in delivery:
                    after = batch.sequence
                    yield batch
                    if end is not None and after >= end:
                        return
        except ConnectionClosedError as error:
            text = "the connection to the NATS servers has been closed"
            raise ClusterError("CB270", text) from error
        except NatsError as error:
            if isinstance(error, APIError) and error.err_code == NO_STREAM:
                text = f"the servers have no stream {subjects.LOG}"
                raise ClusterError("CB270", text, "`callboard cluster init` makes it") from error
            await asyncio.sleep(_PAUSE_S)


async def _end(cluster: Connected, group: str) -> int:
    """The sequence number of the last message that is there; 0 for none."""
    try:
        found = await cluster.js.get_last_msg(subjects.LOG, subjects.log(group))
    except NotFoundError as error:
        if error.err_code == NO_STREAM:
            raise
        return 0
    return found.seq or 0


async def _delivery(cluster: Connected, group: str, first: int) -> AsyncGenerator[Batch, None]:
    """What the server sends from a number on; ends when it is silent, or some of it was lost."""
    arrived: asyncio.Queue[Msg] = asyncio.Queue()

    async def arrive(message: Msg) -> None:
        arrived.put_nowait(message)

    inbox = cluster.nc.new_inbox()
    subscription = await cluster.nc.subscribe(inbox, cb=arrive)
    try:
        await cluster.js.add_consumer(subjects.LOG, _consumer(group, first, inbox))
        count = 0
        while (message := await _next(arrived)) is not None:
            headers = message.headers or {}
            if _STATUS in headers:
                if answer := message.reply or headers.get(_STALLED):
                    await cluster.nc.publish(answer)  # it sends no more before it hears this
                if int(headers.get(_SENT, count)) > count:
                    return
                continue
            about = message.metadata
            count += 1
            if about.sequence.consumer != count:
                return
            time_s = about.timestamp.timestamp()
            yield Batch(about.sequence.stream, time_s, message.data, CONTINUES in headers)
    finally:
        with suppress(NatsError):
            await subscription.unsubscribe()  # the server then forgets its side


def _consumer(group: str, first: int, inbox: str) -> ConsumerConfig:
    return ConsumerConfig(
        name=secrets.token_hex(8),
        deliver_subject=inbox,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=first,
        filter_subject=subjects.log(group),
        ack_policy=AckPolicy.NONE,
        flow_control=True,
        idle_heartbeat=_HEARTBEAT_S,
        inactive_threshold=_FORGET_S,
        mem_storage=True,
        num_replicas=1,
    )


async def _next(arrived: asyncio.Queue[Msg]) -> Msg | None:
    """The next message; None when none has come for longer than the server is ever silent."""
    try:
        return arrived.get_nowait()
    except asyncio.QueueEmpty:
        pass
    try:
        async with asyncio.timeout(_SILENCE_S):
            return await arrived.get()
    except TimeoutError:
        return None


class _Lines:
    """Puts the lines of batches together."""

    def __init__(self) -> None:
        self._rest = b""

    def of(self, batch: Batch) -> list[bytes]:
        """The lines that a batch completes."""
        # What a dead leader has left of a line is no line.
        data = self._rest + batch.data if batch.continues else batch.data
        *lines, self._rest = data.split(b"\n")
        return [line + b"\n" for line in lines]
