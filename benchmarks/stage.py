"""A worker's process of a group on a cluster: nodes that only call, and the leader on one of them.

`python -m benchmarks.stage PLAN`, with a `Plan` as JSON, prints an empty line when it can be spoken
to and a `Report` as JSON when all is done, and stays until its standard input ends. All but the
nodes is what a cluster really has: parcels, guard, recorder, ledger, log. Times are of
CLOCK_MONOTONIC, which processes of a machine share.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio
import cattrs
from anyio.abc import TaskGroup
from attrs import define, field, frozen

from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator, Patience
from callboard.actors.members import Member
from callboard.actors.messages import Answer, Call, Granted
from callboard.actors.multinode import Multinode
from callboard.cluster import entries, guard, subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.exchange import Exchange
from callboard.cluster.history import take
from callboard.cluster.ledger import LogLedger
from callboard.cluster.messages import COORDINATOR, HOST, LEADER, RECORDER, Employ, Employed
from callboard.cluster.numbering import base_of
from callboard.cluster.recorder import Recorder
from callboard.cluster.reporter import Reporter
from callboard.cluster.wire import Codec
from callboard.events import ConsoleOutput
from callboard.journal import Journal
from callboard.runtime import ActorRef, ActorSystem, Request

GROUP = "benchmark"
_LIMIT_S = 3600.0
_WORK_S = 0.02
"""How long nodes do something else after a meeting, so that one meeting is measured and not two."""

_BURST = 64


@frozen
class Plan:
    """What a process is to do.

    Attributes:
        url: Of the NATS server.
        index: Which worker it is; the first one leads, too.
        workers: How many there are.
        nodes: How many nodes there are on all of them.
        rounds: How often the nodes meet with one of them coming late.
        late_s: How long that one waits after the others have called.
        together: How often they meet after that with all of them calling at once.
        events: How many events each worker emits after that.
    """

    url: str
    index: int
    workers: int
    nodes: int
    rounds: int = 0
    late_s: float = 0.0
    together: int = 0
    events: int = 0

    @property
    def own(self) -> Sequence[int]:
        """The jobs of this worker."""
        return range(1 + self.index, 1 + self.nodes, self.workers)


@define
class Report:
    """What a process has seen.

    Attributes:
        called_s: When the last of its nodes made a call, by round.
        answered_s: When the last of them had the answer.
        emitted_s: When it began to emit events.
        stored_s: Of the leader: when the last event of all was stored.
    """

    called_s: list[float] = field(factory=list[float])
    answered_s: list[float] = field(factory=list[float])
    emitted_s: float = 0.0
    stored_s: float = 0.0


def _name(index: int) -> str:
    return f"worker-{index}"


def _members(plan: Plan) -> dict[int, Member]:
    return {job: Member(job, "node") for job in range(1, plan.nodes + 1)}


class _Host:
    """The nodes of one worker."""

    def __init__(self, plan: Plan, cluster: Cluster) -> None:
        self.plan = plan
        self.report = Report([0.0] * self._meetings(plan), [0.0] * self._meetings(plan))
        self._begin = anyio.Event()
        self._exchange = Exchange(
            _name(plan.index),
            lambda _box, data: cluster.post(subjects.up(_name(plan.index), GROUP), data),
            incarnation=_name(plan.index),
            limit=cluster.limit_bytes,
            on_problem=_complain,
        )
        self._exchange.function_ref(HOST, self._take)
        recorder = self._exchange.ref(LEADER, RECORDER)
        self._reporter = Reporter(recorder, most_bytes=cluster.limit_bytes // 4)
        base = base_of(plan.own)
        self._journal = Journal(anyio.current_time, sinks=[self._reporter], seq=base)
        self.hear = partial(self._exchange.arrive, LEADER)

    @staticmethod
    def _meetings(plan: Plan) -> int:
        return plan.rounds + plan.together

    def _take(self, _message: object) -> Employed:
        self._begin.set()
        return Employed()

    async def run(self, system: ActorSystem) -> None:
        await self._begin.wait()
        coordinator = self._reporter.behind(self._exchange.ref(LEADER, COORDINATOR))
        group = tuple(_members(self.plan).values())
        async with anyio.create_task_group() as tasks:
            for job in self.plan.own:
                node = system.spawn(
                    partial(
                        Multinode,
                        Member(job, "node"),
                        group,
                        coordinator,
                        _rests,
                        self._journal,
                    ),
                    f"group/job-{job}",
                )
                self._exchange.export(node)
                tasks.start_soon(self._node, job, node)
        await self._emit()

    async def _node(self, job: int, protocol: ActorRef[Any]) -> None:
        called_s, answered_s = self.report.called_s, self.report.answered_s
        for turn in range(self._meetings(self.plan)):
            if turn < self.plan.rounds:
                late = turn % self.plan.nodes == job - 1
                await anyio.sleep(self.plan.late_s if late else _WORK_S)
            request: Request[Answer] = Call("sync", f"meeting-{turn}", _LIMIT_S)
            called_s[turn] = time.monotonic()
            answer = await protocol.ask(request)
            answered_s[turn] = time.monotonic()
            assert type(answer) is Granted, answer

    async def _emit(self) -> None:
        self.report.emitted_s = time.monotonic()
        job = self.plan.own[0]
        for number in range(self.plan.events):
            text = f"[   12.345678] usb 1-1: new high-speed USB device number {number} using xhci"
            self._journal.emit(f"/group/job-{job}", ConsoleOutput(job, "common", text))
            if number % _BURST == 0:
                await asyncio.sleep(0)


class _Leader:
    """The group's own actors."""

    def __init__(self, plan: Plan, cluster: Cluster) -> None:
        self._plan = plan
        self._cluster = cluster
        self._events = 0
        self._wanted = plan.workers * plan.events + 2 * plan.nodes * (plan.rounds + plan.together)
        self._recorded = anyio.Event()

    async def run(self, system: ActorSystem, tasks: TaskGroup, here: AsyncExitStack) -> float:
        """Lead; returns when the last event was stored."""
        plan, cluster = self._plan, self._cluster
        led = entries.encode(entries.Led(_name(plan.index), _name(plan.index)))
        taken = await take(cluster, GROUP, led)
        writer = taken.writer
        tasks.start_soon(writer.run)

        def post(box: str, data: bytes) -> None:
            subject = subjects.down(box, GROUP)
            writer.when_stored(lambda: cluster.post(subject, data))

        exchange = Exchange(
            LEADER, post, term=taken.term, limit=cluster.limit_bytes, on_problem=_complain
        )
        recorder = Recorder(anyio.current_time, writer.append)
        recorder.add(self._count)
        members = _members(plan)
        ledger = LogLedger(writer.append, Codec(exchange), recorder.seq_of)
        state = Coordination((each.job, each.role) for each in members.values())
        coordinator = system.spawn(
            lambda: Coordinator(state, members, recorder, Patience(), ledger),
            "group/coordinator",
            mailbox_size=2 * plan.nodes + 1024,
        )
        exchange.export(coordinator)

        def arrive_here(subject: str, data: bytes) -> None:
            exchange.arrive(subjects.sender(subject)[0], data)

        async def arrive(message: Any) -> None:
            arrive_here(message.subject, message.data)

        here.enter_context(cluster.here(subjects.up(_name(plan.index), GROUP), arrive_here))
        await cluster.nc.subscribe(subjects.up("*", GROUP), cb=arrive)
        for index in range(plan.workers):
            jobs = frozenset(Plan("", index, plan.workers, plan.nodes).own)
            box = _name(index)
            recorder.admit(box, jobs)
            exchange.admit(box, box, partial(guard.check, box, jobs))
            exchange.function_ref(RECORDER, partial(recorder.relay, box), box)
        async with anyio.create_task_group() as asking:
            for index in range(plan.workers):
                asking.start_soon(_employ, exchange.ref(_name(index), HOST))
        await self._recorded.wait()
        await writer.flush()
        return time.monotonic()

    def _count(self, _event: object) -> None:
        self._events += 1
        if self._events == self._wanted:
            self._recorded.set()


async def _employ(host: ActorRef[Any]) -> None:
    await host.ask(Employ(0.0, 0, 0))


async def _rests() -> bool:
    """No node works aside from its calls."""
    return False


def _complain(box: str, text: str) -> None:
    print(f"{box}: {text}", file=sys.stderr)


async def _run(plan: Plan) -> None:
    access = Access(plan.url)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            connect(access, name=_name(plan.index), note=partial(_complain, "connection"))
        )
        system = await stack.enter_async_context(ActorSystem())
        tasks = await stack.enter_async_context(anyio.create_task_group())
        host = _Host(plan, cluster)

        async def arrive(message: Any) -> None:
            host.hear(message.data)

        down = subjects.down(_name(plan.index), GROUP)
        stack.enter_context(cluster.here(down, lambda _subject, data: host.hear(data)))
        await cluster.nc.subscribe(down, cb=arrive)
        await cluster.nc.flush()
        print(flush=True)
        async with anyio.create_task_group() as acting:
            acting.start_soon(host.run, system)
            if plan.index == 0:
                host.report.stored_s = await _Leader(plan, cluster).run(system, tasks, stack)
        print(json.dumps(cattrs.unstructure(host.report)), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(_run, cattrs.structure(json.loads(sys.argv[1]), Plan))
