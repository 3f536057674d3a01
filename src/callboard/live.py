"""A group that runs: journal and actors put together, in real or in virtual time."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from attrs import frozen

from callboard.actors.drivers.switches import Switches
from callboard.actors.group import Group, Rules
from callboard.actors.messages import GroupDone, GroupMessage, Interrupt, RunGroup
from callboard.actors.post import Post
from callboard.actors.progress import Progress
from callboard.definition.model import Definition
from callboard.events import FORMAT, DeadLetter, Event, RunEnded, RunStarted, Status
from callboard.journal import Journal, Mask
from callboard.report import Job
from callboard.runtime import ActorRef, ActorSystem
from callboard.runtime import DeadLetter as Undelivered
from callboard.sources import secret_values

Observer = Callable[[Event], None]
"""Is given every event of a run, in order; it must not wait."""


@frozen
class GroupResult:
    """How a run ended.

    Attributes:
        status: `complete` if every job is; it follows health only.
        exit_code: What the command line would exit with.
        duration_s: How long it took, in seconds.
        jobs: Every job with its results.
        directory: Where the run is recorded, None where that is nowhere.
    """

    status: Status
    exit_code: int
    duration_s: float
    jobs: tuple[Job, ...]
    directory: Path | None

    def of(self, role: str) -> tuple[Job, ...]:
        """The jobs of a role, in the order of its nodes.

        Raises:
            LookupError: No job has that role.
        """
        found = tuple(job for job in self.jobs if job.role == role)
        if not found:
            roles = ", ".join(dict.fromkeys(job.role for job in self.jobs if job.role))
            raise LookupError(f"no job has the role '{role}'; there are: {roles or 'no roles'}")
        return found


class LiveGroup:
    """A group that is running; made by `perform`.

    Attributes:
        directory: Where it is recorded, None where that is nowhere.
        log_error: Why it can't be recorded any more, None as long as it can.
    """

    def __init__(self, posts: tuple[Post, ...], journal: Journal) -> None:
        self._posts = posts
        self._journal = journal
        self._group: ActorRef[GroupMessage] | None = None
        self._interrupted = False
        self._abandoned = False
        self._ended: RunEnded | None = None
        self._over = anyio.Event()
        self._listeners: list[MemoryObjectSendStream[Event]] = []
        self.directory: Path | None = None
        self.log_error: OSError | None = None

    @property
    def time_s(self) -> float:
        """Seconds since the run began."""
        return self._journal.time_s

    def events(self) -> AsyncGenerator[Event, None]:
        """Every event from now on, up to the end of the run.

        The group does not wait for who takes them: what is not taken yet is kept in memory.
        """
        send, receive = anyio.create_memory_object_stream[Event](math.inf)
        if self._over.is_set():
            send.close()
        else:
            self._listeners.append(send)
            self._journal.add(partial(_pass_on, send))
        return _taken(receive)

    def interrupt(self, reason: str) -> None:
        """End every job in order; the run then has the status `canceled` and exit code 130.

        Args:
            reason: Why, as it stands in the jobs' errors.
        """
        if self._ended is None:
            self._interrupted = True
            self._stop(reason)

    def kill(self) -> None:
        """End every process of every node now, on top of an interruption."""
        for post in self._posts:
            post.kill()

    async def wait(self) -> RunEnded:
        """How the run ended; waits until every job has been finalised.

        Raises:
            RuntimeError: The group itself failed; leaving its context raises its error.
        """
        await self._over.wait()
        if self._ended is None:
            raise RuntimeError("the group failed before its end")
        return self._ended

    def start(self, group: ActorRef[GroupMessage]) -> None:
        """Run the group; for `perform`."""
        self._group = group
        group.tell_nowait(RunGroup())

    def log_failed(self, error: OSError) -> None:
        """The run can't be recorded any more: end it in order, with exit code 3."""
        self.log_error = error
        self._stop(f"the event log can't be written: {error}")

    def ended(self, done: GroupDone | None) -> None:
        """Record how the group ended, as it says itself; for `perform`."""
        if done is not None:
            ended = RunEnded(*self._outcome(done), duration_s=self._journal.time_s)
            self._journal.emit("/group", ended)
            self._ended = ended
        self._over.set()
        for listener in self._listeners:
            listener.close()

    def abandon(self) -> None:
        """Leave the group to another that takes it up: its context ends no job, only its actors.

        They answer open requests with their end. Jobs elsewhere must not hear of that, nor must
        the log tell of it.
        """
        self._abandoned = True

    async def close(self) -> None:
        """End every job in order, and return when that is done; for `perform`."""
        if self._abandoned:
            return
        self.interrupt("the group was closed")
        await self._over.wait()

    def _stop(self, reason: str) -> None:
        if self._group is not None:
            self._group.tell_nowait(Interrupt(reason))

    def _outcome(self, done: GroupDone) -> tuple[Status, int]:
        complete = all(health == "complete" for health in done.healths)
        if self._interrupted:
            return "canceled", 130
        if not complete or self.log_error is not None:
            return "complete" if complete else "incomplete", 3
        return "complete", 1 if done.failures else 0


def _pass_on(stream: MemoryObjectSendStream[Event], event: Event) -> None:
    # Who listened has gone, or the run has ended: then nobody misses it.
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        stream.send_nowait(event)


async def _taken(stream: MemoryObjectReceiveStream[Event]) -> AsyncGenerator[Event, None]:
    with stream:
        async for event in stream:
            yield event


@contextlib.asynccontextmanager
async def perform(
    definition: Definition,
    name: str,
    posts: tuple[Post, ...],
    sinks: Iterable[Observer],
    rules: Rules,
    started_at: str | None = None,
    order: Callable[[int], int] | None = None,
    switches: Mapping[str, Switches] = MappingProxyType({}),
    journal: Journal | None = None,
    progress: Progress | None = None,
) -> AsyncIterator[LiveGroup]:
    """The group while it runs, from the first event of its log to the last.

    Args:
        definition: What its jobs are from.
        name: The group's UUID.
        posts: Every job, and who does it.
        sinks: Are given every event.
        rules: How the group's coordination works.
        started_at: When it began, by the calendar; None in virtual time.
        order: Chooses which of n actors that have something to do is served next; None is first
            come, first served.
        switches: By the name of each VLAN of the group, what moves ports into it.
        journal: Where its actors record what happens; None makes one that begins now.
        progress: How far the group has come that this one takes up, whose log `journal` goes on
            with; None for a group that begins.

    Raises:
        OSError: A sink can't take the first event.
    """
    if journal is None:
        journal = Journal(
            asyncio.get_running_loop().time,  # anyio.current_time asks it, at thrice its price
            mask=Mask([*definition.secrets.values(), *secret_values(definition)]),
            sinks=sinks,
            failed=lambda error: live.log_failed(error),  # noqa: PLW0108 - it is made below
        )
    else:
        for sink in sinks:
            journal.add(sink)
    live = LiveGroup(posts, journal)
    if progress is None:
        started = RunStarted(
            format=FORMAT,
            group=name,
            name=definition.job_name,
            multinode=definition.multinode,
            jobs=len(posts),
            started_at=started_at,
        )
        journal.emit("/", started)
    if live.log_error is not None:
        raise live.log_error

    def undelivered(letter: Undelivered) -> None:
        journal.emit(letter.address, DeadLetter(letter.address, type(letter.message).__name__))

    async with ActorSystem(on_dead_letter=undelivered, order=order) as system:
        secrets = definition.secrets

        def group() -> Group:
            return Group(posts, journal, secrets, live.ended, rules, switches, progress)

        live.start(system.spawn(group, "group"))
        try:
            yield live
        finally:
            with anyio.CancelScope(shield=True):
                await live.close()
