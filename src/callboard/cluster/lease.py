"""A key of a bucket with a time to live: who made it has it, for as long as it is refreshed.

The server's clock decides when an entry is gone, and counts from when the entry arrived, which
is after it was sent. So a holder that counts from the sending, by a clock of its own, stops no
later than the server lets another one in; clocks of two machines are never compared.

A holder that doesn't run (SIGSTOP, a machine that sleeps) notices nothing. `Lease.held` is false as
soon as it runs again, but between a look and the act there is always a gap, so what must never be
done by two needs a fence of its own: a group's log takes lines of one leader only (`cluster.log`),
and a device is reserved on its machine by the worker (`callboard.reservation`). The same fences
protect when servers come back with entries that had expired, or without some.
"""

import time
from collections.abc import Callable

import anyio
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from callboard.cluster.bucket import Bucket


class LeaseTaken(Exception):
    """Another one has the lease.

    Attributes:
        key: What it is a lease on.
        holder: The value of who has it.
        revision: Of that value, see `Lease.take`.
    """

    def __init__(self, key: str, holder: bytes, revision: int) -> None:
        super().__init__(f"another one has `{key}`")
        self.key = key
        self.holder = holder
        self.revision = revision


def elapsed_s() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """A lease on a key: `take` it, let `keep` run in a task, `give_back` at the end.

    Attributes:
        key: What it is a lease on.
        lost: Set when it is no longer ours, for good.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        value: bytes,
        lease_s: float,
        *,
        regains: bool = False,
        clock: Callable[[], float] = elapsed_s,
    ) -> None:
        """Prepare a lease that nobody holds yet.

        Args:
            bucket: Its entries live for `lease_s` without a refresh.
            key: What it is a lease on.
            value: Tells this holder from every other one, such as by its incarnation; never empty.
            lease_s: The bucket's time to live, in seconds.
            regains: Whether one that has lapsed, because the servers were away, is taken anew
                unless another has it by then; then `lost` is set for another's entry alone, and
                one who has had it meanwhile is not noticed. For holders whom something else
                fences, and who lose more by giving up than by waiting.
            clock: What it counts by, in seconds.
        """
        self.key = key
        self.lost = anyio.Event()
        self._bucket = bucket
        self._lease_s = lease_s
        self._regains = regains
        self._clock = clock
        self._value = value
        self._written = {value}  # what may stand there by our own hand
        self._revision = 0
        self._until_s = float("-inf")
        self._writing = anyio.Lock()
        self._updated = anyio.Event()

    @property
    def held(self) -> bool:
        """Whether nobody else can have it at this moment."""
        return not self.lost.is_set() and self._clock() < self._until_s

    async def take(self, *, replacing: int = 0) -> None:
        """Take the lease, if nobody has it.

        Args:
            replacing: The revision of an entry whose holder is known to be dead.

        Raises:
            LeaseTaken: Another one has it.
            nats.errors.Error: The servers don't answer, or refuse.
        """
        async with self._writing:
            self._revision = replacing
            while not await self._write():
                await self._look()

    async def keep(self) -> None:
        """Refresh the lease three times in its time; returns when it is lost."""
        while not self.lost.is_set():
            with anyio.move_on_after(self._patience_s()):
                await self._updated.wait()
            self._updated = anyio.Event()
            try:
                with anyio.move_on_after(self._patience_s()):
                    await self._refresh()
            except LeaseTaken:
                self.lost.set()
            except NatsError:
                pass  # they may answer the next time
            if not self._regains and not self.held:
                self.lost.set()

    def update(self, value: bytes) -> None:
        """Let `value` stand there from now on; `keep` writes it at once."""
        self._value = value
        self._updated.set()

    async def give_back(self) -> None:
        """Let others have it at once. If the servers can't be reached it lapses by itself."""
        with anyio.move_on_after(self._lease_s, shield=True):
            async with self._writing:
                if self._revision and not self.lost.is_set():
                    await self._delete()
                self.lost.set()

    def _patience_s(self) -> float:
        third_s = self._lease_s / 3
        return third_s if self._regains else min(third_s, self._until_s - self._clock())

    async def _refresh(self) -> None:
        async with self._writing:
            if await self._write():
                return
            if await self._look() or self._regains:
                await self._write()
            else:
                self.lost.set()

    async def _write(self) -> bool:
        """Write our value over what we know to stand there; False when something else does."""
        sent_s = self._clock()
        value = self._value
        self._written.add(value)
        try:
            if self._revision:
                revision = await self._bucket.update(self.key, value, self._revision)
            else:
                revision = await self._bucket.create(self.key, value)
        except (KeyWrongLastSequenceError, KeyNotFoundError):
            return False
        self._revision = revision
        self._written = {value}
        self._until_s = sent_s + self._lease_s
        return True

    async def _look(self) -> bool:
        """Whether our entry is there, as when only the answer to a write was lost.

        Raises LeaseTaken.
        """
        try:
            entry = await self._bucket.get(self.key)
        except KeyNotFoundError:
            self._revision = 0
            return False
        assert entry.revision is not None, "entries that are got have one"
        if entry.value and entry.value not in self._written:
            raise LeaseTaken(self.key, entry.value, entry.revision)
        self._revision = entry.revision
        return bool(entry.value)  # a server's own mark of an expiry has none

    async def _delete(self) -> None:
        for _ in range(2):  # the answer to the last write may have been lost
            try:
                await self._bucket.vacate(self.key, self._revision)
            except NatsError:
                try:
                    if not await self._look():
                        return
                except (LeaseTaken, NatsError):
                    return
            else:
                return
