"""What leads groups, or hosts jobs, needs of the worker that it is a part of."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol, TypeVar

import anyio

from callboard.cluster.shared_table import Workers

T = TypeVar("T")


class Line(Protocol):
    """The way to the other workers; see `connection.Cluster`."""

    @property
    def lease_s(self) -> float:
        """Seconds after which an entry without a heartbeat is gone."""

    @property
    def limit_bytes(self) -> int:
        """The size of the largest message that is taken."""

    def post(self, subject: str, data: bytes) -> None:
        """Publish soon and in order; it may be lost."""

    def taking(
        self, subject: str, take: Callable[[str, bytes], None], here: str
    ) -> AbstractAsyncContextManager[None]:
        """Take what comes to a subject while the context is open."""

    def each_time_back(self, call: Callable[[], None]) -> AbstractContextManager[None]:
        """Call this whenever the servers have been away and are back."""

    async def ask(self, subject: str, data: bytes) -> bytes | None:
        """The answer of whoever answers on a subject; None when nobody does for a while."""


class Roll(Workers, Protocol):
    """The workers that there are; see `fleet.Fleet`."""

    async def wait_lost(self, name: str, incarnation: str) -> None:
        """Return when nobody need wait for this process of a worker any more."""


class Pen(Protocol):
    """Writes the log of a group; see `log.LogWriter`."""

    def append(self, line: bytes) -> None:
        """Add a line; it is stored some time later."""

    def when_stored(self, call: Callable[[], None]) -> None:
        """Call this when all that has been appended is stored, at once if it is."""

    async def flush(self) -> None:
        """Wait until all that has been appended is stored."""


class Log(Protocol):
    """The log of a group that this worker leads; see `history.Taken`."""

    @property
    def term(self) -> int:
        """Of this leader."""

    @property
    def pause_s(self) -> float:
        """Seconds since the last line of the leader before."""

    @property
    def writer(self) -> Pen:
        """Writes what comes next."""


class Home(Protocol):
    """The worker; see `worker.Worker`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def incarnation(self) -> str:
        """Of its process."""

    @property
    def cluster(self) -> Line:
        """Its connection."""

    @property
    def fleet(self) -> Roll | None:
        """All workers; None for one that leads no groups."""

    @property
    def say(self) -> Callable[[str], None]:
        """Takes a line for the user."""

    @property
    def sandbox(self) -> bool:
        """Whether local nodes are throw-away, whatever a group asks for."""

    @property
    def draining(self) -> anyio.Event:
        """Set when nothing new is to be taken."""

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what takes a while, besides all else."""
