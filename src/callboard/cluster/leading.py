"""Groups that this worker leads: takes those that nobody leads, and gives them back."""

from contextlib import suppress
from functools import partial

import anyio
from anyio.abc import TaskGroup
from attrs import define, field
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from callboard.cluster import subjects
from callboard.cluster.allocation import Allocator
from callboard.cluster.errors import ClusterError, Fenced, fault, first
from callboard.cluster.leader import Leader
from callboard.cluster.lease import Lease, LeaseTaken
from callboard.cluster.records import GroupRecord, Lead, decode, encode, read_group
from callboard.cluster.stores import stream_of
from callboard.cluster.watching import watch
from callboard.cluster.worker import Worker
from callboard.events import LogError

_QUEUE = "leaders"
_SUBJECT = f"$KV.{subjects.LEADERS}."
_POLITENESS_S = 0.02
"""How much longer a worker waits for each group that it leads before it takes one more."""


@define(eq=False)
class _Led:
    """A group that this worker leads, or tries to."""

    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    leader: Leader | None = None


class Leading:
    """Everything that a worker leads.

    Args:
        worker: The worker; it sees the fleet.
    """

    def __init__(self, worker: Worker) -> None:
        assert worker.fleet is not None, "who leads sees the fleet"
        self._worker = worker
        self._fleet = worker.fleet
        self._cluster = worker.cluster
        self._allocator = Allocator(worker.cluster, worker.fleet)
        self._open: dict[str, GroupRecord] = {}
        self._led: dict[str, _Led] = {}
        self._shunned: dict[str, float] = {}
        self._changed = anyio.Event()
        self._quiet = anyio.Event()
        self._draining = False

    async def serve(self) -> None:
        """Lead what nobody leads, until cancelled; what is led then is left to others."""
        ask = subjects.ask("*")
        subscription = await self._cluster.nc.subscribe(ask, queue=_QUEUE, cb=self._answer)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._allocator.run)
                tasks.start_soon(watch, self._cluster, subjects.GROUPS, self._see)
                while True:
                    changed = self._changed
                    if not self._draining:
                        with suppress(NatsError, TimeoutError):
                            await self._take_free(tasks)
                    with anyio.move_on_after(self._cluster.lease_s / 4):
                        await changed.wait()
        finally:
            with suppress(NatsError), anyio.CancelScope(shield=True):
                await subscription.unsubscribe()

    async def hand_over(self) -> None:
        """Take no more groups, and leave those that are led to others; returns when none is left.

        Where nobody else leads, this worker goes on to the ends of its groups that run. Those that
        wait can do so without it.
        """
        self._draining = True
        while self._led:
            has_others = self._has_others()
            for led in self._led.values():
                if has_others or (led.leader is not None and led.leader.waits):
                    led.scope.cancel()
            with anyio.move_on_after(self._cluster.lease_s / 4):
                await self._quiet.wait()

    def _has_others(self) -> bool:
        own = self._worker.name
        others = (each for each in self._fleet.registrations if each.name != own)
        return any(each.leads and not each.draining for each in others)

    def _see(self, group: str, data: bytes | None) -> None:
        record = read_group(group, data) if data else None
        if record is None and data:
            self._cluster.say_once(f"group {group!r} is of another version, and is left out")
        if record is None or record.state == "ended":
            self._open.pop(group, None)
        else:
            self._open[group] = record
            if record.cancel is not None and (led := self._led.get(group)) and led.leader:
                led.leader.cancel(record.cancel)
        self._changed.set()
        self._changed = anyio.Event()

    async def _take_free(self, tasks: TaskGroup) -> None:
        now_s = anyio.current_time()
        self._shunned = {group: s for group, s in self._shunned.items() if s > now_s}
        wanted = self._open.keys() - self._led.keys() - self._shunned.keys()
        if not wanted:
            return
        if self._led:  # those who lead less may be first
            await anyio.sleep(_POLITENESS_S * len(self._led))
        stream = stream_of(subjects.LEADERS)
        info = await self._cluster.js.stream_info(stream, subjects_filter=f"{_SUBJECT}>")
        taken = {subject.removeprefix(_SUBJECT) for subject in info.state.subjects or {}}
        if self._draining:  # by now
            return
        for group in [each for each in self._open if each in wanted - taken]:  # as they came
            self._led[group] = _Led()
            tasks.start_soon(self._lead, group, self._led[group])

    async def _lead(self, group: str, led: _Led) -> None:
        try:
            with led.scope:
                await self._try(group, led)
        except* Fenced:
            self._worker.say(f"group {group}: another worker leads it now")
        except* KeyNotFoundError:  # its retention time is over, of which no watch tells
            self._open.pop(group, None)
        except* Exception as errors:  # other groups must not suffer from it
            self._shun(group, errors)
        finally:
            del self._led[group]
            self._worker.leads(len(self._led))
            self._quiet.set()
            self._quiet = anyio.Event()

    def _shun(self, group: str, errors: BaseExceptionGroup[Exception]) -> None:
        """Leave a group that could not be led to others, for a while."""
        error = first(errors)
        known = isinstance(error, ClusterError | LogError | NatsError | OSError)
        text = str(error) if known else fault(error)
        self._worker.say(f"group {group} can't be led here now: {text}")
        self._shunned[group] = anyio.current_time() + 2 * self._cluster.lease_s

    async def _try(self, group: str, led: _Led) -> None:
        value = encode(Lead(self._worker.name, self._worker.incarnation))
        bucket, lease_s = self._cluster.bucket(subjects.LEADERS), self._cluster.lease_s
        lease = Lease(bucket, group, value, lease_s, regains=True)
        try:
            await lease.take()
        except LeaseTaken:
            return
        try:
            self._worker.leads(len(self._led))
            led.leader = Leader(group, self._worker, self._allocator)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(self._keep, lease, tasks.cancel_scope))
                await led.leader.run()
                self._open.pop(group, None)
                tasks.cancel_scope.cancel()
        finally:
            await lease.give_back()

    async def _keep(self, lease: Lease, scope: anyio.CancelScope) -> None:
        await lease.keep()
        self._worker.say(f"group {lease.key}: another worker leads it now")
        scope.cancel()

    async def _answer(self, question: Msg) -> None:
        """Tell a worker whether a group that it has jobs of goes on."""
        group = question.data.decode(errors="replace")
        with suppress(NatsError, ClusterError, ValueError):
            await question.respond(await self._fate(group))

    async def _fate(self, group: str) -> bytes:
        try:
            entry = await self._cluster.bucket(subjects.GROUPS).get(group)
        except KeyNotFoundError:
            return subjects.OVER
        record = decode(entry.value or b"", GroupRecord)
        return subjects.OVER if record.state == "ended" else subjects.GOES_ON
