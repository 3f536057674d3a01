"""A group that has its devices: its own actors here, its jobs on the workers that have them."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio

from callboard.actors.coordinator import Patience
from callboard.actors.group import Rules
from callboard.actors.ledger import Ledger
from callboard.actors.messages import JobDone
from callboard.actors.post import Employer, Post
from callboard.actors.progress import Noted
from callboard.cluster import entries, subjects
from callboard.cluster.envoy import Envoy, EnvoyMessage, JobLost
from callboard.cluster.exchange import Exchange
from callboard.cluster.expected_ref import ExpectedRef
from callboard.cluster.home import Home, Log
from callboard.cluster.hosts import Contracts
from callboard.cluster.ledger import LogLedger
from callboard.cluster.messages import (
    COORDINATOR,
    LEADER,
    job_address,
)
from callboard.cluster.rebuilt import Rebuilt
from callboard.cluster.recorder import Recorder
from callboard.cluster.records import Seat, Settings
from callboard.cluster.staff import Staff
from callboard.cluster.wire import Codec
from callboard.definition.model import Definition, NodeJob
from callboard.definition.senders import Senders
from callboard.events import Event, Failure, JobEnded, RunEnded
from callboard.flow.background import with_background
from callboard.flow.check import check
from callboard.flow.senders import senders_of
from callboard.journal import Mask
from callboard.live import LiveGroup, perform
from callboard.runtime import ActorRef, DeadLetter
from callboard.sources import secret_values

_MOST_HELD_BYTES = 64 * 1024 * 1024
"""Parcels that wait for the log: while nothing is stored, each second adds all of them anew."""


class Reign:
    """Runs a group whose jobs are elsewhere; satisfies `envoy.Muster`.

    Args:
        group: The group's id.
        home: This worker.
        definition: What the group runs.
        jobs: All its jobs.
        seats: Where each runs.
        log: The group's log, which this worker writes.
        rebuilt: How far the log goes.
    """

    def __init__(
        self,
        group: str,
        home: Home,
        definition: Definition,
        jobs: Sequence[NodeJob],
        seats: Mapping[int, Seat],
        log: Log,
        rebuilt: Rebuilt,
    ) -> None:
        self._group = group
        self._home = home
        self._definition = definition
        self._jobs = jobs
        self._seats = seats
        self._writer = log.writer
        self._rebuilt = rebuilt
        self._live: LiveGroup | None = None
        self._interruption: str | None = None
        self._envoys: dict[int, ActorRef[EnvoyMessage]] = {}
        self._far = {job_address(job.id): job.id for job in jobs}
        self._held_bytes = 0
        self._expected: dict[str, ExpectedRef] = {}
        self._ended = dict(self._rebuilt.jobs_ended)
        self._done = set(self._rebuilt.done)
        self._muted = False
        self._secrets = [*definition.secrets.values(), *secret_values(definition)]
        self._exchange = Exchange(
            LEADER,
            self._post,
            term=log.term,
            limit=home.cluster.limit_bytes,
            on_dead_letter=self._miss,
            on_problem=lambda box, text: home.say(f"group {group}: {box}: {text}"),
        )
        self._codec = Codec(self._exchange)
        self._recorder = Recorder(
            anyio.current_time,
            log.writer.append,
            mask=Mask(self._secrets),
            rebuilt=self._rebuilt,
            pause_s=log.pause_s,
        )
        self._recorder.add(self._notice)
        self._staff = Staff(
            group,
            home,
            jobs,
            seats,
            self._exchange,
            self._recorder,
            log.writer,
            rebuilt,
            self._lose,
        )

    async def run(
        self, settings: Settings, begin: Callable[[], Awaitable[None]]
    ) -> RunEnded | None:
        """Run the group to its end, and dismiss its workers; when cancelled it is left as it is.

        Args:
            settings: How it is to be run.
            begin: Called when it is on record where the jobs run, before anything is done there.

        Returns:
            How it ended; None when a worker has left before it began, so that it needs other seats
            and a new term.
        """
        line, own = self._home.cluster, subjects.up(self._home.name, self._group)

        def take(subject: str, data: bytes) -> None:
            self._exchange.arrive(subjects.sender(subject)[0], data)

        try:
            async with line.taking(subjects.up("*", self._group), take, own):
                with line.each_time_back(self._exchange.hasten):
                    return await self._run(settings, begin)
        finally:
            self._exchange.close()  # else it would send again for ever what nobody answers

    async def _run(
        self, settings: Settings, begin: Callable[[], Awaitable[None]]
    ) -> RunEnded | None:
        ended: RunEnded | None = None
        async with anyio.create_task_group() as tasks:
            try:
                verdict = await self._home.aside(partial(check, self._definition))
                programs = verdict.extraction.programs
                await self._prepare(settings, with_background(self._definition, programs))
                if await self._settle():
                    await begin()
                    await self._staff.employ(tasks)
                    ended = await self._perform(self._rules(settings, senders_of(programs)))
                    await self._staff.dismiss()
            finally:
                self.leave()
            tasks.cancel_scope.cancel()
        return ended

    def _rules(self, settings: Settings, senders: Senders) -> Rules:
        return Rules(
            senders,
            Patience(settings.fail_fast, settings.deadlock_grace_s),
            ledger=self._ledger,
            note=self._note,
        )

    def interrupt(self, reason: str) -> None:
        """End every job in order."""
        self._interruption = reason
        if self._live is not None:
            self._live.interrupt(reason)
        elif self._rebuilt.started is None:  # workers that have jobs answer at once
            self._staff.interrupt(reason)

    def leave(self) -> None:
        """Say nothing any more, and end nothing: the group is over, or somebody else takes it."""
        self._muted = True
        if self._live is not None:
            self._live.abandon()

    # What envoys know each other by

    def enlist(self, job: int, envoy: ActorRef[EnvoyMessage], employer: Employer) -> None:
        """See `Muster.enlist`."""
        self._envoys[job] = envoy
        if employer.coordinator is not None:
            self._admit(employer.coordinator)
        self._admit(envoy, self._seats[job].worker)
        if (failure := self._staff.failure(job)) is not None:
            self._lose(job, failure)

    def ended(self, job: int) -> JobEnded | None:
        """See `Muster.ended`."""
        return self._ended.get(job)

    # Parts

    def _expect(self, address: str, box: str | None = None) -> None:
        """Keep what workers say to an actor that isn't there yet: they need not know that."""
        self._expected[address] = expected = ExpectedRef(address)
        self._exchange.export(expected, box)

    def _admit(self, actor: ActorRef[Any], box: str | None = None) -> None:
        """Let workers speak to an actor."""
        self._exchange.export(actor, box)
        if (expected := self._expected.pop(actor.address, None)) is not None:
            expected.meet(actor)

    def _post(self, box: str, data: bytes) -> None:
        """Send a parcel, as soon as all that led to it is stored."""
        if self._held_bytes > _MOST_HELD_BYTES:
            return  # servers that store nothing; what is in it is posted again in a while
        self._held_bytes += len(data)
        subject = subjects.down(box, self._group)
        self._writer.when_stored(lambda: self._send(subject, data))

    def _send(self, subject: str, data: bytes) -> None:
        self._held_bytes -= len(data)
        if not self._muted:
            self._home.cluster.post(subject, data)

    def _notice(self, event: Event) -> None:
        if isinstance(event.body, JobEnded):
            self._ended[event.body.job] = event.body

    def _miss(self, letter: DeadLetter) -> None:
        """A worker has no such job (any more), or is lost."""
        job = self._far.get(letter.address)
        if job is None or self._muted:
            return
        text = f"worker {self._seats[job].worker} has ended job {job} without a word"
        self._lose(job, self._staff.failure(job) or Failure("InfrastructureError", text))

    def _lose(self, job: int, failure: Failure) -> None:
        """Nothing more is heard of a job, which matters as long as its group hasn't heard its end.

        The envoys of those that have ended may be gone.
        """
        if job in self._envoys and job not in self._done:
            self._envoys[job].tell_nowait(JobLost(failure))

    def _note(self, noted: Noted) -> None:
        """Have it on record before the group acts on it."""
        self._writer.append(entries.encode(noted))
        if isinstance(noted, JobDone):
            self._done.add(noted.job)

    def _ledger(self) -> Ledger:
        return LogLedger(self._writer.append, self._codec, self._recorder.seq_of, self._rebuilt)

    async def _prepare(self, settings: Settings, background: Mapping[str, bool]) -> None:
        """Have ready all that workers may say or ask for."""
        contracts = Contracts(
            self._codec,
            self._jobs,
            self._seats,
            settings,
            background,
            self._definition.secrets,
            self._secrets,
        )
        self._expect(COORDINATOR)
        for job in self._jobs:
            if job.id not in self._rebuilt.done:
                self._expect(job_address(job.id), self._seats[job.id].worker)
        await self._staff.prepare(contracts)

    async def _settle(self) -> bool:
        """Put on record that the jobs have these seats, if all workers stay; whether they do."""
        if self._rebuilt.seats is not None:
            return True
        if not await self._staff.engage():
            return False
        self._writer.append(entries.encode(entries.Allotted(self._seats)))
        await self._writer.flush()
        return True

    async def _perform(self, rules: Rules) -> RunEnded:
        posts = tuple(
            Post(
                job,
                f"{seat.worker}/{seat.device}",  # each worker may have a `local-1`
                seat.driver,
                partial(self._envoy, job.id),
                lambda: None,
            )
            for job in self._jobs
            for seat in (self._seats[job.id],)
        )
        async with perform(
            self._definition,
            self._group,
            posts,
            (),
            rules,
            started_at=dt.datetime.now(dt.UTC).isoformat(),
            journal=self._recorder,
            progress=self._rebuilt.progress,
        ) as live:
            self._live = live
            try:
                if self._interruption is not None:
                    live.interrupt(self._interruption)
                return await live.wait()
            except BaseException:
                self.leave()
                raise

    def _envoy(self, job: int, employer: Employer) -> Envoy:
        remote = self._exchange.ref(self._seats[job].worker, job_address(job))
        return Envoy(job, remote, employer, self)
