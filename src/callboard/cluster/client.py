"""What a client of a cluster does: submits groups, looks at them, and cancels them."""

import datetime as dt
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Container
from contextlib import aclosing, suppress
from typing import TypeVar

import anyio
from anyio.lowlevel import checkpoint
from attrs import evolve, frozen
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from callboard.cluster import bundles, subjects
from callboard.cluster.asking import asked
from callboard.cluster.bucket import change, take_job_ids
from callboard.cluster.bundle import pack
from callboard.cluster.connection import Cluster
from callboard.cluster.entries import is_entry
from callboard.cluster.errors import ClusterError
from callboard.cluster.hearing import LATE, Heard, attendance, heard
from callboard.cluster.history import read
from callboard.cluster.records import (
    NAME,
    GroupRecord,
    Registration,
    Settings,
    Table,
    Waiting,
    decode,
    encode,
    read_group,
)
from callboard.cluster.shared_table import KEY
from callboard.cluster.table import busy, describe, hopeless, needs_of
from callboard.definition.model import Definition
from callboard.definition.split import split
from callboard.events import Event, JobEnded, LogError, RunEnded
from callboard.events import decode as decode_event

T = TypeVar("T")

NO_GROUP = "CB276"

_LEAVE_S = 3.0
"""How long it may take to take back what was just submitted."""
_MOST_NAMES = 5


@frozen
class Submitted:
    """A group that the cluster has.

    Attributes:
        id: The group's UUID.
        first_id: Id of its first job.
        unserved: What it needs that no worker has, in words; it waits for that. None for nothing.
    """

    id: str
    first_id: int
    unserved: str | None


class Client:
    """A client of a cluster.

    Every call waits while the servers are away, and raises ClusterError when they refuse.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._groups = cluster.bucket(subjects.GROUPS)
        self._table = cluster.bucket(subjects.TABLE)
        self._workers = cluster.bucket(subjects.WORKERS)

    @property
    def lease_s(self) -> float:
        """Seconds after which a process that isn't heard of counts as dead."""
        return self._cluster.lease_s

    @property
    def hears(self) -> bool:
        """Whether the servers have been there for so long that whoever lives was heard of."""
        there_s = anyio.current_time() - self._cluster.since_s
        return self._cluster.connected and there_s > LATE * self.lease_s

    async def submit(
        self, definition: Definition, settings: Settings, first_id: int | None = None
    ) -> Submitted:
        """Hand a group to the cluster. It goes on when this client has died.

        Args:
            definition: The group; its sources have been fetched.
            settings: How it is to be run.
            first_id: Id of its first job; None takes the next free ones of the cluster.

        Raises:
            ClusterError: It is too large, or the servers refuse it.
            DefinitionError: A container's name becomes too long with its job's id.
        """
        bundle = await anyio.to_thread.run_sync(pack, definition)
        if first_id is None:
            ids = await self._asked(lambda: take_job_ids(self._table, definition.size))
            first_id = ids[0]
        group = str(uuid.uuid4())
        jobs = split(definition, first_id=first_id, group=group)
        left = hopeless(needs_of(jobs), await self.fleet())
        # What nobody knows of yet is garbage that expires, should this be the end.
        await self._asked(lambda: bundles.put(self._cluster, group, bundle.data))
        record = GroupRecord(
            name=definition.job_name,
            file=definition.file,
            nodes=definition.size,
            first_id=first_id,
            submitted_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            settings=settings,
        )
        try:
            await self._asked(lambda: self._create(group, record))
            await checkpoint()
        except anyio.get_cancelled_exc_class():  # perhaps when it was too late to do nothing
            with anyio.move_on_after(_LEAVE_S, shield=True), suppress(ClusterError):
                await self.cancel(group, "interrupted when it was submitted")
            raise
        return Submitted(group, first_id, describe(left) if left else None)

    async def find(self, prefix: str) -> str:
        """The id of the one group that begins with these characters.

        Raises:
            ClusterError: There is none, or more than one.
        """
        if NAME.fullmatch(prefix) and await self._knows(prefix):
            return prefix
        ids = sorted(each for each in await self.groups() if each.startswith(prefix))
        if len(ids) == 1 and prefix:
            return ids[0]
        if not ids or not prefix:
            where = self._cluster.access.shown
            text = f"there is no group {prefix!r} on the cluster at {where}"
            raise ClusterError(NO_GROUP, text, "`callboard list --all` lists all that there are")
        named = ", ".join(ids[:_MOST_NAMES]) + (" and more" if len(ids) > _MOST_NAMES else "")
        raise ClusterError(NO_GROUP, f"{len(ids)} groups begin with {prefix!r}: {named}")

    async def groups(self) -> dict[str, GroupRecord]:
        """All groups that the cluster still knows, by their ids."""
        found = await self._asked(self._groups.entries)
        records = ((group, read_group(group, data)) for group, (data, _) in found.items())
        return {group: record for group, record in records if record is not None}

    async def record(self, group: str) -> GroupRecord:
        """What the cluster knows of a group; raises ClusterError when that is nothing."""
        return decode(await self._asked(lambda: self._entry(group)), GroupRecord)

    async def fleet(self) -> tuple[Registration, ...]:
        """The workers that live."""
        return tuple(each.worker for each in (await self._heard()).values())

    async def cancel(self, group: str, reason: str) -> GroupRecord:
        """Ask whoever leads a group to end it in order; does nothing if it has ended.

        Returns:
            What the cluster knows of it now.
        """

        def make(old: bytes | None) -> bytes | None:
            if old is None:
                raise _unknown(group)
            record = decode(old, GroupRecord)
            if record.state == "ended" or record.cancel is not None:
                return None
            return encode(evolve(record, cancel=reason))

        data = await self._asked(lambda: change(self._groups, group, make))
        assert data is not None, "it was there"
        return decode(data, GroupRecord)

    async def events(self, group: str, *, follow: bool) -> AsyncGenerator[Event, None]:
        """What happened in a group, from its beginning.

        Args:
            group: The group.
            follow: Whether to wait for what happens, to the group's end; a group without an end,
                for which there were never devices, makes it wait for ever.

        Raises:
            ClusterError: The log can't be read.
        """
        async with aclosing(read(self._cluster, group, follow=follow)) as lines:
            async for line in lines:
                if is_entry(line):  # of a leader, for the next one
                    continue
                try:
                    event = decode_event(line)
                except LogError as error:
                    text = f"the log of {group} is not of this version's format"
                    cure = "use the version of callboard that the workers have"
                    raise ClusterError("CB271", text, cure) from error
                yield event
                if isinstance(event.body, RunEnded):
                    return

    async def why_queued(self, *groups: str) -> dict[str, str]:
        """What each of these groups waits for, which have no devices yet, in words for owners."""
        if not groups:
            return {}
        fleet = await self.fleet()
        if not any(each.leads and not each.draining for each in fleet):
            return dict.fromkeys(groups, _NO_LEADER)
        table = await self._given()
        said = dict.fromkeys(groups, "waiting for a worker to take it up")
        return said | {
            each.group: _wait(each, table, fleet) for each in table.waiting if each.group in said
        }

    async def why_stalled(self, *groups: str) -> dict[str, str]:
        """What those of these groups, which have devices, wait for that isn't there, in words."""
        if not groups:
            return {}
        workers = await self._heard()
        if not any(each.worker.leads for each in workers.values()):
            return dict.fromkeys(groups, _NO_LEADER)
        table = await self._given()
        said: dict[str, str] = {}
        for group in groups:
            seats = table.granted.get(group, {})
            if any(attendance(seats.values(), workers, self.lease_s).values()):
                ended = await self.ended(group)
                left = [seat for job, seat in seats.items() if job not in ended]
                silent = attendance(left, workers, self.lease_s).values()
                if awaited := [how for how in silent if how is not None]:
                    said[group] = f"waiting for {', '.join(awaited)}"
        return said

    async def attendance(self, group: str, done: Container[int]) -> dict[str, str | None]:
        """Who is needed for the jobs of a group; see `hearing.attendance`.

        Args:
            group: The group.
            done: Those of its jobs that have ended.

        Returns:
            Nobody as long as it has no devices.
        """
        seats = (await self._given()).granted.get(group)
        if seats is None:
            return {}
        left = [seat for job, seat in seats.items() if job not in done]
        return attendance(left, await self._heard(), self.lease_s)

    async def ended(self, group: str) -> set[int]:
        """The jobs of a group that have ended; reads its log."""
        async with aclosing(self.events(group, follow=False)) as events:
            return {each.body.job async for each in events if isinstance(each.body, JobEnded)}

    async def has_whole_log(self, group: str) -> bool:
        """Whether the log of a group has its end; reads it."""
        async with aclosing(self.events(group, follow=False)) as events:
            return any([isinstance(each.body, RunEnded) async for each in events])

    async def _heard(self) -> dict[str, Heard]:
        return heard(await self._asked(self._workers.entries))

    async def _given(self) -> Table:
        data = await self._asked(self._read_table)
        return decode(data, Table) if data else Table()

    async def _knows(self, group: str) -> bool:
        try:
            await self.record(group)
        except ClusterError as error:
            if error.code == NO_GROUP:
                return False
            raise
        return True

    async def _create(self, group: str, record: GroupRecord) -> None:
        try:
            await self._groups.create(group, encode(record))
        except KeyWrongLastSequenceError:
            return  # nobody else knows the id: an earlier try was stored

    async def _entry(self, group: str) -> bytes:
        try:
            return (await self._groups.get(group)).value or b""
        except KeyNotFoundError as error:
            raise _unknown(group) from error

    async def _read_table(self) -> bytes | None:
        try:
            return (await self._table.get(KEY)).value
        except KeyNotFoundError:
            return None

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await asked(self._cluster, ask)


_NO_LEADER = "no worker that leads groups is there; waiting for `callboard worker --nats URL`"


def _unknown(group: str) -> ClusterError:
    text = f"the cluster doesn't know the group {group} any more"
    return ClusterError(NO_GROUP, text, "it was removed, or its retention time is over")


def _wait(waiting: Waiting, table: Table, fleet: tuple[Registration, ...]) -> str:
    if left := hopeless(waiting.needs, fleet):
        return f"the cluster lacks {describe(left)}; waiting for a worker that offers more"
    taken = sorted(busy(waiting.needs, table, fleet))
    if not taken:
        return "waiting for devices; groups before this one get theirs first"
    more = f" and {len(taken) - _MOST_NAMES} more" if len(taken) > _MOST_NAMES else ""
    return f"waiting for devices; busy: {', '.join(taken[:_MOST_NAMES])}{more}"
