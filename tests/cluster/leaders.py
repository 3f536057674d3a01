"""Stands for a group's leader: it writes down what it is given, and runs nothing."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Any

from attrs import evolve

from callboard.cluster import subjects
from callboard.cluster.bucket import change
from callboard.cluster.connection import Cluster
from callboard.cluster.log import LogWriter
from callboard.cluster.records import GroupRecord, decode, encode
from callboard.definition import Definition, split
from callboard.events import (
    FORMAT,
    Body,
    ConsoleOutput,
    Event,
    JobCreated,
    JobEnded,
    JobStarted,
    Message,
    RunEnded,
    RunStarted,
)
from callboard.events import encode as encode_event

_ENTRY = b'{"entry":"led","worker":"fake"}\n'
_DATE = "2026-11-24T10:15:00+00:00"


async def alter(cluster: Cluster, group: str, **changes: Any) -> None:
    """Change the record of a group."""

    def make(old: bytes | None) -> bytes:
        assert old is not None
        return encode(evolve(decode(old, GroupRecord), **changes))

    await change(cluster.bucket(subjects.GROUPS), group, make)


async def write(cluster: Cluster, group: str, events: Iterable[Event], last: int = 0) -> int:
    """Write a part of a log, as the leader of a new term; returns the number of its last batch."""
    writer = LogWriter(cluster, group, last)
    await writer.begin(_ENTRY)
    for event in events:
        writer.append(encode_event(event))
    writing = asyncio.create_task(writer.run())
    try:
        await writer.flush()
    finally:
        writing.cancel()
    return writer.last


async def lead(cluster: Cluster, group: str, events: Iterable[Event], code: int = 0) -> None:
    """Lead a group from its first event to its end."""
    await alter(cluster, group, state="running")
    await write(cluster, group, events)
    await alter(cluster, group, state="ended", status="complete", exit_code=code)


async def records(cluster: Cluster) -> AsyncGenerator[tuple[str, GroupRecord], None]:
    """Every record of a group, and each as it changes, for ever."""
    watcher = await cluster.bucket(subjects.GROUPS).watchall()
    try:
        while True:
            entry = await watcher.updates(timeout=60)  # type: ignore[no-untyped-call]
            if entry is not None and entry.value:
                yield entry.key, decode(entry.value, GroupRecord)
    finally:
        await watcher.stop()  # type: ignore[no-untyped-call]


async def submitted(cluster: Cluster) -> tuple[str, GroupRecord]:
    """The first group that somebody submits."""
    async with aclosing(records(cluster)) as found:
        async for group, record in found:
            return group, record
    raise AssertionError("it goes on for ever")


async def cancelled(cluster: Cluster, group: str) -> str:
    """Why a group is cancelled, as soon as it is."""
    async with aclosing(records(cluster)) as found:
        async for each, record in found:
            if each == group and record.cancel is not None:
                return record.cancel
    raise AssertionError("it goes on for ever")


def events_of(
    definition: Definition, group: str, first_id: int, ended: RunEnded | None = None
) -> list[Event]:
    """What happens in a group whose nodes start, say something and end."""
    jobs = split(definition, first_id=first_id, group=group)
    name, size = definition.job_name, len(jobs)
    bodies: list[Body] = [RunStarted(FORMAT, group, name, definition.multinode, size, _DATE)]
    for number, job in enumerate(jobs):
        role = job.role.name if job.role else None
        bodies.append(JobCreated(job.id, number, role, f"local-{number}", "local", job.text))
    for job in jobs:
        bodies += [
            JobStarted(job.id),
            Message(job.id, "warning", f"hello from {job.id}"),
            ConsoleOutput(job.id, "common", f"console of {job.id}"),
            JobEnded(job.id, "complete", None, 0.5),
        ]
    bodies.append(ended or RunEnded("complete", 0, 1.0))
    return [Event(seq, seq / 10, "/group", body, None) for seq, body in enumerate(bodies, 1)]
