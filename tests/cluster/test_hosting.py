"""A worker that hosts jobs of a group keeps its word, whatever becomes of who leads the group.

The leader is played by hand, in virtual time, on simulated devices.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import pytest
from attrs import define, field
from tests.cluster.standins import LEASE_S, Home, Line
from tests.cluster.test_taking_up import rehearsal
from tests.cluster.troupe import GROUP, Troupe

from callboard.actors.messages import StartJob
from callboard.cluster import subjects
from callboard.cluster.exchange import Exchange
from callboard.cluster.hosting import Hosting
from callboard.cluster.hosts import Contracts, hosts_of
from callboard.cluster.messages import (
    CONTRACT,
    COORDINATOR,
    HOST,
    LEADER,
    RECORDER,
    SOURCES,
    Contract,
    Dismiss,
    Emitted,
    Employ,
    Employed,
    Engage,
    FetchPart,
    job_address,
)
from callboard.cluster.records import Seat, Settings
from callboard.cluster.wire import Codec
from callboard.definition.model import NodeJob
from callboard.events import Event, JobEnded, decode
from callboard.nodes import Nodes
from callboard.runtime import ActorStopped, run_virtual

BOX = "rack-1"
SECRET = "hunter2"
IDLE_S = 30.0
LONG_S = 600.0


@define(eq=False)
class Scene:
    """A worker that hosts, and what a leader may say to it.

    Attributes:
        lease_s: Of the cluster.
        sandbox: Whether its owner wants local nodes to be throw-away.
        dawdles_s: What it takes to make the nodes.
        clears_s: What it takes to clear them away.
        troupe: The group.
        closed: The jobs whose nodes were there, and are no more.
        gone: What these were when a dismissal was answered.
        events: What the worker has reported.
    """

    lease_s: float = LEASE_S
    sandbox: bool = True
    dawdles_s: float = 0.0
    clears_s: float = 0.0
    troupe: Troupe = field(factory=lambda: Troupe(rehearsal("demo"), 1, loss=0.0))
    closed: list[int] = field(factory=list[int])
    gone: tuple[int, ...] = ()
    events: list[Event] = field(factory=list[Event])
    home: Home = field(init=False)
    hosting: Hosting = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.home = Home(BOX, Line(self.troupe.net, self.lease_s), None, self.sandbox)
        self.hosting = Hosting(self.home, self._seated)

    def play(self, act: Callable[["Scene"], Awaitable[None]]) -> None:
        """Have this happen while the worker hosts."""
        run_virtual(partial(self._play, act))

    async def _play(self, act: Callable[["Scene"], Awaitable[None]]) -> None:
        with anyio.fail_after(10 * LONG_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.hosting.serve)
                for node in self.troupe.nodes.values():
                    node.begin()
                await act(self)
                tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def leader(self, term: int = 1, group: str = GROUP) -> AsyncIterator["Leader"]:
        """A leader, until it is gone."""
        line = Line(self.troupe.net)
        exchange = Exchange(
            LEADER, lambda box, data: line.post(subjects.down(box, group), data), term=term
        )
        exchange.admit(BOX, BOX)
        up = subjects.up("*", group)
        async with line.taking(up, lambda _subject, data: exchange.arrive(BOX, data), up):
            try:
                yield Leader(self, exchange)
            finally:
                line.dead = True
                exchange.close()

    @asynccontextmanager
    async def _seated(
        self, _group: str, contract: Contract, _jobs: Sequence[NodeJob]
    ) -> AsyncIterator[Nodes]:
        await anyio.sleep(self.dawdles_s)
        jobs = [each.job.id for each in contract.jobs]
        try:
            yield Nodes(tuple(self.troupe.placements[job] for job in jobs), {})
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.clears_s)
            self.closed += jobs


@define(eq=False)
class Leader:
    """Who leads the group."""

    scene: Scene
    exchange: Exchange

    async def engage(self) -> bool:
        """Whether the worker promises to stay."""
        promised: bool = await self.exchange.ref(BOX, HOST).ask(Engage())
        return promised

    async def employ(self, settings: Settings | None = None, time_s: float = 0.0) -> Employed:
        """What the worker says when it is to make its nodes."""
        jobs, codec = self.scene.troupe.jobs, Codec(self.exchange)
        seats = {job.id: Seat(BOX, BOX, f"simulated-{job.id}", "simulated") for job in jobs}
        [host] = hosts_of(jobs, seats)
        secrets = {"token": SECRET}
        Contracts(codec, jobs, seats, settings or Settings(), {}, secrets, [SECRET]).write(host)
        for address, data in ((CONTRACT, host.contract), (SOURCES, host.sources)):
            self.exchange.function_ref(address, partial(_part, data), BOX)
        self.exchange.function_ref(RECORDER, self._record, BOX)
        for address in (COORDINATOR, *(job_address(job.id) for job in jobs)):
            self.exchange.function_ref(address, lambda _message: None, BOX)
        request = Employ(time_s, len(host.contract), len(host.sources))
        employed: Employed = await self.exchange.ref(BOX, HOST).ask(request)
        return employed

    async def start(self) -> None:
        """Have the jobs begin."""
        for job in self.scene.troupe.jobs:
            await self.exchange.ref(BOX, job_address(job.id)).tell(StartJob())

    async def try_to_employ(self) -> None:
        """The same, unless the worker forgets the group first."""
        with suppress(ActorStopped):
            await self.employ()

    async def dismiss(self, reason: str = "the group is over") -> None:
        """Have the worker forget the group."""
        await self.exchange.ref(BOX, HOST).ask(Dismiss(reason))
        self.scene.gone = tuple(self.scene.closed)
        await anyio.sleep(1.0)  # what it has reported may come later than the answer

    def _record(self, emitted: Emitted) -> None:
        self.scene.events += [decode(line.encode()) for line in emitted.lines]


def _part(data: bytes, request: FetchPart) -> bytes:
    return data[request.offset : request.offset + request.size]


def ended(scene: Scene) -> list[JobEnded]:
    return [each.body for each in scene.events if isinstance(each.body, JobEnded)]


def test_a_worker_that_drains_promises_nothing_new_and_keeps_what_it_has_promised() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader, scene.leader(group="later") as late:
            assert await leader.engage()
            scene.home.draining.set()
            assert not await late.engage()
            assert await leader.engage()
            assert await leader.employ() == Employed()
            with anyio.move_on_after(LONG_S) as waiting:
                await scene.hosting.finished()
            assert waiting.cancelled_caught, "it stays until the group is over"
            await leader.dismiss()
        await scene.hosting.finished()

    Scene().play(act)


def test_a_promise_lapses_when_nothing_comes_of_it_and_only_when_no_leader_is_to_come() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            assert await leader.engage()
            began_s = anyio.current_time()
        await scene.hosting.finished()
        took_s = anyio.current_time() - began_s
        assert took_s == pytest.approx(3 * scene.lease_s, abs=1.0)

    Scene(lease_s=IDLE_S).play(act)


def test_who_asks_for_nodes_again_is_told_what_was_said_and_nothing_is_made_anew() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as first, anyio.create_task_group() as asking:
            asking.start_soon(first.employ)
            await anyio.sleep(1.0)
            asking.cancel_scope.cancel()
        async with scene.leader(2) as second:
            assert await second.employ() == Employed()
        async with scene.leader(3) as third:
            assert await third.employ() == Employed()
            assert not scene.closed
            await third.dismiss()
        assert sorted(scene.closed) == [job.id for job in scene.troupe.jobs]

    Scene(dawdles_s=5.0).play(act)


def test_a_dismissal_is_answered_when_jobs_have_ended_and_their_nodes_are_gone() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            await leader.employ()
            await leader.start()
            await anyio.sleep(1.0)
            await leader.dismiss()
        assert set(scene.gone) == {job.id for job in scene.troupe.jobs}
        assert {each.job for each in ended(scene)} == set(scene.gone)
        assert {each.health for each in ended(scene)} == {"canceled"}

    Scene(clears_s=3.0).play(act)


def test_a_dismissal_does_not_wait_for_nodes() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader, anyio.create_task_group() as asking:
            asking.start_soon(leader.try_to_employ)
            await anyio.sleep(1.0)
            began_s = anyio.current_time()
            await leader.dismiss()
            assert anyio.current_time() - began_s < 2.0
        assert not scene.closed

    Scene(dawdles_s=LONG_S).play(act)


def test_a_worker_finds_out_that_a_group_is_over_whose_leader_is_gone() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            await leader.employ()
        with anyio.move_on_after(LONG_S) as waiting:
            await scene.hosting.finished()
        assert waiting.cancelled_caught, "another leader may come"
        scene.troupe.net.over = True
        await scene.hosting.finished()
        assert len(scene.closed) == len(scene.troupe.jobs)

    Scene().play(act)


def test_a_leader_that_is_heard_of_is_not_doubted() -> None:
    async def act(scene: Scene) -> None:
        scene.troupe.net.over = True  # as who is asked may think that knows less
        async with scene.leader() as leader:
            await leader.employ()
            for _ in range(20):
                await anyio.sleep(scene.lease_s)
                assert await leader.engage()
            assert not scene.closed
            await leader.dismiss()

    Scene().play(act)


def test_times_of_events_count_from_the_beginning_of_the_run() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            await leader.employ(time_s=LONG_S)
            await leader.dismiss()
        assert all(LONG_S < each.time_s < LONG_S + 1.0 for each in scene.events)

    Scene().play(act)


def test_no_event_of_a_worker_holds_a_secret() -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            await leader.employ()
            await leader.dismiss(f"the token {SECRET} is not valid any more")
        errors = [each.error.message for each in ended(scene) if each.error is not None]
        assert len(errors) == len(scene.troupe.jobs)
        assert not [each for each in errors if SECRET in each or "is not valid" not in each]

    Scene().play(act)


@pytest.mark.parametrize("owner", [True, False])
def test_nodes_are_throw_away_unless_the_owner_of_the_worker_says_otherwise(owner: bool) -> None:
    async def act(scene: Scene) -> None:
        async with scene.leader() as leader:
            problem = (await leader.employ(Settings(sandbox=False))).problem
            await leader.dismiss()
        assert (problem is not None) == owner
        if problem is not None:
            assert "--no-sandbox" in problem

    Scene(sandbox=owner).play(act)


def test_a_fault_in_one_group_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_line: Line, _subject: str, data: bytes) -> bytes:
        if data == b"broken":
            raise RuntimeError("a bug")
        return subjects.GOES_ON

    monkeypatch.setattr(Line, "ask", broken)

    async def act(scene: Scene) -> None:
        async with scene.leader(group="broken") as leader:
            await leader.engage()
        async with scene.leader() as leader:
            await leader.employ()
            await anyio.sleep(LONG_S)
            assert await leader.engage()
            await leader.dismiss()
        [said] = scene.home.said
        assert said == "group broken: this is a fault of callboard: RuntimeError: a bug"

    Scene().play(act)
