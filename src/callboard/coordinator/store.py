"""Keeps the groups of a coordinator on a disk: what was answered is never lost.

Each request that has changed its group is noted, and written to a log; no answer leaves before all
that was noted until then is on the disk. What is noted while the disk is busy is written in one go
after that, so that many clients share one wait for the disk. Started again, the coordinator serves
what the log says once more, and knows what it knew.

The log is in segments. When one has grown large, another is begun, and gets an image of each group
that still needs an older one, a few at a time and beside what is noted; then the older ones are
removed.

When the disk takes nothing, nothing is answered that depends on it, and it is tried again until it
does. What could not be written isn't kept meanwhile: an image of each group concerned will do.

It is a log of ours rather than an embedded database: it is read once, at the start, and there is
nothing to look up; but each record has to be what was written, or else to be the end that was
never finished, and the two have to be told from each other.
"""

import os
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import define, field

from callboard.actors.semantics import LAVA, served
from callboard.coordinator.calendar import Calendar
from callboard.coordinator.directory import Rules, located
from callboard.coordinator.entries import Change, End, Image, encode
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.facts import Fact, Say
from callboard.coordinator.recovery import recall
from callboard.coordinator.requests import Forget, Request
from callboard.coordinator.segments import Segments, Sync

SEGMENT_BYTES = 4 << 20
"""How much is written to a segment, beside images, before another is begun."""

_IMAGE_SHARE = 64
"""Of a segment, the part that is written of images at a time: not more than one divided by it."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


@define
class _Batch:
    """What is written in one go.

    Attributes:
        lines: What was noted.
        size: How many bytes that is.
        entries: What else is to be written, as soon as there is time to put it into lines.
        waiters: Whom to call once all of it is on the disk.
        groups: The groups that were changed.
        images: The groups of which there is an image in it.
    """

    lines: list[bytes] = field(factory=list[bytes])
    entries: list[Image | End] = field(factory=list[Image | End])
    size: int = 0
    waiters: list[Callable[[], None]] = field(factory=list[Callable[[], None]])
    groups: dict[str, None] = field(factory=dict[str, None])
    images: dict[str, None] = field(factory=dict[str, None])

    def add(self, line: bytes) -> None:
        """Have a line written."""
        self.lines.append(line)
        self.size += len(line)


class Store:
    """Writes down what changes the groups of an exchange; see `open`.

    Attributes:
        failure: Why the disk takes nothing, None while it does.
    """

    def __init__(
        self,
        segments: Segments,
        exchange: Exchange,
        since: dict[str, int],
        calendar: Calendar,
        say: Say,
        segment_bytes: int,
        pause_s: float,
    ) -> None:
        self.failure: OSError | None = None
        self._segments = segments
        self._exchange = exchange
        self._since = since
        self._calendar = calendar
        self._say = say
        self._segment_bytes = self._full = segment_bytes
        self._gathered = _Batch()
        self._under_way: _Batch | None = None
        self._unwritten: dict[str, None] = {}  # changed groups that the disk has nothing of
        self._stale: deque[str] = deque()  # groups that may need an older segment than the newest
        self._imaged = 0
        self._drops = True  # whether older segments are removed
        self._first_pause_s = self._pause_s = pause_s
        self._work = anyio.Event()
        self._closing = anyio.Event()
        self._ended: anyio.Event | None = None
        self._limiter = anyio.CapacityLimiter(1)
        self._begun()

    @classmethod
    def open(
        cls,
        directory: Path,
        exchange: Exchange,
        calendar: Calendar,
        say: Say,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        pause_s: float = _FIRST_PAUSE_S,
        sync: Sync = os.fdatasync,
    ) -> "Store":
        """Take up all groups that are in a directory, which is made if there is none.

        Args:
            directory: Where they are.
            exchange: Gets the groups; it has none yet.
            calendar: Dates what happens.
            say: Takes what the log is to say.
            segment_bytes: How much is written to a file before another is begun.
            pause_s: How long to wait before a disk that has failed is tried again, in seconds; the
                next time twice as long, and so on.
            sync: What makes the disk keep what was written to a file.

        Raises:
            StateError: The directory can't be used, or something in it is damaged.
        """
        segments = Segments.open(directory, rules(exchange), sync)
        try:
            since = recall(segments, exchange, calendar, say)
            with located(directory):
                segments.begin()
        except BaseException:
            segments.close()
            raise
        if count := len(exchange.groups):
            text = f"groups in {directory} that go on: {count}"
            say(Fact("state-recalled", text, fields={"groups": count}))
        return cls(segments, exchange, since, calendar, say, segment_bytes, pause_s)

    # For whoever serves the groups

    @property
    def behind_bytes(self) -> int:
        """How much of what was noted is kept in memory, for it is not on the disk yet."""
        under_way = 0 if self._under_way is None else self._under_way.size
        return self._gathered.size + under_way

    @property
    def size(self) -> int:
        """How many bytes the newest segment has."""
        return self._segments.size

    @property
    def segments(self) -> int:
        """How many segments there are."""
        return len(self._segments.index.segments)

    def note(self, request: Request) -> None:
        """Have a change of a group written down; right after it, see `Served.change`."""
        group = request.client.group
        begins, ends = group not in self._since, group not in self._exchange.groups
        if begins and ends:
            return  # nothing is left of it
        if ends:
            del self._since[group]
        elif begins:
            self._since[group] = self._segments.index.newest
        self._gathered.groups[group] = None
        if self.failure is None and group not in self._unwritten:
            begun = self._date(group) if begins else None
            entry = End(group) if isinstance(request, Forget) else Change(request, begun, ends)
            self._gathered.add(encode(entry))
        else:
            self._unwritten[group] = None
        self._work.set()

    def note_group(self, group: str) -> None:
        """Have all of a group written down, for nobody knows what a request has changed of it."""
        if group in self._exchange.groups:
            self._since.setdefault(group, self._segments.index.newest)
        elif self._since.pop(group, None) is None:
            return
        self._gathered.groups[group] = self._unwritten[group] = None
        self._work.set()

    def when_settled(self, callback: Callable[[], None]) -> None:
        """Call back when all that was noted so far is on the disk; at once if it is.

        Args:
            callback: It must neither wait nor raise.
        """
        if self._gathered.groups:
            self._gathered.waiters.append(callback)
        elif self._under_way is not None and self._under_way.groups:
            self._under_way.waiters.append(callback)
        else:
            callback()

    async def run(self) -> None:
        """Write down what is noted, until the store is closed."""
        if self._ended is not None:
            return  # it was closed before
        self._ended = anyio.Event()
        try:
            while await self._has_work():
                try:
                    await self._commit()
                except OSError as error:
                    self._failed(error)
                    if self._closing.is_set():
                        return
                    await self._pause()
        finally:
            self._ended.set()

    async def close(self) -> None:
        """Write down what is noted, if the disk takes it, and let another server have the groups.

        If `run` has been cancelled before, nothing is written any more.
        """
        self._closing.set()
        self._work.set()
        with anyio.CancelScope(shield=True):
            if self._ended is None:
                await self.run()
            else:
                await self._ended.wait()
        self._segments.close()

    # Writing

    async def _has_work(self) -> bool:
        """Wait until there is something to do; says whether there is before the store is closed."""
        while not self._gathered.groups:
            if self._closing.is_set():
                return False
            if self._stale or self._has_old or self.failure is not None:
                return True
            self._work = anyio.Event()
            await self._work.wait()
        return True

    async def _commit(self) -> None:
        """Write what was noted, and images of groups that need them."""
        if self.failure is not None or (self._segments.size >= self._full and not self._stale):
            await self._in_thread(self._segments.begin)
            self._begun()
        batch = self._under_way = self._gather()
        if batch.lines or batch.entries:
            await self._in_thread(partial(self._write, batch))
        self._settled(batch)
        if self._has_old and not self._stale:
            await self._drop()

    def _begun(self) -> None:
        """A new segment was begun: all groups that there are need an image in it."""
        newest = self._segments.index.newest
        self._stale = deque(group for group, since in self._since.items() if since < newest)
        self._imaged, self._drops = 0, True

    @property
    def _has_old(self) -> bool:
        return self._drops and self.segments > 1

    def _gather(self) -> _Batch:
        """All that is to be written now; images come last, for they have all that was noted."""
        batch, self._gathered = self._gathered, _Batch()
        unwritten, self._unwritten = self._unwritten, {}
        for group in unwritten:
            self._add_image(batch, group)
        left = max(1, self._segment_bytes // _IMAGE_SHARE)
        newest = self._segments.index.newest
        while self._stale and left > 0:
            group = self._stale.popleft()
            if group not in batch.images and self._since.get(group, newest) < newest:
                left -= self._add_image(batch, group)
        return batch

    def _add_image(self, batch: _Batch, group: str) -> int:
        """Have an image of a group written; about how many bytes it has."""
        known = self._exchange.groups.get(group)
        size = 0 if known is None else known.size_bytes
        entry = End(group) if known is None else Image(known.memory, self._date(group))
        batch.entries.append(entry)
        batch.images[group] = None
        self._imaged += size
        return size

    def _date(self, group: str) -> int:
        return self._calendar.date(self._exchange.groups[group].created_s)

    def _write(self, batch: _Batch) -> None:
        self._segments.append(b"".join([*batch.lines, *map(encode, batch.entries)]))

    def _settled(self, batch: _Batch) -> None:
        self._under_way = None
        for group in batch.images:
            if group in self._since:
                self._since[group] = self._segments.index.newest
        if self.failure is not None:
            self._say(Fact("state-kept-again", "the disk takes changes again"))
            self.failure, self._pause_s = None, self._first_pause_s
        for waiter in batch.waiters:
            waiter()

    async def _drop(self) -> None:
        """Remove the older segments, which no group needs any more."""
        try:
            await self._in_thread(self._segments.drop)
        except OSError as error:
            self._drops = False  # until the next segment is begun
            self._say(Fact("state-not-cleared", f"old segments remain: {error}", "warning"))
        self._full = self._segments.size + max(self._segment_bytes, self._imaged)

    def _failed(self, error: OSError) -> None:
        """What could not be written will be written as images."""
        batch, self._under_way = self._under_way or _Batch(), None
        gathered = self._gathered
        gathered.groups = batch.groups | gathered.groups
        gathered.waiters = batch.waiters + gathered.waiters
        gathered.lines, gathered.size = [], 0
        self._unwritten |= gathered.groups
        if self.failure is None:
            text = f"the disk takes nothing, and changes aren't answered until it does: {error}"
            self._say(Fact("state-not-kept", text, "error"))
        self.failure = error

    async def _pause(self) -> None:
        with anyio.move_on_after(self._pause_s):
            await self._closing.wait()
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    async def _in_thread(self, act: Callable[[], None]) -> None:
        await anyio.to_thread.run_sync(act, limiter=self._limiter)


def rules(exchange: Exchange) -> Rules:
    """What the rules by which an exchange works are called."""
    return "lava" if exchange.semantics == served(LAVA) else "documented"
