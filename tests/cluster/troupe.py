"""A group over some hosts and one leader after another, in virtual time, on simulated devices.

All is as on a cluster but for what is between the processes, see `standins`.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
from attrs import define, evolve, field
from tests.cluster.standins import LOSS, Home, Line, Log, Net, Roll, Taken, Writer

import callboard.scenarios
from callboard.actors.placement import Placement
from callboard.cluster import entries, subjects
from callboard.cluster.hosting import Hosting
from callboard.cluster.messages import Contract
from callboard.cluster.rebuilt import Rebuilt, rebuild
from callboard.cluster.records import Offer, Registration, Seat, Settings
from callboard.cluster.reign import Reign
from callboard.definition.devices import Driver
from callboard.definition.model import NodeJob
from callboard.events import Event, RunEnded, decode
from callboard.nodes import Nodes
from callboard.runtime import run_virtual
from callboard.simulation import network, simulator
from callboard.simulation.node import SimulatedNode
from callboard.simulation.simulator import Rehearsal
from callboard.simulation.wires import Wires

SCENARIOS = Path(callboard.scenarios.__path__[0])

GROUP = "g"
BOXES = ("rack-1", "rack-2")
_DRIVER: Driver = "simulated"
_SETTINGS = Settings(deadlock_grace_s=0.0)
_LONGEST_S = 24 * 3600


def _never(_line: bytes) -> bool:
    return False


async def _nothing(_about: object) -> None:
    pass


@define(eq=False)
class Troupe:
    """A group, its hosts, and whoever leads it.

    Attributes:
        rehearsal: The group.
        seed: Decides all that is left to chance.
        fatal: See `Writer`.
        befalls: What happens meanwhile.
        prepares: What it takes a host, by its box, to make its nodes.
        leaves: Whether leaders only hand the group over, instead of dying.
        boxes: The hosts; the group begins on the first two.
        loss: Share of parcels that are lost.
        log: The group's log.
        made: How often nodes were made for each job.
        closed_s: When the nodes of each job were there no more.
        leader: The leader of now.
        interruption: Why every job is to be ended; None while it isn't.
        over_s: When the group had ended and its leader with it.
        roll: The workers, as the leader of now sees them.
        hosts: By their boxes.
    """

    rehearsal: Rehearsal
    seed: int
    fatal: Callable[[bytes], bool] = _never
    befalls: Callable[["Troupe"], Coroutine[Any, Any, None]] = _nothing
    prepares: Callable[[str], Coroutine[Any, Any, None]] = _nothing
    leaves: bool = False
    boxes: Sequence[str] = BOXES
    loss: float = LOSS
    log: Log = field(factory=Log)
    made: Counter[int] = field(factory=Counter[int])
    closed_s: dict[int, float] = field(factory=dict[int, float])
    leader: "Leader | None" = None
    interruption: str | None = None
    over_s: float = 0.0
    roll: Roll = field(factory=Roll)
    hosts: dict[str, "Host"] = field(factory=dict[str, "Host"])
    random: Random = field(init=False)
    net: Net = field(init=False)
    jobs: Sequence[NodeJob] = field(init=False)
    nodes: Mapping[int, SimulatedNode] = field(init=False)
    placements: Mapping[int, Placement] = field(init=False)

    def __attrs_post_init__(self) -> None:
        rehearsal, seed = self.rehearsal, self.seed
        self.random = Random(f"{seed} troupe")
        self.net = Net(self.random, self.loss)
        befallen = rehearsal._fates(seed)
        wires = Wires(rehearsal._links(), rehearsal._members)
        line = network.Exchange()
        self.jobs = [job for job, _ in rehearsal.jobs]
        self.nodes = {
            job.id: rehearsal._node(job, befallen.get(job.id, ()), line, wires, seed)
            for job in self.jobs
        }
        self.placements = {
            job.id: simulator._place(job, actions, number, self.nodes[job.id])
            for number, (job, actions) in enumerate(rehearsal.jobs, start=1)
        }

    @property
    def events(self) -> list[Event]:
        """The events of the group's log."""
        return [decode(line) for line in self.log.lines if not entries.is_entry(line)]

    def seats(self) -> dict[int, Seat]:
        """Where the jobs run, on workers that take something new, in turn."""
        free = [each.name for each in self.roll.registrations if not each.draining][:2]
        boxes = {job.id: free[number % len(free)] for number, job in enumerate(self.jobs)}
        return {job: Seat(box, box, _device(job), _DRIVER) for job, box in boxes.items()}

    def interrupt(self, reason: str) -> None:
        """Have this leader, and all that come, end every job in order."""
        self.interruption = reason
        if self.leader is not None and self.leader.reign is not None:
            self.leader.reign.interrupt(reason)

    def run(self, deaths: Sequence[float] = ()) -> "Troupe":
        """Run the group to its end; leaders die at these moments, in seconds."""
        run_virtual(partial(self._run, deaths), seed=self.seed)
        return self

    async def _run(self, deaths: Sequence[float]) -> None:
        with anyio.fail_after(_LONGEST_S):
            async with anyio.create_task_group() as tasks:
                for box in self.boxes:
                    self.hosts[box] = Host(self, box)
                    await tasks.start(self.hosts[box].run)
                for node in self.nodes.values():
                    node.begin()
                tasks.start_soon(self.befalls, self)
                await self._lead(deaths)
                self.net.over, self.over_s = True, anyio.current_time()
                for host in [each for each in self.hosts.values() if each.entry.draining]:
                    await host.gone.wait()
                tasks.cancel_scope.cancel()

    async def _lead(self, deaths: Sequence[float]) -> None:
        """One leader after the other, until one has reached the group's end."""
        moments = iter(deaths)
        death_s = next(moments, None)
        while True:
            left_s = None if death_s is None else death_s - anyio.current_time()
            leader = self.leader = Leader(self)
            if await leader.run(left_s):
                return
            if leader.died:
                death_s = next(moments, None)
                await anyio.sleep(self.random.uniform(0.05, 3.0))


def _device(job: int) -> str:
    return f"{_DRIVER}-{job}"


class Host:
    """A worker with devices for all of the jobs."""

    def __init__(self, troupe: Troupe, box: str) -> None:
        self._troupe = troupe
        self.gone = anyio.Event()
        self._line = Line(troupe.net)
        self._home = Home(box, self._line, None)
        self._hosting = Hosting(self._home, self._seated)
        offers = tuple(Offer(_device(job.id), None, _DRIVER) for job in troupe.jobs)
        self.entry = Registration(box, box, "machine", subjects.PROTOCOL, "0", "host", offers)

    async def run(self, *, task_status: "anyio.abc.TaskStatus[None]") -> None:
        """Host jobs, until the worker has drained."""
        troupe = self._troupe
        troupe.roll.put(self.entry)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hosting.serve)
            await anyio.lowlevel.checkpoint()
            task_status.started()
            await self._home.draining.wait()
            await self._hosting.finished()
            tasks.cancel_scope.cancel()
        del troupe.hosts[self._home.name]
        troupe.roll.remove(self._home.name)
        self._line.dead = True
        self.gone.set()

    def cut_off(self) -> None:
        """Say nothing any more to the others."""
        self._line.dead = True

    def drain(self) -> None:
        """Take nothing new, and leave when nothing is left to do."""
        self.entry = evolve(self.entry, draining=True)
        self._home.draining.set()
        self._troupe.roll.put(self.entry)

    @asynccontextmanager
    async def _seated(
        self, _group: str, contract: Contract, _jobs: Sequence[NodeJob]
    ) -> AsyncIterator[Nodes]:
        jobs = [each.job.id for each in contract.jobs]
        self._troupe.made.update(jobs)
        await self._troupe.prepares(self.entry.name)
        try:
            yield Nodes(tuple(self._troupe.placements[job] for job in jobs), {})
        finally:
            self._troupe.closed_s.update(dict.fromkeys(jobs, anyio.current_time()))


class Leader:
    """Leads the group until it ends, or needs a new term, or dies.

    Attributes:
        died: Whether it has died.
        reign: What it does.
    """

    def __init__(self, troupe: Troupe) -> None:
        self._troupe = troupe
        self._writer = Writer(troupe.log, troupe.random, troupe.fatal)
        self._line = Line(troupe.net)
        self.died = False
        self.reign: Reign | None = None
        troupe.roll = Roll({box: host.entry for box, host in troupe.hosts.items()})

    async def run(self, until_s: float | None) -> bool:
        """Lead, for that many seconds at most; whether the group has ended."""
        rebuilt = rebuild(self._troupe.log.lines)
        if rebuilt.ended is not None:
            return True
        self._writer.append(entries.encode(entries.Led("w", str(self._writer.term))))
        ended: RunEnded | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._await_death, until_s, tasks.cancel_scope)
            ended = await self._reign(rebuilt)
            tasks.cancel_scope.cancel()
        return ended is not None

    async def _reign(self, rebuilt: Rebuilt) -> RunEnded | None:
        troupe = self._troupe
        reign = self.reign = Reign(
            GROUP,
            Home("w", self._line, troupe.roll),
            troupe.rehearsal.definition,
            troupe.jobs,
            rebuilt.seats or troupe.seats(),
            Taken(self._writer.term, 0.0, self._writer),
            rebuilt,
        )
        if troupe.interruption is not None:
            reign.interrupt(troupe.interruption)
        ended = await reign.run(_SETTINGS, anyio.lowlevel.checkpoint)
        await self._writer.flush()
        return ended

    async def _await_death(self, until_s: float | None, scope: anyio.CancelScope) -> None:
        with anyio.move_on_after(until_s):
            await self._writer.cut.wait()
        self.died = True
        self._line.dead = not self._troupe.leaves
        self._writer.die()
        scope.cancel()


def play(rehearsal: Rehearsal, seed: int, deaths: Sequence[float] = ()) -> list[Event]:
    """The events of the log of a group whose leaders die at these moments, in seconds."""
    return Troupe(rehearsal, seed).run(deaths).events


def play_cut(rehearsal: Rehearsal, seed: int, fatal: Callable[[bytes], bool]) -> list[Event]:
    """The same where leaders die when they have stored a line and nothing after it."""
    return Troupe(rehearsal, seed, fatal).run().events
