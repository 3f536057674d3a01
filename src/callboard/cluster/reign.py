"""A group that has its devices: its own actors here, its jobs on the workers that have them."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import define
from nats.errors import Error as NatsError

from callboard.actors.coordinator import Patience
from callboard.actors.group import Rules
from callboard.actors.ledger import Ledger
from callboard.actors.members import Member
from callboard.actors.post import Employer, Post
from callboard.cluster import entries, guard, subjects
from callboard.cluster.bundle import part
from callboard.cluster.envoy import Envoy, EnvoyMessage, JobLost
from callboard.cluster.exchange import Exchange
from callboard.cluster.expected_ref import ExpectedRef
from callboard.cluster.history import Taken
from callboard.cluster.ledger import LogLedger
from callboard.cluster.messages import (
    CONTRACT,
    COORDINATOR,
    HOST,
    LEADER,
    RECORDER,
    SOURCES,
    Contract,
    Dismiss,
    Employ,
    Employed,
    Employment,
    FetchPart,
    job_address,
)
from callboard.cluster.rebuilt import Rebuilt
from callboard.cluster.recorder import Recorder
from callboard.cluster.records import Seat, Settings
from callboard.cluster.wire import Codec
from callboard.cluster.worker import Worker
from callboard.definition.model import Definition, NodeJob
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


@define(eq=False)
class _Host:
    """A worker that has jobs of the group.

    Attributes:
        worker: Its name.
        incarnation: Of its process.
        jobs: Its jobs, in the order of the group.
        contract: What it is to know, encoded.
        sources: What its jobs need, packed; empty for nothing.
        answered: Whether it has said that it takes its jobs, or can't.
        failure: Why its jobs can't run there, or not any more; None while they can.
        lost: Whether it counts as lost.
    """

    worker: str
    incarnation: str
    jobs: tuple[NodeJob, ...]
    contract: bytes = b""
    sources: bytes = b""
    answered: bool = False
    failure: Failure | None = None
    lost: bool = False


class Reign:
    """Runs a group whose jobs are elsewhere; satisfies `envoy.Muster`.

    Args:
        group: The group's id.
        worker: This worker.
        definition: What the group runs.
        jobs: All its jobs.
        seats: Where each runs.
        taken: The group's log, which this worker writes.
        rebuilt: How far the log goes.
    """

    def __init__(
        self,
        group: str,
        worker: Worker,
        definition: Definition,
        jobs: Sequence[NodeJob],
        seats: Mapping[int, Seat],
        taken: Taken,
        rebuilt: Rebuilt,
    ) -> None:
        self._group = group
        self._worker = worker
        self._definition = definition
        self._jobs = jobs
        self._seats = seats
        self._writer = taken.writer
        self._rebuilt = rebuilt
        self._live: LiveGroup | None = None
        self._interruption: str | None = None
        self._employing = anyio.CancelScope()
        self._envoys: dict[int, ActorRef[EnvoyMessage]] = {}
        self._far = {job_address(job.id): job.id for job in jobs}
        self._held_bytes = 0
        self._expected: dict[str, ExpectedRef] = {}
        self._ended = dict(self._rebuilt.jobs_ended)
        self._muted = False
        self._secrets = [*definition.secrets.values(), *secret_values(definition)]
        self._exchange = Exchange(
            LEADER,
            self._post,
            term=taken.term,
            limit=worker.cluster.limit_bytes,
            on_dead_letter=self._miss,
            on_problem=lambda box, text: worker.say(f"group {group}: {box}: {text}"),
        )
        self._codec = Codec(self._exchange)
        self._recorder = Recorder(
            anyio.current_time,
            taken.writer.append,
            mask=Mask(self._secrets),
            rebuilt=self._rebuilt,
            pause_s=taken.pause_s,
        )
        self._recorder.add(self._notice)
        self._hosts = self._hosts_of(jobs, seats)
        self._host = {job.id: host for host in self._hosts for job in host.jobs}

    async def run(self, settings: Settings) -> RunEnded:
        """Run the group to its end, and dismiss its workers; when cancelled it is left as it is."""
        cluster, up = self._worker.cluster, subjects.up("*", self._group)

        def take(subject: str, data: bytes) -> None:
            self._exchange.arrive(subjects.sender(subject)[0], data)

        async def arrive(message: Any) -> None:
            take(message.subject, message.data)

        subscription = await cluster.nc.subscribe(up, cb=arrive)
        try:
            own = subjects.up(self._worker.name, self._group)
            with cluster.here(own, take), cluster.each_time_back(self._exchange.hasten):
                return await self._run(settings)
        finally:
            self._exchange.close()  # else it would send again for ever what nobody answers
            with anyio.CancelScope(shield=True), suppress(NatsError):
                await subscription.unsubscribe()

    async def _run(self, settings: Settings) -> RunEnded:
        async with anyio.create_task_group() as tasks:
            try:
                verdict = await anyio.to_thread.run_sync(check, self._definition)
                programs = verdict.extraction.programs
                await self._employ(settings, with_background(self._definition, programs), tasks)
                rules = Rules(
                    senders_of(programs),
                    Patience(settings.fail_fast, settings.deadlock_grace_s),
                    ledger=self._ledger,
                    note=lambda noted: self._writer.append(entries.encode(noted)),
                )
                ended = await self._perform(rules)
                await self._dismiss_all()
            finally:
                self.leave()
            tasks.cancel_scope.cancel()
        return ended

    def interrupt(self, reason: str) -> None:
        """End every job in order."""
        self._interruption = reason
        if self._live is not None:
            self._live.interrupt(reason)
        elif self._rebuilt.started is None:  # workers that have jobs answer at once
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
            envoy.tell_nowait(JobLost(host.failure))

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
            self._worker.cluster.post(subject, data)

    def _notice(self, event: Event) -> None:
        if isinstance(event.body, JobEnded):
            self._ended[event.body.job] = event.body

    def _miss(self, letter: DeadLetter) -> None:
        """A worker has no such job (any more), or is lost."""
        job = self._far.get(letter.address)
        if job is None or job not in self._envoys or self._muted:
            return
        text = f"worker {self._seats[job].worker} has ended job {job} without a word"
        failure = self._host[job].failure or Failure("InfrastructureError", text)
        self._envoys[job].tell_nowait(JobLost(failure))

    def _ledger(self) -> Ledger:
        return LogLedger(self._writer.append, self._codec, self._rebuilt.requests)

    def _hosts_of(self, jobs: Sequence[NodeJob], seats: Mapping[int, Seat]) -> tuple[_Host, ...]:
        places = dict.fromkeys((seats[job.id].worker, seats[job.id].incarnation) for job in jobs)
        return tuple(
            _Host(
                worker,
                incarnation,
                tuple(job for job in jobs if seats[job.id].worker == worker),
            )
            for worker, incarnation in places
        )

    async def _employ(
        self, settings: Settings, background: Mapping[str, bool], tasks: TaskGroup
    ) -> None:
        """Have every worker make its nodes; one that can't, or is lost, has a failure then.

        An interruption waits for nobody.
        """
        self._expect(COORDINATOR)
        for host in self._hosts:
            own = frozenset(job.id for job in host.jobs)
            for job in own - self._rebuilt.done.keys():
                self._expect(job_address(job), host.worker)
            self._recorder.admit(host.worker, own)
            may = partial(guard.check, host.worker, own)
            self._exchange.admit(host.worker, host.incarnation, may)
            await anyio.to_thread.run_sync(self._prepare, host, settings, background)
        for host in self._hosts:
            if all(job.id in self._rebuilt.done for job in host.jobs):
                tasks.start_soon(self._send_home, host)
            else:
                tasks.start_soon(self._watch, host)
        with self._employing:
            async with anyio.create_task_group() as asking:
                for host in self._hosts:
                    asking.start_soon(self._employ_at, host)
        for host in self._hosts:
            if not host.answered:
                self._give_up(host, Failure("Canceled", self._interruption or ""))

    def _prepare(self, host: _Host, settings: Settings, background: Mapping[str, bool]) -> None:
        needed = part(host.jobs)
        host.sources = needed.sources.data if needed.sources is not None else b""
        hosts = {each.role.host_role for each in self._jobs if each.role and each.role.connection}
        numbers = {job.id: number for number, job in enumerate(self._jobs, 1)}
        employments = tuple(
            Employment(
                job,
                numbers[job.id],
                self._seats[job.id],
                has_guests=job.role is not None and job.role.name in hosts,
                works_aside=background.get(job.role.name if job.role else "", True),
            )
            for job in needed.jobs
        )
        members = tuple(Member(job.id, job.role.name) for job in self._jobs if job.role)
        secrets = self._definition.secrets
        contract = Contract(employments, members, secrets, (), settings)
        text = self._codec.encode(contract)
        own = tuple(each for each in self._secrets if json.dumps(each)[1:-1] in text)
        host.contract = self._codec.encode(
            Contract(employments, members, secrets, own, settings)
        ).encode()

    async def _employ_at(self, host: _Host) -> None:
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

    async def _watch(self, host: _Host) -> None:
        """See when a worker is lost, and fail its jobs then."""
        fleet = self._worker.fleet
        assert fleet is not None, "who leads sees the fleet"
        await fleet.wait_lost(host.worker, host.incarnation)
        self._worker.say(f"group {self._group}: worker {host.worker} is lost")
        text = f"worker {host.worker} was lost: it has not been heard of for its lease, or was "
        text += "started again"
        host.lost = True
        self._give_up(host, Failure("InfrastructureError", text))
        with suppress(ActorError):
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(text))

    async def _send_home(self, host: _Host) -> None:
        """Dismiss a worker whose jobs are on record as done, maybe because it was lost."""
        host.answered = True
        self._exchange.lose(host.worker)
        with suppress(ActorError):
            await self._exchange.ref(host.worker, HOST).ask(Dismiss("its jobs have ended"))

    def _give_up(self, host: _Host, failure: Failure) -> None:
        """Want nothing more of a worker: its jobs end with this failure."""
        host.failure = failure
        self._exchange.lose(host.worker)
        for job in host.jobs:
            if (envoy := self._envoys.get(job.id)) is not None:
                envoy.tell_nowait(JobLost(failure))

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

    async def _dismiss(self, host: _Host) -> None:
        with suppress(ActorError):
            lease_s = self._worker.cluster.lease_s
            await self._exchange.ref(host.worker, HOST).ask(Dismiss(_OVER), 2 * lease_s)

    async def _dismiss_all(self) -> None:
        """Have workers forget the group; one that doesn't answer finds out when it is back."""
        async with anyio.create_task_group() as asking:
            for host in self._hosts:
                if not host.lost:  # `_watch` tells it all along
                    asking.start_soon(self._dismiss, host)


def _part(data: bytes, request: FetchPart) -> bytes:
    return data[request.offset : request.offset + request.size]
