"""A group that runs on a cluster, as a client sees it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import anyio

from callboard.cluster.client import Client
from callboard.cluster.errors import ClusterError, Left, NeverRan, first
from callboard.cluster.lookout import Lookout
from callboard.cluster.records import GroupRecord
from callboard.events import LOG_NAME, Event, RunEnded
from callboard.journal import LogFile

_LOOK_S = 1.0
"""How often it is looked whether the group still waits, or ended without a log."""

_PATIENCE_S = 10.0
"""After how many seconds without events the end of the log of an ended group is looked for."""


class Recording:
    """Writes the events of a group into a run directory, from the first one on.

    Attributes:
        error: Why it can't any more, None as long as it can.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: LogFile | None = None
        self.error: OSError | None = None

    def __call__(self, event: Event) -> None:
        """Write an event, unless that has failed before: the cluster has them all."""
        if self.error is not None:
            return
        try:
            if self._file is None:
                self._file = LogFile(self._directory / LOG_NAME)
            self._file(event)
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Following:
    """Follows a group to its end; made by `follow`.

    Attributes:
        time_s: Seconds since the group began to run, as far as its events tell.
    """

    def __init__(
        self,
        client: Client,
        group: str,
        sinks: Iterable[Callable[[Event], None]],
        note: Callable[[str], None],
        recording: Recording | None,
        *,
        owns: bool,
    ) -> None:
        self._client = client
        self._group = group
        self._lookout = Lookout(client, group, note)
        self._sinks = tuple(sinks)
        self._note = note
        self._recording = recording
        self._owns = owns
        self._cancelling = asyncio.Event()
        self._reason = ""
        self._over = asyncio.Event()
        self._ended: RunEnded | None = None
        self._failure: Exception | None = None
        self._last = (0.0, time.monotonic())

    @property
    def log_error(self) -> OSError | None:
        """Why it can't be recorded here any more, None as long as it can."""
        return self._recording.error if self._recording is not None else None

    @property
    def time_s(self) -> float:
        """See the class."""
        event_s, at_s = self._last
        return event_s + time.monotonic() - at_s

    def interrupt(self, reason: str) -> None:
        """End the group in order, if it is ours; else only leave it."""
        if self._owns:
            self._reason = reason
            self._cancelling.set()
        else:
            self.kill()

    def kill(self) -> None:
        """Leave the group, which goes on."""
        self._over.set()

    async def wait(self) -> RunEnded:
        """How the group ended; waits until it has.

        Raises:
            NeverRan: It ended without devices.
            Left: It was left before.
            ClusterError: It can't be followed any more.
            Exception: Whatever a sink has raised.
        """
        await self._over.wait()
        if self._failure is not None:
            raise self._failure
        if self._ended is None:
            raise Left
        return self._ended

    async def run(self) -> None:
        """Follow the group; `follow` runs it."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look)
                tasks.start_soon(self._lookout.run)
                tasks.start_soon(self._cancel)
                await self._read()
                tasks.cancel_scope.cancel()
        except* Exception as errors:
            self._failure = first(errors)
        finally:
            self._over.set()

    async def _read(self) -> None:
        async with aclosing(self._client.events(self._group, follow=True)) as events:
            async for event in events:
                self._last = event.time_s, time.monotonic()
                for sink in self._sinks:
                    sink(event)
                if self._recording is not None:
                    self._recording(event)
                if isinstance(event.body, RunEnded):
                    self._ended = event.body

    async def _look(self) -> None:
        """Say what it waits for, and see when it ends without the end of a log."""
        said = ""
        while True:
            await anyio.sleep(_LOOK_S)
            try:
                record = await self._client.record(self._group)
                text = await self._why(record)
            except ClusterError as error:
                if error.code != "CB270":
                    raise
                continue  # they have too much to do; `_read` sees it when they are gone for good
            if record.state == "ended":
                await self._expect_end(record)
            if text not in ("", said):
                self._note(text)
                said = text

    async def _why(self, record: GroupRecord) -> str:
        """What the group waits for; empty for nothing."""
        if record.state != "queued":
            return ""
        return (await self._client.why_queued(self._group))[self._group]

    async def _expect_end(self, record: GroupRecord) -> None:
        if record.problem is not None:
            raise NeverRan(record.problem, 3 if record.exit_code is None else record.exit_code)
        if time.monotonic() - self._last[1] < _PATIENCE_S:
            return
        # Where servers were away for a while, `_read` may be at it still.
        if not await self._client.has_whole_log(self._group):
            text = f"the log of the group {self._group} has no end, but the group has ended"
            raise ClusterError("CB276", text, "its log may be older than its retention time")

    async def _cancel(self) -> None:
        await self._cancelling.wait()
        await self._client.cancel(self._group, self._reason)


@contextlib.asynccontextmanager
async def follow(
    client: Client,
    group: str,
    sinks: Iterable[Callable[[Event], None]],
    note: Callable[[str], None],
    *,
    directory: Path | None = None,
    owns: bool,
) -> AsyncIterator[Following]:
    """Follow a group while the context is open; leaving it does nothing to the group.

    Args:
        client: Of the cluster.
        group: The group's id.
        sinks: Are given every event from the first on, in order; they must not wait. What they
            raise ends it, and `wait` raises that.
        note: Is told, in lines of text, what or whom the group waits for, and who is back.
        directory: Where it is recorded; None for nowhere.
        owns: Whether an interruption ends the group.
    """
    recording = Recording(directory) if directory is not None else None
    following = Following(client, group, sinks, note, recording, owns=owns)
    task = asyncio.create_task(following.run())
    try:
        yield following
    finally:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if recording is not None:
            recording.close()
