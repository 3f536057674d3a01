"""A group over two hosts and one leader after another, in virtual time, on simulated devices.

All is as on a cluster but for what is between the processes: parcels take a moment and get lost,
and the log is a list to which lines are added after a moment.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import cast

import anyio
from attrs import define, field

import callboard.scenarios
from callboard.actors.coordinator import Patience
from callboard.actors.group import Rules
from callboard.actors.job import post
from callboard.actors.members import Member
from callboard.actors.messages import JobMessage
from callboard.actors.placement import Placement
from callboard.actors.post import Employer, Post
from callboard.cluster import entries
from callboard.cluster.crew import Crew, Hire
from callboard.cluster.envoy import Envoy, EnvoyMessage
from callboard.cluster.exchange import Exchange
from callboard.cluster.expected_ref import ExpectedRef
from callboard.cluster.ledger import LogLedger
from callboard.cluster.messages import (
    COORDINATOR,
    HOST,
    LEADER,
    RECORDER,
    Dismiss,
    Emitted,
    job_address,
)
from callboard.cluster.numbering import base_of
from callboard.cluster.rebuilt import rebuild
from callboard.cluster.recorder import Recorder
from callboard.cluster.reporter import Reporter
from callboard.cluster.wire import Codec
from callboard.events import Event, JobEnded, decode
from callboard.journal import Journal
from callboard.live import LiveGroup, perform
from callboard.runtime import Actor, ActorRef, ActorSystem, run_virtual
from callboard.simulation import network, simulator
from callboard.simulation.simulator import Rehearsal
from callboard.simulation.wires import Wires

SCENARIOS = Path(callboard.scenarios.__path__[0])

LATENCY_S = 0.002
STORED_S = 0.003
LOSS = 0.03
BOXES = ("rack-1", "rack-2")


@define
class Log:
    """What the servers have of the group's log: lines, and who may write on."""

    lines: list[bytes] = field(factory=list[bytes])
    term: int = 0


class Writer:
    """Writes the log as `cluster.log.LogWriter` does, until its leader dies."""

    def __init__(self, log: Log, random: Random) -> None:
        log.term += 1
        self.term = log.term
        self._log = log
        self._random = random
        self._under_way: list[bytes] = []
        self._calls: list[tuple[int, Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._dead = False
        self.position = self.stored = 0

    def append(self, line: bytes) -> None:
        """Add a line; it is stored a moment later, with all that was added before then."""
        if self._dead:
            return
        self._under_way.append(line)
        self.position += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(STORED_S, self._store)

    def when_stored(self, call: Callable[[], None]) -> None:
        """See `LogWriter.when_stored`."""
        if self.stored == self.position:
            call()
        else:
            self._calls.append((self.position, call))

    def die(self) -> None:
        """What was under way, which is one batch, is stored or not, and nobody hears of it."""
        self._dead = True
        if self._timer is not None:
            self._timer.cancel()
        if self._random.random() < 0.5:
            self._log.lines += self._under_way

    def _store(self) -> None:
        self._timer = None
        self._log.lines += self._under_way
        self.stored += len(self._under_way)
        self._under_way.clear()
        ready = [call for position, call in self._calls if position <= self.stored]
        self._calls = [each for each in self._calls if each[0] > self.stored]
        for call in ready:
            call()


class Troupe:
    """A group, its hosts, and whoever leads it.

    Args:
        rehearsal: The group.
        seed: Decides all that is left to chance.
    """

    def __init__(self, rehearsal: Rehearsal, seed: int) -> None:
        self.rehearsal = rehearsal
        self.random = Random(f"{seed} troupe")
        self.log = Log()
        self.over = anyio.Event()
        self.leader: Leader | None = None
        befallen = rehearsal._fates(seed)
        wires = Wires(rehearsal._links(), rehearsal._members)
        line = network.Exchange()
        self.nodes = {
            job.id: rehearsal._node(job, befallen.get(job.id, ()), line, wires, seed)
            for job, _ in rehearsal.jobs
        }
        self.placements = tuple(
            simulator._place(job, actions, number, self.nodes[job.id])
            for number, (job, actions) in enumerate(rehearsal.jobs, start=1)
        )
        self.members = tuple(Member(job.id, job.role.name) for job, _ in rehearsal.jobs if job.role)
        self.hosts = {
            box: Host(self, box, self.placements[number :: len(BOXES)])
            for number, box in enumerate(BOXES)
            if self.placements[number :: len(BOXES)]
        }

    def box_of(self, job: int) -> str:
        """The host of a job."""
        return next(box for box, host in self.hosts.items() if job in host.jobs)

    def carry(self, arrive: Callable[[str, bytes], None], box: str, parcel: bytes) -> None:
        """Bring a parcel from, or to, a host; or lose it."""
        if self.random.random() >= LOSS:
            delay_s = LATENCY_S * (1 + self.random.random())
            asyncio.get_running_loop().call_later(delay_s, arrive, box, parcel)

    def rise(self, box: str, parcel: bytes) -> None:
        """A parcel has arrived where the leader is, if there is one."""
        if self.leader is not None:
            self.leader.arrive(box, parcel)

    async def play(self, deaths: Sequence[float]) -> None:
        """Run the group to its end; leaders die at these moments, in seconds."""
        begin_s = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for host in self.hosts.values():
                await tasks.start(host.run)
            for node in self.nodes.values():
                node.begin()
            for death_s in [*deaths, None]:
                left_s = None if death_s is None else begin_s + death_s - anyio.current_time()
                self.leader = Leader(self)
                if await self.leader.run(left_s):
                    break
                self.leader = None
                await anyio.sleep(self.random.uniform(0.05, 3.0))
            self.over.set()


class Host:
    """A worker with some of the jobs."""

    def __init__(self, troupe: Troupe, box: str, placements: Sequence[Placement]) -> None:
        self.jobs = frozenset(each.job.id for each in placements)
        self._troupe = troupe
        self._box = box
        self._placements = placements
        self._ended: set[int] = set()
        self.exchange: Exchange | None = None

    def arrive(self, _box: str, parcel: bytes) -> None:
        """Take a parcel of a leader."""
        if self.exchange is not None:
            self.exchange.arrive(LEADER, parcel)

    async def run(self, *, task_status: "anyio.abc.TaskStatus[None]") -> None:
        """Run the jobs, until the group is over."""
        troupe = self._troupe
        exchange = self.exchange = Exchange(
            self._box,
            lambda _box, parcel: troupe.carry(troupe.rise, self._box, parcel),
            incarnation=self._box,
        )
        recorder = exchange.ref(LEADER, RECORDER)
        reporter = Reporter(recorder, most_bytes=100_000)
        journal = Journal(
            anyio.current_time, sinks=[reporter, self._notice], seq=base_of(self.jobs)
        )
        async with ActorSystem() as system:
            crew = system.spawn(lambda: Crew(journal, self._ended.__contains__), "group")
            hired = tuple(
                (post(each), self._employer(each.job.id, exchange, reporter, journal))
                for each in self._placements
            )
            for job in (await crew.ask(Hire(hired))).values():
                exchange.export(job)
            task_status.started()
            await troupe.over.wait()
            exchange.close()

    def _employer(
        self, job: int, exchange: Exchange, reporter: Reporter, journal: Journal
    ) -> Employer:
        own = next(each.job for each in self._placements if each.job.id == job)
        roles = [each.role for each, _ in self._troupe.rehearsal.jobs if each.role]
        hosting = {role.host_role for role in roles if role.connection is not None}
        return Employer(
            reporter.behind(exchange.ref(LEADER, job_address(job))),
            reporter.behind(exchange.ref(LEADER, COORDINATOR)) if self._troupe.members else None,
            self._troupe.members,
            journal,
            has_guests=own.role is not None and own.role.name in hosting,
        )

    def _notice(self, event: Event) -> None:
        if isinstance(event.body, JobEnded):
            self._ended.add(event.body.job)


class Leader:
    """Leads the group until it ends, or dies."""

    def __init__(self, troupe: Troupe) -> None:
        self._troupe = troupe
        self._writer = Writer(troupe.log, troupe.random)
        self._rebuilt = rebuild(troupe.log.lines)
        self._exchange = Exchange(LEADER, self._post, term=self._writer.term)
        self._recorder = Recorder(
            asyncio.get_running_loop().time, self._writer.append, rebuilt=self._rebuilt
        )
        self._expected: dict[str, ExpectedRef] = {}
        self._dead = False
        self._writer.append(entries.encode(entries.Led("w", str(self._writer.term))))

    def arrive(self, box: str, parcel: bytes) -> None:
        """Take a parcel of a host."""
        self._exchange.arrive(box, parcel)

    async def run(self, until_s: float | None) -> bool:
        """Lead; whether the group has ended, or the leader has died in that many seconds."""
        if self._rebuilt.ended is not None:
            return True
        troupe = self._troupe
        for box, host in troupe.hosts.items():
            self._recorder.admit(box, host.jobs)
            self._exchange.admit(box, box)
            relay = _relay(self._recorder, box)
            self._exchange.function_ref(RECORDER, relay, box)
        for job, _ in troupe.rehearsal.jobs:
            if job.id not in self._rebuilt.done:
                self._expect(job_address(job.id))
        self._expect(COORDINATOR)
        ledger = LogLedger(self._writer.append, Codec(self._exchange), self._rebuilt.requests)
        rules = Rules(
            troupe.rehearsal._senders,
            Patience(grace_s=0.0),
            ledger=lambda: ledger,
            note=lambda noted: self._writer.append(entries.encode(noted)),
        )
        posts = tuple(self._post_of(each) for each in troupe.placements)
        performed = perform(
            troupe.rehearsal.definition,
            "g",
            posts,
            (),
            rules,
            journal=self._recorder,
            progress=self._rebuilt.progress,
        )
        for box in troupe.hosts:  # hosts hear of it, and speak, before its actors are there
            self._exchange.ref(box, HOST).tell_nowait(Dismiss("not yet"))
        await anyio.sleep(troupe.random.uniform(0, 0.1))
        async with performed as live:
            with anyio.move_on_after(until_s):
                await live.wait()
                stored = anyio.Event()
                self._writer.when_stored(stored.set)
                await stored.wait()
                return True
            self._die(live)
        return False

    def _die(self, live: LiveGroup) -> None:
        self._dead = True
        self._writer.die()
        live.abandon()
        self._exchange.close()

    def enlist(self, job: int, envoy: ActorRef[EnvoyMessage], employer: Employer) -> None:
        """See `Muster`."""
        assert envoy.address == job_address(job)
        for actor in (envoy, employer.coordinator):
            if actor is not None:
                self._exchange.export(actor)
                if (expected := self._expected.pop(actor.address, None)) is not None:
                    expected.meet(actor)

    def ended(self, job: int) -> JobEnded | None:
        """See `Muster`."""
        return self._rebuilt.jobs_ended.get(job)

    def _expect(self, address: str) -> None:
        self._expected[address] = expected = ExpectedRef(address)
        self._exchange.export(expected)

    def _post(self, box: str, parcel: bytes) -> None:
        self._writer.when_stored(lambda: self._send(box, parcel))

    def _send(self, box: str, parcel: bytes) -> None:
        if not self._dead:
            self._troupe.carry(self._troupe.hosts[box].arrive, box, parcel)

    def _post_of(self, placement: Placement) -> Post:
        job = placement.job
        remote = self._exchange.ref(self._troupe.box_of(job.id), job_address(job.id))
        return Post(
            job,
            placement.device,
            placement.driver,
            lambda employer: cast("Actor[JobMessage]", Envoy(job.id, remote, employer, self)),
            lambda: None,
        )


def _relay(recorder: Recorder, box: str) -> Callable[[Emitted], None]:
    return lambda emitted: recorder.relay(box, emitted)


def play(rehearsal: Rehearsal, seed: int, deaths: Sequence[float] = ()) -> list[Event]:
    """The events of the log of a group whose leaders die at these moments, in seconds."""

    async def whole() -> list[bytes]:
        troupe = Troupe(rehearsal, seed)
        with anyio.fail_after(24 * 3600):
            await troupe.play(deaths)
        return troupe.log.lines

    lines = run_virtual(whole, seed=seed)
    return [decode(line) for line in lines if not entries.is_entry(line)]
