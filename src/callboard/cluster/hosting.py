"""Jobs of groups on the worker that has their devices.

A group's leader has a worker `Engage` to stay, and asks it to `Employ` the group's jobs: the worker
reserves their devices on this machine, makes nodes of them, and an actor for each job, which then
speaks with its group as if it were there. When the group is over, or no longer wants this worker,
it is told to `Dismiss` them.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel

from callboard.actors.drivers.folder import NodeFolder
from callboard.actors.drivers.sandboxed import SandboxUnavailable
from callboard.actors.job import post
from callboard.actors.placement import Placement
from callboard.actors.post import Employer, Post
from callboard.cluster import subjects
from callboard.cluster.bundle import settle, unfold
from callboard.cluster.crew import Crew, Hire, Wind
from callboard.cluster.errors import ClusterError, fault, first
from callboard.cluster.exchange import Exchange
from callboard.cluster.home import Home
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
    Engage,
    FetchPart,
    job_address,
)
from callboard.cluster.numbering import base_of
from callboard.cluster.reporter import Reporter
from callboard.cluster.seated import Seated
from callboard.cluster.wire import Codec, WireError
from callboard.definition.diagnostics import DefinitionError
from callboard.definition.model import NodeJob
from callboard.events import Event, JobEnded
from callboard.journal import Journal, Mask
from callboard.networks import NodesUnavailable
from callboard.reservation import QueueTimeout
from callboard.runtime import Actor, ActorError, ActorSystem, Reply, Request

_IDLE_S = 30.0
"""How long a group is kept of which this worker was told, but for which it was to do nothing; and
at least how long it stays for one that it was engaged for."""

_PROBLEMS = (
    ActorError,
    ClusterError,
    DefinitionError,
    NodesUnavailable,
    OSError,
    QueueTimeout,
    SandboxUnavailable,
    ValueError,
    WireError,
)
"""What may go wrong with a group's nodes; anything else is a fault of callboard."""


_Asked = Engage | Employ | Dismiss


class Hosting:
    """Everything that a worker hosts.

    Args:
        worker: The worker.
        seated: Makes the nodes.
    """

    def __init__(self, worker: Home, seated: Seated) -> None:
        self._worker = worker
        self._seated = seated
        self._groups: dict[str, Hosted] = {}
        self._quiet = anyio.Event()

    async def serve(self) -> None:
        """Take parcels of leaders until cancelled, which ends all jobs in order."""
        async with anyio.create_task_group() as tasks:

            def take(subject: str, data: bytes) -> None:
                _, name = subjects.sender(subject)
                group = self._groups.get(name)
                if group is None:
                    group = self._groups[name] = Hosted(name, self._worker, self._seated)
                    tasks.start_soon(self._host, group)
                group.arrive(data)

            down = subjects.down(self._worker.name, "*")
            async with self._worker.cluster.taking(down, take, down):
                await anyio.sleep_forever()

    async def finished(self) -> None:
        """Wait until no group has jobs here any more, nor was promised that this worker stays."""
        while any(each.engaged for each in self._groups.values()):
            await self._quiet.wait()

    def end(self, reason: str) -> None:
        """End every job in order, and report how it ended."""
        for group in self._groups.values():
            group.end(reason)

    async def _host(self, group: "Hosted") -> None:
        try:
            await group.run()
        except* Exception as errors:  # other groups must not suffer from it
            self._worker.say(f"group {group.name}: {fault(first(errors))}")
        finally:
            del self._groups[group.name]
            self._quiet.set()
            self._quiet = anyio.Event()


class _Door(Actor[_Asked]):
    """Takes what a leader asks of the worker itself."""

    def __init__(self, take: Callable[[_Asked, Reply[Any]], None]) -> None:
        self._take = take

    async def receive(self, message: _Asked) -> None:
        """Answered later by whoever takes it."""
        request: Request[Any] = message
        self._take(message, self.context.defer(request))


class Hosted:
    """The jobs of one group on this worker.

    Attributes:
        name: The group's id.
    """

    def __init__(self, name: str, worker: Home, seated: Seated) -> None:
        self.name = name
        self._worker = worker
        self._seated = seated
        own = subjects.up(worker.name, name)
        self._exchange = Exchange(
            worker.name,
            lambda _box, data: worker.cluster.post(own, data),
            limit=worker.cluster.limit_bytes,
            incarnation=worker.incarnation,
            on_problem=lambda _box, text: worker.say(f"group {name}: {text}"),
        )
        self._early: list[bytes] | None = []  # what arrives before somebody is there to take it
        self._heard_s = anyio.current_time()
        self._engaged = False
        self._patience = anyio.CancelScope(deadline=self._heard_s + _IDLE_S)
        self._employed: Employed | None = None
        self._askers: list[Reply[Employed]] = []
        self._dismissals: list[Reply[None]] = []
        self._dismissed = anyio.Event()
        self._reason = ""
        self._begun = anyio.Event()
        self._opening = anyio.CancelScope()
        self._left: set[int] = set()
        self._ended: set[int] = set()
        self._all_ended = anyio.Event()
        self._placements: tuple[Placement, ...] = ()
        self._employ: Employ | None = None

    @property
    def engaged(self) -> bool:
        """Whether it is to do something here, and isn't over."""
        return self._engaged or self._employ is not None

    def arrive(self, data: bytes) -> None:
        """Take a parcel of the leader."""
        self._heard_s = anyio.current_time()
        if self._early is None:
            self._exchange.arrive(LEADER, data)
        else:
            self._early.append(data)

    def end(self, reason: str) -> None:
        """End the jobs in order."""
        if not self._dismissed.is_set():
            self._reason = reason
            self._dismissed.set()
            self._opening.cancel()
            self._begun.set()

    async def run(self) -> None:
        """Host until the group is over here; cancelled, it ends what there is at once."""
        with self._worker.cluster.each_time_back(self._exchange.hasten):
            try:
                await self._host()
            finally:
                self._exchange.close()  # else it would send again for ever what nobody answers

    async def _host(self) -> None:
        async with ActorSystem() as system:
            door = system.spawn(lambda: _Door(self._take), "host")
            assert door.address == HOST, "leaders know it by this"
            self._exchange.export(door)
            early, self._early = self._early or [], None
            for data in early:
                self._exchange.arrive(LEADER, data)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look_for_the_leader)
                with self._patience:
                    await self._begun.wait()
                if self._employ is not None:
                    await self._work(system, self._employ)
                for dismissal in self._dismissals:
                    dismissal.send(None)
                await anyio.lowlevel.checkpoint()  # the answer is on its way
                tasks.cancel_scope.cancel()

    def _take(self, message: _Asked, reply: Reply[Any]) -> None:
        match message:
            case Engage():
                self._engaged = self.engaged or not self._worker.draining.is_set()
                if self._engaged:  # for longer than it takes another leader to take it up
                    idle_s = max(_IDLE_S, 3 * self._worker.cluster.lease_s)
                    self._patience.deadline = self._heard_s + idle_s
                reply.send(self._engaged)
            case Dismiss(reason):
                self._dismissals.append(reply)
                self.end(reason)
            case Employ() if self._employed is not None:
                reply.send(self._employed)
            case Employ():
                self._askers.append(reply)
                if self._employ is None:
                    self._employ = message
                    self._begun.set()

    def _answer(self, employed: Employed) -> None:
        self._employed = employed
        for each in self._askers:
            each.send(employed)
        self._askers.clear()

    async def _work(self, system: ActorSystem, employ: Employ) -> None:
        begun_s = anyio.current_time() - employ.time_s
        try:
            async with contextlib.AsyncExitStack() as resources:
                with self._opening:
                    contract = await self._contract(employ)
                    self._left = {each.job.id for each in contract.jobs}
                    jobs = await self._settled(contract, employ, resources)
                    nodes = await resources.enter_async_context(
                        self._seated(self.name, contract, jobs)
                    )
                if self._opening.cancelled_caught:
                    return
                self._placements = nodes.placements
                await self._perform(system, contract, begun_s)
                return
        except Exception as error:  # whatever it is, the leader has to know of it
            self._left.clear()
            text = str(error) if isinstance(error, _PROBLEMS) else fault(error)
            self._answer(Employed(f"worker {self._worker.name}: {text}"))
            self._worker.say(f"group {self.name}: jobs can't be run here: {text}")
        await self._dismissed.wait()

    async def _contract(self, employ: Employ) -> Contract:
        data = await self._fetched(CONTRACT, employ.contract_bytes)
        contract = Codec(self._exchange).decode(data)
        if not isinstance(contract, Contract):
            raise WireError("the leader has sent something else than a contract")
        if self._worker.sandbox and not contract.settings.sandbox:
            # Whoever submits groups may be anybody; the machine is of who runs the worker.
            text = "it runs groups with --no-sandbox only if it was started with that itself"
            raise ClusterError("CB277", text)
        return contract

    async def _fetched(self, address: str, size: int) -> bytes:
        """What the leader has at an address."""
        ref = self._exchange.ref(LEADER, address)
        data = bytearray()
        while len(data) < size:
            got = await ref.ask(FetchPart(len(data), self._worker.cluster.limit_bytes // 4))
            if not got:
                raise WireError(f"the leader has less at {address} than it said")
            data += got
        return bytes(data)

    async def _settled(
        self, contract: Contract, employ: Employ, resources: contextlib.AsyncExitStack
    ) -> Sequence[NodeJob]:
        """The jobs, with the sources of their tests on this machine."""
        jobs = [each.job for each in contract.jobs]
        if not employ.sources_bytes:
            return jobs
        archive = await self._fetched(SOURCES, employ.sources_bytes)
        # In a folder that a later callboard sweeps, should this one be killed.
        made = NodeFolder("sources")
        resources.callback(made.remove)
        folder = made.path / "sources"
        await self._worker.aside(partial(unfold, archive, folder))
        return [settle(job, folder) for job in jobs]

    async def _perform(self, system: ActorSystem, contract: Contract, begun_s: float) -> None:
        """Run the jobs, until they aren't wanted any more."""
        most_bytes = self._worker.cluster.limit_bytes // 4
        reporter = Reporter(self._exchange.ref(LEADER, RECORDER), most_bytes=most_bytes)
        journal = Journal(
            anyio.current_time,
            mask=Mask(contract.masked),
            sinks=[reporter, self._notice],
            seq=base_of(each.job.id for each in contract.jobs),
            time_s=anyio.current_time() - begun_s,
        )
        crew = system.spawn(lambda: Crew(journal, self._ended.__contains__), "group")
        try:
            jobs = await crew.ask(Hire(tuple(self._hired(contract, journal, reporter))))
            for job in jobs.values():
                self._exchange.export(job)
            self._answer(Employed())
            await self._dismissed.wait()
            await crew.ask(Wind(self._reason))
            await self._all_ended.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await crew.cancel()
                reporter.flush()

    def _hired(
        self, contract: Contract, journal: Journal, reporter: Reporter
    ) -> Iterator[tuple[Post, Employer]]:
        coordinator = None
        if contract.members:
            coordinator = reporter.behind(self._exchange.ref(LEADER, COORDINATOR))
        for placement, each in zip(self._placements, contract.jobs, strict=True):
            employer = Employer(
                reporter.behind(self._exchange.ref(LEADER, job_address(each.job.id))),
                coordinator,
                contract.members,
                journal,
                contract.secrets,
                has_guests=each.has_guests,
            )
            yield post(placement), employer

    def _notice(self, event: Event) -> None:
        """See which jobs have ended."""
        if isinstance(event.body, JobEnded):
            self._ended.add(event.body.job)
            self._left.discard(event.body.job)
            if not self._left:
                self._all_ended.set()

    async def _look_for_the_leader(self) -> None:
        """Find out that a group is over whose leader could not say so."""
        lease_s = self._worker.cluster.lease_s
        question = subjects.ask(self._worker.name)
        while not self._dismissed.is_set():
            await anyio.sleep(lease_s)
            if anyio.current_time() - self._heard_s < 2 * lease_s:
                continue
            answer = await self._worker.cluster.ask(question, self.name.encode())
            if answer == subjects.OVER:
                self.end("the group was over when this worker came back")
