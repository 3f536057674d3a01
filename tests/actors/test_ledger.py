"""A coordinator that crashes and is restarted from its ledger: nobody can tell from the answers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

import anyio
import hypothesis.strategies as st
import pytest
from attrs import define, field, frozen
from hypothesis import given

from callboard.actors import coordinator
from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator, Patience
from callboard.actors.effects import Ticket
from callboard.actors.ledger import Entry, MemoryLedger, identity
from callboard.actors.members import Member
from callboard.actors.messages import (
    AskBusy,
    Call,
    CoordinatorMessage,
    Disband,
    GivenUp,
    GiveUp,
    Granted,
    Join,
    Leave,
    Refused,
    Release,
    Send,
    Start,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.events import Event, WaitHopeless
from callboard.journal import Journal
from callboard.runtime import Actor, ActorFailed, ActorRef, ActorSystem, Reply, Supervision

ROLES = {1: "server", 2: "client", 3: "client"}
IDS = st.sampled_from(["a", "lava_start"])
AT_ONCE = Patience(grace_s=600)

Moment = Literal["before", "after"]

CRASHES: list[Moment | None] = [None, None, "before", "after"]


class CrashError(Exception):
    """What kills a coordinator."""


class Fragile(MemoryLedger):
    """Crashes its coordinator once, before or after it has written the next request down."""

    crash: Moment | None = None

    def append(self, entry: Entry) -> None:
        crash, self.crash = self.crash, None
        if crash == "before":
            raise CrashError
        super().append(entry)
        if crash == "after":
            raise CrashError


class Idle(Actor[Call | GiveUp | AskBusy]):
    async def receive(self, message: Call | GiveUp | AskBusy) -> bool:
        return not isinstance(message, AskBusy)


@define
class Bench:
    """A coordinator and those that ask it, who ask again when it fails them."""

    ledger: Fragile = field(factory=Fragile)
    events: list[Event] = field(factory=list[Event])
    reported: anyio.Event = field(factory=anyio.Event)
    states: list[Coordination] = field(factory=list[Coordination])
    ref: ActorRef[CoordinatorMessage] = field(init=False)
    idle: ActorRef[Call | GiveUp | AskBusy] = field(init=False)
    asked: list[tuple[CoordinatorMessage, asyncio.Future[Any]]] = field(factory=list)

    @property
    def reports(self) -> list[tuple[int, bool]]:
        bodies = [each.body for each in self.events]
        return [(b.job, b.certain) for b in bodies if isinstance(b, WaitHopeless)]

    def note(self, event: Event) -> None:
        self.events.append(event)
        self.reported.set()

    async def ask(self, request: Any) -> None:
        self.asked.append((request, self.deliver(request)))
        # Handled after it, and does nothing.
        await asyncio.wait([self.deliver(Join(1, self.idle))])
        again = [(r, f) for r, f in self.asked if f.done() and f.exception()]
        for failed in again:
            assert isinstance(failed[1].exception(), ActorFailed)
            self.asked.remove(failed)
        for each, _ in again:
            await self.ask(each)

    def deliver(self, request: Any) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(asyncio.Future.exception)  # the end of a test fails those left
        self.ref.deliver(Reply(request, future))
        return future

    async def crash(self) -> None:
        """Between two requests: the next one, which finds it dead, is one that does nothing."""
        self.ledger.crash = "before"
        await self.ask(Withdraw((1, 1_000)))

    def answers(self) -> dict[object, object]:
        """What every request was answered with in the end, by its identity."""
        return {identity(each): f.result() for each, f in self.asked if f.done()}


@asynccontextmanager
async def bench(
    patience: Patience = AT_ONCE, semantics: Semantics = DOCUMENTED
) -> AsyncIterator[Bench]:
    group = Bench()
    journal = Journal(anyio.current_time, sinks=[group.note])
    members = {job: Member(job, role) for job, role in ROLES.items()}

    def fresh() -> Coordinator:
        group.states.append(Coordination(ROLES.items(), semantics=semantics))
        return Coordinator(group.states[-1], members, journal, patience, group.ledger)

    async with ActorSystem() as system:
        restart = Supervision.restart(limit=1_000, within_s=600)
        ref = system.spawn(fresh, "coordinator", supervision=restart)
        group.ref = ref
        group.idle = system.spawn(Idle, "idle")
        for job in ROLES:
            await group.ref.tell(Join(job, group.idle))
        yield group


@frozen
class Step:
    """A request, whether the coordinator crashes at it, and what comes once more after it."""

    request: CoordinatorMessage
    crash: Moment | None
    resent: Sequence[int]


@st.composite
def plays(draw: st.DrawFn) -> list[Step]:
    """What members that have not ended may ask, each of its requests with a number of its own."""
    living = list(ROLES)
    steps: list[Step] = []
    for number in range(1, draw(st.integers(1, 14)) + 1):
        if not living:
            break
        member = draw(st.sampled_from(living))
        request = draw(requests(member, number))
        if isinstance(request, Leave):
            living.remove(member)
        crash = draw(st.sampled_from(CRASHES))
        steps.append(Step(request, crash, draw(st.lists(st.integers(0, number - 1), max_size=2))))
    return steps


def requests(member: int, number: int) -> st.SearchStrategy[CoordinatorMessage]:
    ticket = (member, number)
    roles = st.sampled_from(["server", "client"])
    return st.one_of(
        st.builds(Sync, st.just(ticket), IDS),
        st.builds(Wait, st.just(ticket), IDS),
        st.builds(WaitAll, st.just(ticket), IDS, st.sampled_from([None, "server", "client"])),
        st.builds(Start, st.just(ticket), roles),
        st.builds(Send, st.just(member), IDS, st.just({"n": str(number)}), st.just(number)),
        st.builds(Release, st.just(member), st.tuples(roles), st.just(number)),
        st.builds(Withdraw, st.tuples(st.just(member), st.integers(1, number - 1 or 1))),
        st.just(Leave(member, number)),
    )


async def play(steps: Sequence[Step], semantics: Semantics, *, faulty: bool) -> Bench:
    async with bench(semantics=semantics) as group:
        for step in steps:
            group.ledger.crash = step.crash if faulty else None
            await group.ask(step.request)
            group.ledger.crash = None
            for number in step.resent if faulty else ():
                await group.ask(steps[number].request)
        if faulty:
            await group.crash()
        else:
            await group.ask(Withdraw((1, 1_000)))
        group.asked[:] = [(r, f) for r, f in group.asked if f.done() and not f.exception()]
        return group


@given(plays(), st.sampled_from([DOCUMENTED, LAVA]))
def test_crashes_and_requests_that_come_again_change_no_answer(
    steps: list[Step], semantics: Semantics
) -> None:
    plain = anyio.run(lambda: play(steps, semantics, faulty=False))
    faulty = anyio.run(lambda: play(steps, semantics, faulty=True))
    assert faulty.answers() == plain.answers()
    assert faulty.states[-1].waiting == plain.states[-1].waiting
    assert faulty.states[-1].over == plain.states[-1].over
    assert Counter(faulty.reports) == Counter(plain.reports)


@pytest.mark.asyncio
async def test_who_waits_is_answered_by_the_coordinator_that_takes_over() -> None:
    async with bench() as group:
        await group.ask(Wait((2, 1), "x"))
        await group.crash()
        assert len(group.states) == 2
        await group.ask(Send(1, "x", {"k": "v"}, 1))
    assert group.answers()[2, 1] == Granted({1: {"k": "v"}})


@pytest.mark.asyncio
async def test_what_was_granted_is_granted_again_with_the_data_of_then() -> None:
    async with bench() as group:
        await group.ask(Send(1, "x", {"k": "1"}, 1))
        await group.ask(Wait((2, 1), "x"))
        await group.ask(Send(1, "x", {"k": "2"}, 2))
        await group.crash()
        await group.ask(Wait((2, 1), "x"))
    first, again = [f.result() for r, f in group.asked if isinstance(r, Wait)]
    assert first == again == Granted({1: {"k": "1"}})


@pytest.mark.asyncio
async def test_what_was_withdrawn_waits_no_more_when_it_comes_again() -> None:
    async with bench() as group:
        for request in (Sync((2, 1), "s"), Withdraw((2, 1)), Sync((2, 1), "s"), Withdraw((2, 1))):
            await group.ask(request)
    assert group.states[-1].waiting == frozenset()
    assert [f.result() for _, f in group.asked] == [GivenUp(), (1, 3), GivenUp(), (1, 3)]


@pytest.mark.asyncio
async def test_an_end_that_is_told_again_counts_once() -> None:
    async with bench(semantics=LAVA) as group:
        for _ in ROLES:
            await group.ask(Leave(1))
        assert not group.states[-1].over
        for number in (1, 2):
            await group.ask(Leave(1, number))
    assert group.states[-1].over


@pytest.mark.asyncio
async def test_a_disbanded_group_stays_disbanded() -> None:
    async with bench() as group:
        await group.ask(Sync((2, 1), "s"))
        await group.ask(Disband())
        await group.crash()
        await group.ask(Leave(1))
    assert group.reports == []


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "CONFIRM_S", 0.0)


async def answered(group: Bench, ticket: Ticket) -> object:
    return await next(f for r, f in group.asked if identity(r) == ticket)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_soon")
async def test_a_group_that_is_stuck_is_found_so_by_the_coordinator_that_takes_over() -> None:
    async with bench(Patience(grace_s=0.2)) as group:
        for job in ROLES:
            await group.ask(Wait((job, 1), "x"))
        group.ledger.crash = "before"
        await asyncio.wait([group.deliver(Join(1, group.idle))])
        assert group.reports == []
        await group.reported.wait()
    assert len(group.reports) == len(ROLES)


@pytest.mark.asyncio
@pytest.mark.usefixtures("_soon")
async def test_what_was_failed_as_presumably_hopeless_stays_failed() -> None:
    async with bench(Patience(grace_s=0.0)) as group:
        for job in ROLES:
            await group.ask(Wait((job, 1), "x"))
        for job in ROLES:
            assert isinstance(await answered(group, (job, 1)), Refused)
        before = group.answers()
        await group.crash()
        assert group.states[-1].waiting == frozenset()
        for job in ROLES:
            await group.ask(Wait((job, 1), "x"))
    assert before.items() <= group.answers().items()
    assert len(group.reports) == len(ROLES)
