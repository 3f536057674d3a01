"""What is between the processes of a cluster, in virtual time and as a test wants it.

Parcels take a moment and get lost, the log is a list to which lines are added after a moment, and
a test says which workers there are.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from random import Random
from typing import TypeVar

import anyio
from attrs import define, field, frozen

from callboard.cluster import subjects
from callboard.cluster.records import Registration

T = TypeVar("T")

LATENCY_S = 0.002
STORED_S = 0.003
LOSS = 0.03
LEASE_S = 10.0


@define
class Log:
    """What the servers have of the group's log: lines, and who may write on."""

    lines: list[bytes] = field(factory=list[bytes])
    term: int = 0


class Writer:
    """Writes the log as `cluster.log.LogWriter` does, until its leader dies.

    Args:
        log: What it writes to.
        random: Decides what is stored when it dies.
        fatal: Whether this line ends a batch, the last one whose leader lives to see it stored.
    """

    def __init__(self, log: Log, random: Random, fatal: Callable[[bytes], bool]) -> None:
        log.term += 1
        self.term = log.term
        self.cut = anyio.Event()
        self._log = log
        self._random = random
        self._fatal = fatal
        self._under_way: list[bytes] = []
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._dead = False
        self.position = self.stored = 0

    def append(self, line: bytes) -> None:
        """Add a line; it is stored a moment later, with all that was added before then."""
        if self._dead:
            return
        self._under_way.append(line)
        self.position += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(STORED_S, self._store)

    def when_stored(self, call: Callable[[], None]) -> None:
        """See `LogWriter.when_stored`."""
        if self.stored == self.position:
            call()
        else:
            self._calls.append((self.position, call))

    async def flush(self) -> None:
        """See `LogWriter.flush`."""
        stored = anyio.Event()
        self.when_stored(stored.set)
        await stored.wait()

    def die(self) -> None:
        """Of what was under way as much is stored as there were batches; nobody hears of it."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._dead:
            self._log.lines += self._under_way[: self._random.randint(0, len(self._under_way))]
        self._dead = True

    def _store(self) -> None:
        self._timer = None
        for number, line in enumerate(self._under_way, 1):
            if self._fatal(line):
                self._log.lines += self._under_way[:number]
                self._dead = True
                self.cut.set()
                return
        self._log.lines += self._under_way
        self.stored += len(self._under_way)
        self._under_way.clear()
        ready = [call for position, call in self._calls if position <= self.stored]
        self._calls = [each for each in self._calls if each[0] > self.stored]
        for call in ready:
            call()


@frozen
class Taken:
    """What a leader has of its log; see `history.Taken`."""

    term: int
    pause_s: float
    writer: Writer


@define(eq=False)
class Net:
    """What carries parcels.

    Attributes:
        random: Decides how long they take, and which are lost.
        loss: Share of them that is lost.
        over: Whether the group is over, for those who ask.
    """

    random: Random
    loss: float = LOSS
    over: bool = False
    _takers: dict[str, Callable[[str, bytes], None]] = field(
        factory=dict[str, Callable[[str, bytes], None]]
    )

    def carry(self, subject: str, data: bytes) -> None:
        """Bring a parcel to the other side; or lose it."""
        if self.random.random() >= self.loss:
            delay_s = LATENCY_S * (1 + self.random.random())
            asyncio.get_running_loop().call_later(delay_s, self._arrive, subject, data)

    def _arrive(self, subject: str, data: bytes) -> None:
        worker, group = subjects.sender(subject)
        is_up = subject == subjects.up(worker, group)
        taker = subjects.up("*", group) if is_up else subjects.down(worker, "*")
        if taker in self._takers:
            self._takers[taker](subject, data)


@define(eq=False)
class Line:
    """A process's connection, for as long as the process lives."""

    net: Net
    lease_s: float = LEASE_S
    limit_bytes: int = 1024 * 1024
    dead: bool = False

    def post(self, subject: str, data: bytes) -> None:
        """See `Cluster.post`."""
        if not self.dead:
            self.net.carry(subject, data)

    @asynccontextmanager
    async def taking(
        self, subject: str, take: Callable[[str, bytes], None], here: str
    ) -> AsyncIterator[None]:
        """See `Cluster.taking`."""
        assert here
        takers = self.net._takers
        takers[subject] = take
        try:
            yield
        finally:
            if takers.get(subject) is take:
                del takers[subject]

    def each_time_back(self, call: Callable[[], None]) -> AbstractContextManager[None]:
        """The servers are never away."""
        del call
        return nullcontext()

    async def ask(self, subject: str, data: bytes) -> bytes | None:
        """What became of the group."""
        assert subject.startswith(subjects.ask(""))
        assert data
        return subjects.OVER if self.net.over else subjects.GOES_ON


@define(eq=False)
class Roll:
    """The workers that there are, as one process sees them."""

    entries: dict[str, Registration] = field(factory=dict[str, Registration])
    missing: set[str] = field(factory=set[str])
    _changed: anyio.Event = field(factory=anyio.Event)

    @property
    def registrations(self) -> Sequence[Registration]:
        """See `Fleet.registrations`."""
        return tuple(each for each in self.entries.values() if each.name not in self.missing)

    async def changed(self) -> None:
        """See `Fleet.changed`."""
        await self._changed.wait()

    async def wait_lost(self, name: str, incarnation: str) -> None:
        """See `Fleet.wait_lost`; there is no second incarnation of any."""
        assert incarnation == name
        while name not in self.missing and name in self.entries:
            await self.changed()

    def put(self, entry: Registration) -> None:
        """Have a worker's entry be this one."""
        self.entries[entry.name] = entry
        self._wake()

    def remove(self, name: str) -> None:
        """Have a worker be gone."""
        del self.entries[name]
        self._wake()

    def lose(self, name: str) -> None:
        """Have a worker count as lost for who sees this."""
        self.missing.add(name)
        self._wake()

    def _wake(self) -> None:
        event, self._changed = self._changed, anyio.Event()
        event.set()


@define(eq=False)
class Home:
    """A worker's process; see `worker.Worker`."""

    name: str
    cluster: Line
    fleet: Roll | None
    sandbox: bool = True
    said: list[str] = field(factory=list[str])
    draining: anyio.Event = field(factory=anyio.Event)

    @property
    def incarnation(self) -> str:
        """Of its process."""
        return self.name

    def say(self, text: str) -> None:
        """Take a line for the user."""
        self.said.append(text)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do it at once: there are no threads in virtual time."""
        return work()
