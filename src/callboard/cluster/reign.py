"""A group that has its devices: its own actors here, its jobs on the workers that have them."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup

from callboard.actors.coordinator import Patience
from callboard.actors.group import Rules
from callboard.actors.ledger import Ledger
from callboard.actors.messages import JobDone
from callboard.actors.post import Employer, Post
from callboard.actors.progress import Noted
from callboard.cluster import entries, guard, subjects
from callboard.cluster.envoy import Envoy, EnvoyMessage, JobLost
from callboard.cluster.exchange import Exchange
from callboard.cluster.expected_ref import ExpectedRef
from callboard.cluster.home import Home, Log
from callboard.cluster.hosts import Contracts, Host, hosts_of
from callboard.cluster.ledger import LogLedger
from callboard.cluster.messages import (
    CONTRACT,
    COORDINATOR,
    HOST,
    LEADER,
    RECORDER,
    SOURCES,
    Dismiss,
    Employ,
    Employed,
    Engage,
    FetchPart,
    job_address,
)
from callboard.cluster.rebuilt import Rebuilt
from callboard.cluster.recorder import Recorder
from callboard.cluster.records import Seat, Settings
from callboard.cluster.table import stands
from callboard.cluster.wire import Codec
from callboard.definition.model import Definition, NodeJob
from callboard.definition.senders import Senders
from callboard.events import Event, Failure, JobEnded, RunEnded
from callboard.flow.background import with_background
from callboard.flow.check import check
from callboard.flow.senders import senders_of
from callboard.journal import Mask
from callboard.live import LiveGroup, perform
from callboard.runtime import ActorError, ActorRef, DeadLetter
from callboard.sources import secret_values

_OVER = "the group is over"

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
        assert home.fleet is not None, "who leads sees the fleet"
        self._group = group
        self._home = home
        self._fleet = home.fleet
        self._definition = definition
        self._jobs = jobs
        self._seats = seats
        self._writer = log.writer
        self._rebuilt = rebuilt
        self._live: LiveGroup | None = None
        self._interruption: str | None = None
        self._engaging = anyio.CancelScope()
        self._employing = anyio.CancelScope()
        self._envoys: dict[int, ActorRef[EnvoyMessage]] = {}
        self._far = {job_address(job.id): job.id for job in jobs}
        self._held_bytes = 0
        self._expected: dict[str, ExpectedRef] = {}
        self._ended = dict(self._rebuilt.jobs_ended)
        self._done = set(self._rebuilt.done)
        self._muted = self._over = False
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
        self._hosts = hosts_of(jobs, seats)
        self._host = {job.id: host for host in self._hosts for job in host.jobs}

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
                    await self._employ(tasks)
                    ended = await self._perform(self._rules(settings, senders_of(programs)))
                    self._over = True
                    await self._dismiss_all()
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
            self._engaging.cancel()
            self._employing.cancel()

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
        host = self._host[job]
        self._admit(envoy, host.worker)
        if host.failure is not None:
            self._lose(job, host.failure)

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
        failure = self._host[job].failure or Failure("InfrastructureError", text)
        self._lose(job, failure)

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

    # The workers

    async def _prepare(self, settings: Settings, background: Mapping[str, bool]) -> None:
        """Have ready all that workers may ask for."""
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
        for host in self._hosts:
            own = frozenset(job.id for job in host.jobs)
            for job in own - self._rebuilt.done.keys():
                self._expect(job_address(job), host.worker)
            self._recorder.admit(host.worker, own)
            may = partial(guard.check, host.worker, own)
            self._exchange.admit(host.worker, host.incarnation, may)
            await self._home.aside(partial(contracts.write, host))

    async def _settle(self) -> bool:
        """Put on record that the jobs have these seats, if all workers stay; whether they do."""
        if self._rebuilt.seats is not None:
            return True
        with self._engaging:  # an interruption waits for no promise
            if not await self._engage():
                return False
        self._writer.append(entries.encode(entries.Allotted(self._seats)))
        await self._writer.flush()
        return True

    async def _engage(self) -> bool:
        """Have every worker promise to stay; False as soon as one is known to leave, or has left.

        Between the grant of its devices and this, nothing keeps a worker that drains. Where it
        leaves, nothing has begun anywhere, nor is held but a promise, which lapses by itself.
        """
        async with anyio.create_task_group() as waiting:
            waiting.start_soon(self._see_leaving, waiting.cancel_scope)
            async with anyio.create_task_group() as asking:
                for host in self._hosts:
                    asking.start_soon(self._engage_at, host)
            if all(host.engaged for host in self._hosts):
                waiting.cancel_scope.cancel()
        return all(host.engaged for host in self._hosts)

    async def _engage_at(self, host: Host) -> None:
        host.engaged = await self._exchange.ref(host.worker, HOST).ask(Engage())

    async def _see_leaving(self, waiting: anyio.CancelScope) -> None:
        while stands(self._seats.values(), self._fleet.registrations):
            await self._fleet.changed()
        waiting.cancel()

    async def _employ(self, tasks: TaskGroup) -> None:
        """Have every worker make its nodes; one that can't, or is lost, has a failure then.

        An interruption waits for nobody.
        """
        for host in self._hosts:
            if (failure := self._rebuilt.given_up.get(host.worker)) is not None:
                host.lost = True
                self._give_up(host, failure)
                tasks.start_soon(self._send_home, host, failure.message)
            elif all(job.id in self._rebuilt.done for job in host.jobs):
                tasks.start_soon(self._send_home, host, "its jobs have ended")
            else:
                tasks.start_soon(self._watch, host)
        with self._employing:
            async with anyio.create_task_group() as asking:
                for host in self._hosts:
                    asking.start_soon(self._employ_at, host)
        for host in self._hosts:
            if not host.answered:
                self._give_up(host, Failure("Canceled", self._interruption or ""))

    async def _employ_at(self, host: Host) -> None:
        if host.lost or host.answered:  # it was lost before this leader came, or is done
            host.answered = True
            return
        box, exchange = host.worker, self._exchange
        exchange.function_ref(CONTRACT, partial(_part, host.contract), box)
        exchange.function_ref(SOURCES, partial(_part, host.sources), box)
        exchange.function_ref(RECORDER, partial(self._recorder.relay, box), box)
        request = Employ(self._recorder.time_s, len(host.contract), len(host.sources))
        try:
            employed = await exchange.ref(box, HOST).ask(request)
        except ActorError as error:  # it may be lost, and `_watch` has said so
            employed = Employed(f"worker {box} doesn't take jobs: {error}")
        host.answered = True
        if employed.problem is not None and host.failure is None:
            host.failure = Failure("InfrastructureError", employed.problem)

    async def _watch(self, host: Host) -> None:
        """See when a worker is lost, and fail its jobs then."""
        await self._fleet.wait_lost(host.worker, host.incarnation)
        if self._over:  # it was dismissed, and may leave
            return
        self._home.say(f"group {self._group}: worker {host.worker} is lost")
        text = f"worker {host.worker} was lost: it has not been heard of for its lease, or was "
        text += "started again"
        host.lost = True
        self._give_up(host, Failure("InfrastructureError", text))
        await self._send_home(host, text)

    async def _send_home(self, host: Host, reason: str) -> None:
        """Have a worker end what it has of the group, however long it takes to hear of that."""
        host.answered = True
        self._exchange.lose(host.worker)
        with suppress(ActorError):
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(reason))

    def _give_up(self, host: Host, failure: Failure) -> None:
        """Want nothing more of a worker: its jobs end with this failure.

        It is on record before the worker, which may live, can hear of it. Else the next leader
        could have it do its jobs once more, if this one ended before the ends of the jobs were
        on record.
        """
        if host.given_up:
            return
        host.given_up, host.failure = True, failure
        if host.worker not in self._rebuilt.given_up:
            self._writer.append(entries.encode(entries.GivenUp(host.worker, failure)))
        self._exchange.lose(host.worker)
        for job in host.jobs:
            self._lose(job.id, failure)

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

    async def _dismiss(self, host: Host) -> None:
        with suppress(ActorError):
            lease_s = self._home.cluster.lease_s
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(_OVER), 2 * lease_s)

    async def _dismiss_all(self) -> None:
        """Have workers forget the group; one that doesn't answer finds out when it is back."""
        async with anyio.create_task_group() as asking:
            for host in self._hosts:
                if not host.lost:  # it is told all along
                    asking.start_soon(self._dismiss, host)


def _part(data: bytes, request: FetchPart) -> bytes:
    return data[request.offset : request.offset + request.size]
