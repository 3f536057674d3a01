"""Says whether groups have ended as they should, after all that befell them."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import pairwise

from attrs import frozen
from nats.errors import Error as NatsError
from tests.cluster.arena import Arena
from tests.cluster.referee import Stay

from callboard.cluster import subjects
from callboard.cluster.client import Client
from callboard.cluster.entries import is_entry
from callboard.cluster.errors import ClusterError
from callboard.cluster.history import read
from callboard.cluster.rebuilt import Rebuilt, rebuild
from callboard.cluster.records import GroupRecord
from callboard.cluster.shared_table import read_table
from callboard.events import CallAnswered, Event, JobEnded, RunEnded, RunStarted, decode

_AFTER_S = 15.0
"""How long it may take, besides leases, until nothing is left of a group."""


@frozen
class Away:
    """When a worker could not do its part.

    Attributes:
        worker: Its name.
        begun_s: Since when, by the clock that only goes forward.
        lasted_s: For how long; for ever for the process that was killed.
    """

    worker: str
    begun_s: float
    lasted_s: float


@frozen
class Judged:
    """How a group ended.

    Attributes:
        exit_code: As its users see it.
        ended_s: When, by the clock that only goes forward.
        lost: Its jobs that ended because their worker was lost.
    """

    exit_code: int
    ended_s: float
    lost: tuple[int, ...]


class Ends:
    """Sees when groups end; `watch` in a task.

    Attributes:
        records: What the cluster knows of each group.
        begun: Set when the first one runs.
        at_s: When each was seen to have ended, by the clock that only goes forward.
    """

    def __init__(self, arena: Arena) -> None:
        self._client = Client(arena.cluster)
        self.records: dict[str, GroupRecord] = {}
        self.begun = asyncio.Event()
        self.at_s: dict[str, float] = {}

    async def watch(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(0.2)

    async def look(self) -> bool:
        """Look once; whether all groups have ended."""
        with suppress(ClusterError):  # they don't answer for long
            self.records = await self._client.groups()
            for group, record in self.records.items():
                if record.state != "queued":
                    self.begun.set()
                if record.state == "ended":
                    self.at_s.setdefault(group, time.monotonic())
            return len(self.at_s) == len(self.records)
        return False


async def judge(
    arena: Arena,
    ends: Ends,
    away: Sequence[Away],
    groups: dict[str, Judged],
    complaints: list[str],
    patience_s: float,
) -> None:
    """Wait for the ends of all groups, and look at each.

    Args:
        arena: Where they ran.
        ends: Has seen when they ended.
        away: When which worker was away.
        groups: Takes how each ended, by its name.
        complaints: Takes what should not have been.
        patience_s: How long they may take.
    """
    deadline_s = time.monotonic() + patience_s
    while not await ends.look() and time.monotonic() < deadline_s:  # noqa: ASYNC110 - of servers
        await asyncio.sleep(0.2)
    seats: dict[int, tuple[str, str]] = {}
    for group, record in ends.records.items():
        if record.state != "ended":
            complaints.append(f"{record.name} ({group}) is {record.state} after {patience_s} s")
            continue
        lines = await _lines(arena, group)
        rebuilt = rebuild(lines)
        events = [decode(line) for line in lines if not is_entry(line)]
        stays = {each.job: each for each in arena.referee.stays}
        if record.exit_code is None:
            complaints.append(f"{record.name} has ended, and nobody knows how")
        found = _Group(record, rebuilt, events, stays, away, arena.cluster.lease_s)
        complaints += [f"{record.name} ({group}): {each}" for each in found.complaints()]
        groups[record.name] = Judged(record.exit_code or 0, ends.at_s[group], tuple(found.lost))
        for job, seat in (rebuilt.seats or {}).items():
            seats[job] = seat.worker, seat.device
    for client in arena.clients:
        if client.document is not None and client.name in groups:
            said, is_so = client.document["exit_code"], groups[client.name].exit_code
            if said != is_so:
                complaints.append(f"the client of {client.name} said {said}, but it is {is_so}")
    complaints += await _leftovers(arena)
    complaints += _twice(arena.referee.stays, seats)


@frozen
class _Group:
    """A group that has ended."""

    record: GroupRecord
    rebuilt: Rebuilt
    events: Sequence[Event]
    stays: dict[int | None, Stay]
    away: Sequence[Away]
    lease_s: float

    @property
    def lost(self) -> list[int]:
        """Its jobs whose worker was lost."""
        ended = self.rebuilt.jobs_ended
        return [
            job
            for job, each in ended.items()
            if each.error is not None and each.error.type == "InfrastructureError"
        ]

    def complaints(self) -> Iterator[str]:
        """What is wrong."""
        yield from _log(self.events)
        ended = self.rebuilt.jobs_ended
        if len(ended) != self.record.nodes:
            yield f"{len(ended)} of its {self.record.nodes} jobs have an end"
        lost = self.lost
        for job in lost:
            worker = self.rebuilt.seats[job].worker if self.rebuilt.seats else "?"
            if not any(
                each.worker == worker and each.lasted_s > self.lease_s for each in self.away
            ):
                yield f"job {job} was lost, and {worker} was not: {ended[job].error}"
        if not lost and self.record.exit_code != 0:
            errors = [str(each.error) for each in ended.values() if each.error]
            yield f"exit code {self.record.exit_code}, and nobody was lost: {errors}"
        for job, each in ended.items():
            if each.health == "complete" and job not in self.stays:
                yield f"job {job} is complete and was never there"
            if not lost and job in self.stays and not self.stays[job].words("done"):
                yield f"job {job} was not done"
        yield from self._words()

    def _words(self) -> Iterator[str]:
        """What nodes have said to each other and not heard."""
        jobs = list(self.rebuilt.jobs_ended)
        sends: dict[str, dict[str, str]] = defaultdict(dict)
        sent: dict[str, set[int]] = defaultdict(set)
        for job in jobs:
            for number, value in self._said(job, "sends"):
                sends[number][str(job)] = value
            for (number,) in self._said(job, "sent"):
                if job not in self.lost:  # `lava-send` doesn't wait until it is answered
                    sent[number].add(job)
        for event in self.events:
            match event.body:
                case CallAnswered(job, "send", name, "pass"):
                    sent[name.removeprefix("word-")].add(job)
                case _:
                    pass
        for job in jobs:
            for number, *pairs in self._said(job, "heard"):
                if (heard := dict(pair.split("=") for pair in pairs)) != sends[number]:
                    yield f"job {job} has heard {heard}, and it was {sends[number]}"
            if job in self.lost:
                continue  # a call fails when the worker of its node is killed
            for call, number in self._said(job, "failed"):
                if call in ("wait", "wait-all") and sent[number] == set(jobs):
                    yield f"job {job} has not heard in round {number} what all had sent"
                if call == "wait" and job in sent[number]:
                    yield f"job {job} has not heard in round {number} what it sent itself"

    def _said(self, job: int, verb: str) -> list[list[str]]:
        return self.stays[job].words(verb) if job in self.stays else []


async def _lines(arena: Arena, group: str) -> list[bytes]:
    async with aclosing(read(arena.cluster, group, follow=False)) as found:
        return [line async for line in found]


async def _leftovers(arena: Arena) -> list[str]:
    """What the cluster still has of groups when they have ended, after a while."""
    left: list[str] = []
    deadline_s = time.monotonic() + _AFTER_S + 4 * arena.cluster.lease_s
    while time.monotonic() < deadline_s:
        left = []
        table = await read_table(arena.cluster)
        left += [f"{group} has devices" for group in table.granted]
        left += [f"{each.group} waits" for each in table.waiting]
        left += await _subjects(arena, f"KV_{subjects.LEADERS}", ">")
        left += await _subjects(arena, f"OBJ_{subjects.BUNDLES}", "$O.*.C.>")
        left += [f"job {each.job} goes on" for each in arena.referee.stays if each.ended_s is None]
        if not left:
            return []
        await asyncio.sleep(0.2)
    return [f"left in the cluster: {each}" for each in left]


async def _subjects(arena: Arena, stream: str, of: str) -> list[str]:
    try:
        info = await arena.cluster.js.stream_info(stream, subjects_filter=of)
    except NatsError:
        return [f"no answer about {stream}"]
    return list(info.state.subjects or {})


def _log(events: Sequence[Event]) -> Iterator[str]:
    """What is wrong with a log as such."""
    if not events or not isinstance(events[0].body, RunStarted):
        yield "its log has no beginning"
    elif not isinstance(events[-1].body, RunEnded):
        yield "its log has no end"
    if [each.seq for each in events] != list(range(1, len(events) + 1)):
        yield "its events are not numbered one by one"
    if any(after.time_s < before.time_s for before, after in pairwise(events)):
        yield "its time goes back"
    if any(each.cause is not None and each.cause >= each.seq for each in events):
        yield "an effect comes before its cause"
    ends = Counter(each.body.job for each in events if isinstance(each.body, JobEnded))
    if ends and max(ends.values()) > 1:
        yield "a job has ended twice"


def _twice(stays: Sequence[Stay], seats: dict[int, tuple[str, str]]) -> Iterator[str]:
    """Devices that two jobs have used at a time."""
    uses: dict[tuple[str, str], list[Stay]] = defaultdict(list)
    for each in stays:
        if each.job in seats:
            uses[seats[each.job]].append(each)
        else:
            yield f"job {each.job} ran, and no log knows where"
    for device, ones in uses.items():
        ones.sort(key=lambda each: each.begun_s)
        for before, after in pairwise(ones):
            if before.ended_s is None or before.ended_s > after.begun_s:
                yield f"jobs {before.job} and {after.job} have both used {device}"
