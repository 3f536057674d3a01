"""One group, led on this worker: from the wait for devices to its end.

Whoever leads writes the group's log, and nothing that a leader says leaves it before all that led
to it is in there. So whoever takes the group up knows all that anybody has heard.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import anyio
from attrs import evolve

from callboard.actors.drivers.folder import NodeFolder
from callboard.cluster import bundles, entries, subjects
from callboard.cluster.allocation import Allocator, Shortage
from callboard.cluster.asking import asked
from callboard.cluster.bucket import change
from callboard.cluster.bundle import restore
from callboard.cluster.errors import ClusterError
from callboard.cluster.history import Taken, renew, take
from callboard.cluster.rebuilt import Rebuilt, rebuild
from callboard.cluster.records import GroupRecord, Seat, decode, encode
from callboard.cluster.reign import Reign
from callboard.cluster.suitability import skipped
from callboard.cluster.table import describe, needs_of
from callboard.cluster.worker import Worker
from callboard.definition import split
from callboard.definition.model import Definition, NodeJob
from callboard.events import RunEnded, Status
from callboard.reservation import QueueTimeout


class _NeverRuns(Exception):
    """The group ends without having run.

    Attributes:
        problem: Why.
        status: See `GroupRecord.status`.
        exit_code: What `callboard run` exits with for it.
    """

    def __init__(self, problem: str, status: Status = "incomplete", exit_code: int = 3) -> None:
        super().__init__(problem)
        self.problem = problem
        self.status = status
        self.exit_code = exit_code


class Leader:
    """Leads one group, from when this worker has the lead to the group's end.

    Attributes:
        waits: Whether the group waits for its devices.
    """

    def __init__(self, group: str, worker: Worker, allocator: Allocator) -> None:
        """Prepare to lead.

        Args:
            group: The group's id.
            worker: This worker.
            allocator: Gives out devices.
        """
        self.waits = False
        self._group = group
        self._worker = worker
        self._cluster = worker.cluster
        self._allocator = allocator
        self._records = worker.cluster.bucket(subjects.GROUPS)
        self._cancel: str | None = None
        self._queueing = anyio.CancelScope()
        self._reign: Reign | None = None

    async def run(self) -> None:
        """Lead the group; returns when it has ended.

        Cancelled, or when it can't go on, it leaves the group to the next leader as it is.

        Raises:
            Fenced: Another worker leads it.
            ClusterError: Its log can't be written, or the servers refuse something.
            nats.js.errors.KeyNotFoundError: Nobody knows it any more.
        """
        led = entries.encode(entries.Led(self._worker.name, self._worker.incarnation))
        taken = await take(self._cluster, self._group, led)
        rebuilt = await anyio.to_thread.run_sync(rebuild, taken.lines)
        taken = evolve(taken, lines=())  # they are many, and it may go on for long
        while not await self._reach_the_end(taken, rebuilt):
            taken = await renew(self._cluster, self._group, led, taken)

    async def _reach_the_end(self, taken: Taken, rebuilt: Rebuilt) -> bool:
        """Lead for a term; False when the group waits anew, for which nothing is on record."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write, taken)
            over = await self._lead(taken, rebuilt)
            tasks.cancel_scope.cancel()
        return over

    def cancel(self, reason: str) -> None:
        """End the group in order, as somebody wants."""
        self._cancel = self._cancel or reason
        self._queueing.cancel()
        if self._reign is not None:
            self._reign.interrupt(self._cancel)

    async def _write(self, taken: Taken) -> None:
        try:
            await taken.writer.run()
        finally:  # what the group still says would not be recorded
            if self._reign is not None:
                self._reign.leave()

    async def _lead(self, taken: Taken, rebuilt: Rebuilt) -> bool:
        record = await self._record()
        if record.cancel is not None:
            self.cancel(record.cancel)
        if rebuilt.ended is not None:
            await self._finish(rebuilt.ended)
            return True
        try:
            async with AsyncExitStack() as resources:
                definition = await self._restored(resources)
                jobs = split(definition, first_id=record.first_id, group=self._group)
                seats = rebuilt.seats or await self._allotted(definition, jobs, record)
                reign = Reign(self._group, self._worker, definition, jobs, seats, taken, rebuilt)
                ended = await self._rule(reign, taken, record)
        except _NeverRuns as never:
            await self._finish(never)
        else:
            if ended is None:
                self._reign = None
                return False
            await self._finish(ended)
        return True

    async def _restored(self, resources: AsyncExitStack) -> Definition:
        """The definition with its sources, as long as they are needed."""
        made = NodeFolder("bundle")
        resources.callback(made.remove)
        bundle = await asked(self._cluster, self._bundle)
        try:
            return await anyio.to_thread.run_sync(restore, bundle, made.path / "bundle")
        except ClusterError as error:  # it will not be better for the next leader
            raise _NeverRuns(error.text) from error

    async def _bundle(self) -> bytes:
        try:
            return await bundles.get(self._cluster, self._group)
        except ClusterError as error:  # nor will it be there for the next leader
            raise _NeverRuns(error.text) from error

    async def _allotted(
        self, definition: Definition, jobs: Sequence[NodeJob], record: GroupRecord
    ) -> Mapping[int, Seat]:
        """The seats of the jobs, once there are enough."""
        seats = await self._seats(definition, jobs)
        problem = skipped(jobs, seats) if record.settings.strict else None
        if problem is not None:
            raise _NeverRuns(problem, exit_code=2)
        return seats

    async def _seats(self, definition: Definition, jobs: Sequence[NodeJob]) -> Mapping[int, Seat]:
        """Wait for devices."""
        limit_s = definition.timeouts.queue_s
        self.waits = True
        self._queueing = anyio.CancelScope()
        if self._cancel is not None:
            self._queueing.cancel()
        with self._queueing:
            try:
                return await self._allocator.seats(
                    self._group, needs_of(jobs), limit_s, self._say_shortage
                )
            except (QueueTimeout, ClusterError) as error:
                raise _NeverRuns(str(error)) from error
            finally:
                self.waits = False
        problem = f"it was cancelled before it had devices: {self._cancel}"
        raise _NeverRuns(problem, "canceled", 130)

    def _say_shortage(self, shortage: Shortage) -> None:
        if shortage.lacking:
            what = describe(shortage.lacking)
            self._worker.say(f"group {self._group} waits for workers: the cluster lacks {what}")

    async def _rule(self, reign: Reign, taken: Taken, record: GroupRecord) -> RunEnded | None:
        self._reign = reign
        if self._cancel is not None:
            reign.interrupt(self._cancel)
        ended = await reign.run(record.settings, self._begin)
        await taken.writer.flush()
        return ended

    async def _begin(self) -> None:
        await self._change(lambda old: evolve(old, state="running"))

    async def _finish(self, how: RunEnded | _NeverRuns) -> None:
        """Let everybody know, and give back what the group had. Each step may be done again."""
        problem = how.problem if isinstance(how, _NeverRuns) else None

        def end(old: GroupRecord) -> GroupRecord:
            return evolve(
                old, state="ended", status=how.status, exit_code=how.exit_code, problem=problem
            )

        await self._change(end)
        await self._allocator.release(self._group)
        await asked(self._cluster, lambda: bundles.remove(self._cluster, self._group))

    async def _record(self) -> GroupRecord:
        entry = await asked(self._cluster, lambda: self._records.get(self._group))
        return decode(entry.value or b"", GroupRecord)

    async def _change(self, alter: Callable[[GroupRecord], GroupRecord]) -> None:
        def make(old: bytes | None) -> bytes | None:
            if old is None:
                return None  # its retention time is over
            record = decode(old, GroupRecord)
            new = alter(record)
            return None if new == record else encode(new)

        await asked(self._cluster, lambda: change(self._records, self._group, make))
