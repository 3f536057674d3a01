"""The coordinator: who waits in vain is told so, in time, unless somebody still works."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from attrs import define, field
from tests.runtime.asking import ask

from callboard.actors import coordinator
from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import REPORT_S, Coordinator, Patience
from callboard.actors.effects import Ticket
from callboard.actors.job import ends_the_group
from callboard.actors.members import Member
from callboard.actors.messages import (
    Answer,
    AskBusy,
    Call,
    CoordinatorMessage,
    Disband,
    GiveUp,
    Granted,
    Join,
    Leave,
    Refused,
    Send,
    Start,
    Sync,
    Wait,
    WaitAll,
    Withdraw,
)
from callboard.definition.model import Place, Role
from callboard.definition.senders import Senders, Sends
from callboard.events import Absentee, Event, Failure, WaitHopeless
from callboard.journal import Journal
from callboard.runtime import Actor, ActorRef, ActorSystem, Request, Supervision

pytestmark = pytest.mark.asyncio

ROLES = {1: "server", 2: "client", 3: "client"}


class Protocol(Actor[Call | GiveUp | AskBusy]):
    """A member that says by turns whether it is busy, and at last that it isn't."""

    def __init__(self, busy: list[bool], asked: Callable[[], Awaitable[None]]) -> None:
        self._busy = busy
        self._asked = asked

    async def receive(self, message: Call | GiveUp | AskBusy) -> bool | None:
        if not isinstance(message, AskBusy):
            return None
        await self._asked()
        return self._busy.pop(0) if self._busy else False


@define
class Bench:
    """A coordinator of a server and two clients; `whenever_asked` is told to it in a survey."""

    ref: ActorRef[CoordinatorMessage] = field(init=False)
    events: list[Event] = field(factory=list[Event])
    answers: dict[Ticket, Answer] = field(factory=dict[Ticket, Answer])
    answered_s: dict[Ticket, float] = field(factory=dict[Ticket, float])
    reported: anyio.Event = field(factory=anyio.Event)
    asked: anyio.Event = field(factory=anyio.Event)
    whenever_asked: list[CoordinatorMessage] = field(factory=list[CoordinatorMessage])

    surveys: int = 0

    async def survey(self) -> None:
        """What the second member does before it says whether it is busy."""
        self.surveys += 1
        if self.whenever_asked:
            await self.ref.tell(self.whenever_asked.pop(0))
        self.asked.set()

    def note(self, event: Event) -> None:
        self.events.append(event)
        self.reported.set()

    @property
    def reports(self) -> list[WaitHopeless]:
        return [each.body for each in self.events if isinstance(each.body, WaitHopeless)]

    async def ask(self, request: Request[Answer], ticket: Ticket) -> None:
        self.answers[ticket] = await self.ref.ask(request)
        self.answered_s[ticket] = anyio.current_time()

    def reason(self, ticket: Ticket) -> str:
        answer = self.answers[ticket]
        assert isinstance(answer, Refused)
        return answer.reason


@asynccontextmanager
async def bench(
    patience: Patience,
    *,
    busy: list[bool] | None = None,
    worker: int = 2,
    senders: Senders | None = None,
) -> AsyncIterator[Bench]:
    group = Bench()
    journal = Journal(anyio.current_time, sinks=[group.note])
    members = {job: Member(job, role) for job, role in ROLES.items()}
    async with ActorSystem() as system:
        ref = system.spawn(
            lambda: Coordinator(Coordination(ROLES.items(), senders), members, journal, patience),
            "coordinator",
        )
        group.ref = ref
        for job in ROLES:
            own = busy if busy is not None and job == worker else []
            asked = group.survey if job == 2 else anyio.lowlevel.checkpoint
            protocol = system.spawn(partial(Protocol, own, asked), f"protocol-{job}")
            await ref.tell(Join(job, protocol))
        yield group


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way from these members."""
    monkeypatch.setattr(coordinator, "CONFIRM_S", 0.01)


AT_ONCE = Patience(grace_s=600)
SOON = Patience(grace_s=0.05)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Sync((2, 1), "met", 7), "lava-sync met can never be satisfied"),
        (WaitAll((2, 1), "x", "server", 7), "lava-wait-all x server can never be satisfied"),
        (Start((2, 1), "server", 7), "the delayed start can never be satisfied"),
    ],
)
async def test_what_needs_a_member_that_ends_fails_at_once_and_blames_it(
    request_: Request[Answer], text: str
) -> None:
    async with bench(AT_ONCE) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, request_, (2, 1))
        await anyio.wait_all_tasks_blocked()
        assert group.answers == {}
        await group.ref.tell(Leave(1))
    assert group.reason((2, 1)) == f"{text}: 1 (server) ended without it"
    [report] = group.events
    assert (report.cause, report.body) == (7, group.reports[0])
    assert (group.reports[0].certain, group.reports[0].culprits) == (True, (1,))
    assert Absentee(1, "server", "ended") in group.reports[0].missing


async def test_without_fail_fast_it_is_only_reported_and_may_be_withdrawn() -> None:
    async with (
        bench(Patience(fail_fast=False, grace_s=0.0)) as group,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask, group.ref, Sync((2, 1), "met"))
        await anyio.wait_all_tasks_blocked()
        await group.ref.tell(Leave(1))
        assert await group.ref.ask(Withdraw((2, 1))) == (1, 3)
        tasks.cancel_scope.cancel()
    assert [report.certain for report in group.reports] == [True]


async def test_a_group_in_which_all_wait_is_reported_and_then_failed() -> None:
    async with bench(SOON) as group, anyio.create_task_group() as tasks:
        await group.ref.tell(Leave(1))
        tasks.start_soon(group.ask, Wait((2, 1), "ready"), (2, 1))
        tasks.start_soon(group.ask, Wait((3, 1), "ready"), (3, 1))
    text = "lava-wait ready presumably can never be satisfied: 1 (server) ended without it"
    assert group.reason((2, 1)) == group.reason((3, 1)) == text
    assert [(each.job, each.certain, each.culprits) for each in group.reports] == [
        (2, False, (1,)),
        (3, False, (1,)),
    ]


async def test_a_wait_whose_only_senders_have_ended_fails_while_others_work() -> None:
    async with bench(SOON, senders=Senders({"server": Sends(frozenset({"ready"}))})) as group:
        await group.ref.tell(Leave(1))
        await group.ask(Wait((2, 1), "ready"), (2, 1))
    assert "1 (server) ended without it" in group.reason((2, 1))


@pytest.mark.parametrize("worker", [2, 3])
async def test_a_group_in_which_somebody_works_aside_is_failed_only_afterwards(worker: int) -> None:
    busy = [True]
    async with bench(SOON, busy=busy, worker=worker) as group, anyio.create_task_group() as tasks:
        await group.ref.tell(Leave(1))
        began_s = anyio.current_time()
        tasks.start_soon(group.ask, Wait((2, 1), "ready"), (2, 1))
        tasks.start_soon(group.ask, Wait((3, 1), "ready"), (3, 1))
    assert busy == []
    assert len(group.reports) == 2
    # It was asked about twice, and the second time a second after the first.
    assert all(each - began_s > REPORT_S for each in group.answered_s.values())


async def test_what_somebody_sends_from_aside_ends_the_waiting() -> None:
    async with bench(SOON, busy=[True] * 100) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await group.reported.wait()
        await group.ref.tell(Send(2, "ready", {"k": "v"}))
    assert list(group.answers.values()) == [Granted({2: {"k": "v"}})] * 3


async def test_any_request_begins_the_time_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "REPORT_S", 0.05)
    grace_s = 0.3
    async with bench(Patience(grace_s=grace_s)) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await anyio.sleep(grace_s / 2)
        await group.ref.tell(Send(2, "other", {}))
        sent_s = anyio.current_time()
    assert all(each - sent_s >= grace_s - 0.01 for each in group.answered_s.values())
    assert len(group.reports) == len(ROLES)


async def test_nothing_is_reported_within_a_second_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coordinator, "REPORT_S", 0.3)
    async with bench(AT_ONCE) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await anyio.sleep(0.15)
        await group.ref.tell(Send(2, "other", {}))
        sent_s = anyio.current_time()
        await group.reported.wait()
        assert anyio.current_time() - sent_s >= 0.29
        await group.ref.tell(Send(2, "ready", {}))


async def test_a_request_that_comes_while_members_are_asked_begins_the_time_anew() -> None:
    async with bench(Patience(grace_s=0.2)) as group, anyio.create_task_group() as tasks:
        group.whenever_asked = [Send(2, "other", {}), Send(2, "another", {})]
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
    assert group.whenever_asked == []
    assert len(group.reports) == 3
    assert group.surveys == 4, "two in vain, and two for the end"


async def test_what_others_do_does_not_keep_a_wait_alive_whose_senders_have_ended() -> None:
    async with bench(
        Patience(grace_s=0.3), senders=Senders({"server": Sends(frozenset({"ready"}))})
    ) as group:
        await group.ref.tell(Leave(1))
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(group.ask, Wait((2, 1), "ready"), (2, 1))
                while not group.answers:
                    await group.ref.tell(Send(3, "other", {}))
                    await anyio.sleep(0.01)
    assert "1 (server) ended without it" in group.reason((2, 1))


async def test_what_is_presumed_is_reported_before_it_is_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("callboard.actors.coordinator.REPORT_S", 0.01)
    async with bench(AT_ONCE) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        with anyio.fail_after(10):
            await group.reported.wait()
        await group.ref.tell(Send(2, "ready", {}))
    assert list(group.answers.values()) == [Granted({2: {}})] * 3


async def test_without_fail_fast_what_is_presumed_is_only_reported() -> None:
    patience = Patience(fail_fast=False, grace_s=0.01)
    async with bench(patience) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await group.reported.wait()
        await anyio.wait_all_tasks_blocked()
        await group.ref.tell(Send(2, "ready", {}))
    assert list(group.answers.values()) == [Granted({2: {}})] * 3
    assert len(group.reports) == 3


async def test_those_fail_first_that_wait_for_nobody_who_lives() -> None:
    senders = Senders({"server": Sends(frozenset({"ready"})), "client": Sends(frozenset({"go"}))})
    async with bench(SOON, senders=senders) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, Wait((1, 1), "go"), (1, 1))
        tasks.start_soon(group.ask, Wait((3, 1), "redy"), (3, 1))
        await group.ask(Wait((2, 1), "typo"), (2, 1))
        await group.ref.tell(Send(2, "go", {}))
    assert isinstance(group.answers[3, 1], Refused)
    assert group.answers[1, 1] == Granted({2: {}})


async def test_a_circle_fails_before_those_that_wait_for_it() -> None:
    async with bench(SOON) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, WaitAll((3, 1), "z", "server"), (3, 1))
        tasks.start_soon(group.ask, WaitAll((2, 1), "z", "server"), (2, 1))
        await group.ask(WaitAll((1, 1), "z", "server"), (1, 1))
        await group.ref.tell(Send(1, "z", {}))
    assert group.answers[2, 1] == group.answers[3, 1] == Granted({1: {}})


async def test_what_another_does_aside_does_not_help_a_wait_that_nobody_sends() -> None:
    senders = Senders({"server": Sends(frozenset({"ready"}))})
    async with (
        bench(SOON, busy=[True] * 100, worker=3, senders=senders) as group,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(group.ask, Sync((1, 1), "met"), (1, 1))
        tasks.start_soon(group.ask, Sync((3, 1), "met"), (3, 1))
        await group.ask(Wait((2, 1), "typo"), (2, 1))
        assert set(group.answers) == {(2, 1)}
        await group.ref.tell(Leave(2))
    assert len(group.answers) == 3


async def test_members_are_asked_twice_before_a_wait_is_failed() -> None:
    async with bench(SOON) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
    assert group.surveys == 2


async def test_a_member_that_can_not_say_whether_it_works_is_taken_to_work() -> None:
    group = Bench()
    journal = Journal(anyio.current_time, sinks=[group.note])
    members = {1: Member(1, "server")}

    async def broken() -> None:
        group.asked.set()
        raise OSError("no such node")

    async with ActorSystem() as system, anyio.create_task_group() as tasks:
        ref = system.spawn(
            lambda: Coordinator(Coordination([(1, "server")]), members, journal, SOON), "c"
        )
        group.ref = ref
        supervision = Supervision.restart(limit=9, within_s=9)
        protocol = system.spawn(lambda: Protocol([], broken), "p", supervision=supervision)
        await ref.tell(Join(1, protocol))
        tasks.start_soon(group.ask, Wait((1, 1), "ready"), (1, 1))
        await group.asked.wait()
        await anyio.sleep(0.2)  # time in which it must not be failed
        await ref.tell(Send(1, "ready", {}))
    assert group.answers == {(1, 1): Granted({1: {}})}


async def test_what_becomes_certain_is_reported_again() -> None:
    async with bench(SOON, busy=[True] * 100) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, Wait((1, 1), "ready"), (1, 1))
        tasks.start_soon(group.ask, Wait((2, 1), "ready"), (2, 1))
        tasks.start_soon(group.ask, Sync((3, 1), "met"), (3, 1))
        await group.asked.wait()
        await group.ref.tell(Leave(1))
        await group.ref.tell(Send(2, "ready", {}))
    assert [each.certain for each in group.reports if each.job == 3] == [False, True]


async def test_who_fails_for_another_passes_the_blame_on() -> None:
    async with bench(AT_ONCE) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, Sync((2, 1), "met"), (2, 1))
        await anyio.wait_all_tasks_blocked()
        await group.ref.tell(Leave(1))
        await group.ref.tell(Leave(2))
        await group.ask(WaitAll((3, 1), "x", "client"), (3, 1))
    assert [(each.job, each.culprits) for each in group.reports] == [(2, (1,)), (3, (1,))]


async def test_whoever_ends_with_the_whole_group_is_not_missed() -> None:
    async with bench(Patience(grace_s=0.0)) as group, anyio.create_task_group() as tasks:
        tasks.start_soon(group.ask, Sync((2, 1), "met"), (2, 1))
        await anyio.wait_all_tasks_blocked()
        await group.ref.tell(Disband())
        await group.ref.tell(Leave(1))
        await group.ref.tell(Leave(3))
        await group.ref.tell(Leave(2))
    assert group.reports == []
    assert group.reason((2, 1)) == "the job has ended"


async def test_a_group_that_is_disbanded_while_all_wait_is_not_reported() -> None:
    async with bench(Patience(grace_s=0.5)) as group, anyio.create_task_group() as tasks:
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await anyio.wait_all_tasks_blocked()
        await group.ref.tell(Disband())
        await anyio.sleep(0.6)  # what doesn't happen is no event
        for job in ROLES:
            await group.ref.tell(Leave(job))
    assert group.reports == []
    assert {group.reason(ticket) for ticket in group.answers} == {"the job has ended"}


async def test_a_group_that_is_disbanded_while_it_is_asked_ends_by_itself() -> None:
    async with bench(Patience(grace_s=0.0)) as group, anyio.create_task_group() as tasks:
        group.whenever_asked = [Disband()]
        for job in ROLES:
            tasks.start_soon(group.ask, Wait((job, 1), "ready"), (job, 1))
        await group.asked.wait()
        await anyio.wait_all_tasks_blocked()
        for job in ROLES:
            await group.ref.tell(Leave(job))
    assert {group.reason(ticket) for ticket in group.answers} == {"the job has ended"}


@pytest.mark.parametrize(
    ("essential", "error", "ends"),
    [
        (True, "InfrastructureError", True),
        (True, "JobError", True),
        (True, "MultinodeTimeout", False),
        (True, "TestError", False),
        (True, None, False),
        (False, "InfrastructureError", False),
    ],
)
async def test_an_essential_role_ends_its_group_unless_it_waited_in_vain(
    essential: bool, error: str | None, ends: bool
) -> None:
    role = Role("server", 1, Place("job.yaml", 1, 1), essential=essential)
    assert ends_the_group(role, Failure(error, "it failed") if error else None) == ends
