"""Exchanges over the worst of posts, while leaders follow each other and workers start again.

What a process is given it is given once and in order, whatever is lost, doubled and overtaken;
what isn't settled when a leader is deposed goes to the next one; nothing is taken from a leader
that was deposed, nor from a process whose place another has taken.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from attrs import define, field
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.cluster.exchanges import Holding
from tests.runtime.wire import RESEND_S, Clock

from callboard.actors.messages import CancelJob, Granted, Send, Wait
from callboard.cluster.exchange import Exchange
from callboard.cluster.messages import LEADER
from callboard.runtime import Reply

WORKERS = ("w1", "w2")
JOB, COORDINATOR = "/group/job-1", "/group/coordinator"


SELDOM = st.sampled_from((False, False, False, False, True))


class Recording(Holding):
    """An actor that keeps what it is told, and answers what it is asked when the test says so."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.got: list[object] = []

    def deliver(self, reply: Reply[Any]) -> None:
        self.got.append(reply.message)
        if isinstance(reply.message, Wait):
            super().deliver(reply)
        else:
            reply.send(None)


@define(eq=False)
class Process:
    """A leader in one term, or a worker in one incarnation, with the one actor that it has."""

    name: str
    life: int
    exchange: Exchange
    actor: Recording


@define(eq=False)
class Flying:
    """A parcel on its way: to the worker's process that lives, or to every leader."""

    sender: str
    box: str
    data: bytes


@define
class Asked:
    """What a worker's process asks, and the answer."""

    life: int
    future: "asyncio.Future[object]" = field()


class OverTheWorstOfPosts(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = Clock()
        self.flying: list[Flying] = []
        self.leaders: list[Process] = []
        self.workers: dict[str, list[Process]] = {name: [] for name in WORKERS}
        self.count = 0
        self.asked: dict[Wait, Asked] = {}
        self.told: list[tuple[str, int, object]] = []
        self.problems: list[str] = []
        for name in WORKERS:
            self.restart(name)
        self.elect()

    def run(self, action: Callable[..., object], *arguments: object) -> None:
        async def act() -> None:
            action(*arguments)
            await asyncio.sleep(0)

        self.loop.run_until_complete(act())

    def process(self, name: str, life: int, address: str) -> Process:
        exchange = Exchange(
            name,
            lambda box, data: self.flying.append(Flying(name, box, data)),
            term=life if name == LEADER else 0,
            incarnation=str(life),
            limit=2048,
            resend_s=RESEND_S,
            on_problem=lambda box, text: self.problems.append(f"{box}: {text}"),
        )
        actor = Recording(address)
        exchange.export(actor)
        return Process(name, life, exchange, actor)

    def next(self) -> int:
        self.count += 1
        return self.count

    @property
    def leader(self) -> Process:
        return self.leaders[-1]

    @rule(now=SELDOM)
    def depose(self, now: bool) -> None:
        if now:
            self.elect()

    def elect(self) -> None:
        """Another leads; its predecessor doesn't know that yet, and goes on."""
        self.leaders.append(self.process(LEADER, len(self.leaders) + 1, COORDINATOR))
        for name in WORKERS:
            life = str(self.workers[name][-1].life)
            self.run(self.leader.exchange.admit, name, life)
            self.run(self.cancel, name, len(self.leaders) - 1)

    @rule(name=st.sampled_from(WORKERS), now=SELDOM)
    def kill(self, name: str, now: bool) -> None:
        if now:
            self.restart(name)

    def restart(self, name: str) -> None:
        """A process is gone, and another takes its place; the leader is told of it."""
        if self.workers[name]:
            gone = self.workers[name][-1].exchange
            gone._post = lambda _box, _data: None
            self.run(gone.close)
        life = len(self.workers[name]) + 1
        self.workers[name].append(self.process(name, life, JOB))
        if self.leaders:
            self.run(self.leader.exchange.admit, name, str(life))
            self.run(self.cancel, name, len(self.leaders) - 1)

    def cancel(self, name: str, leader: int) -> None:
        reason = CancelJob(f"{leader % len(self.leaders)}:{self.next()}")
        process = self.leaders[leader % len(self.leaders)]
        process.exchange.ref(name, JOB).tell_nowait(reason)
        if process is self.leader:
            self.told.append((name, self.workers[name][-1].life, reason))

    @rule(name=st.sampled_from(WORKERS), leader=st.integers(0, 9))
    def tell_a_job(self, name: str, leader: int) -> None:
        self.run(self.cancel, name, leader)

    @rule(name=st.sampled_from(WORKERS))
    def send(self, name: str) -> None:
        worker = self.workers[name][-1]
        ref = worker.exchange.ref(LEADER, COORDINATOR)
        message = Send(self.next(), name, {}, worker.life)
        self.run(ref.tell_nowait, message)
        self.told.append((name, worker.life, message))

    @rule(name=st.sampled_from(WORKERS))
    def ask(self, name: str) -> None:
        worker, number = self.workers[name][-1], self.next()
        wait = Wait((number, worker.life), name)
        self.asked[wait] = Asked(worker.life, self.loop.create_future())
        ref = worker.exchange.ref(LEADER, COORDINATOR)
        self.run(ref.deliver, Reply(wait, self.asked[wait].future))

    @rule(leader=st.integers(0, 9))
    def answer(self, leader: int) -> None:
        process = self.leaders[leader % len(self.leaders)]
        for reply in process.actor.held:
            wait = reply.message
            assert isinstance(wait, Wait)
            self.run(reply.send, Granted({process.life: {"to": str(wait.ticket[0])}}))
        process.actor.held.clear()

    @precondition(lambda self: self.flying)
    @rule(places=st.lists(st.integers(0, 30), min_size=1, max_size=10))
    def arrive(self, places: list[int]) -> None:
        for place in places[: len(self.flying)]:
            self.deliver(self.flying.pop(place % len(self.flying)))

    def deliver(self, parcel: Flying) -> None:
        if parcel.box == LEADER:
            for leader in self.leaders:
                self.run(leader.exchange.arrive, parcel.sender, parcel.data)
        else:
            self.run(self.workers[parcel.box][-1].exchange.arrive, LEADER, parcel.data)

    @precondition(lambda self: self.flying)
    @rule(place=st.integers(0, 30))
    def lose(self, place: int) -> None:
        self.flying.pop(place % len(self.flying))

    @precondition(lambda self: self.flying)
    @rule(place=st.integers(0, 30))
    def double(self, place: int) -> None:
        self.flying.append(self.flying[place % len(self.flying)])

    @rule()
    def wait(self) -> None:
        self.loop.now_s += RESEND_S
        self.loop.settle()

    @rule()
    def calm(self) -> None:
        """For a moment all is well."""
        for _ in range(2):
            self.wait()
            while self.flying:
                self.deliver(self.flying.pop(0))

    @staticmethod
    def term(message: object) -> int:
        """Which of the leaders has said it."""
        assert isinstance(message, CancelJob)
        return int(message.reason.partition(":")[0])

    @invariant()
    def nobody_is_given_anything_twice_by_one_leader_or_out_of_order(self) -> None:
        for leader in self.leaders:
            for name in WORKERS:
                got = [number(each) for each in leader.actor.got if of(each) == name]
                assert got == sorted(set(got))
        for worker in (each for lives in self.workers.values() for each in lives):
            for term in range(len(self.leaders)):
                got = [number(each) for each in worker.actor.got if self.term(each) == term]
                assert got == sorted(set(got))

    @invariant()
    def a_worker_never_goes_back_to_a_former_leader(self) -> None:
        for worker in (each for lives in self.workers.values() for each in lives):
            terms = list(map(self.term, worker.actor.got))
            assert terms == sorted(terms)

    @invariant()
    def an_answer_is_that_of_its_question(self) -> None:
        for wait, asked in self.asked.items():
            if asked.future.done() and not asked.future.exception():
                answer = asked.future.result()
                assert isinstance(answer, Granted)
                assert [*answer.data.values()] == [{"to": str(wait.ticket[0])}]

    @invariant()
    def nothing_is_misread(self) -> None:
        assert not self.problems

    def teardown(self) -> None:
        """Everything arrives from now on; then all that lives has heard of all."""
        for _ in range(12):
            while self.flying:
                self.deliver(self.flying.pop(0))
            self.answer(len(self.leaders) - 1)
            self.wait()
        living = {name: self.workers[name][-1].life for name in WORKERS}
        for wait, asked in self.asked.items():
            assert asked.future.done() or living[wait.message_id] != asked.life
        assert not self.leader.actor.held
        heard = {each for leader in self.leaders for each in map(repr, leader.actor.got)}
        for name, life, message in self.told:
            if life != living[name]:
                continue
            if isinstance(message, Send):
                assert repr(message) in heard
            elif self.term(message) == len(self.leaders) - 1:
                assert message in self.workers[name][-1].actor.got
        for process in [*self.leaders, *(each[-1] for each in self.workers.values())]:
            process.exchange._post = lambda _box, _data: None
            self.run(process.exchange.close)
        self.loop.close()


def number(message: object) -> int:
    match message:
        case Send(member):
            return member
        case Wait((member, _)):
            return member
        case CancelJob(reason):
            return int(reason.partition(":")[2])
        case _:
            raise AssertionError(message)


def of(message: object) -> str:
    assert isinstance(message, Send | Wait)
    return message.message_id


OverTheWorstOfPosts.TestCase.settings = settings(stateful_step_count=60)
TestOverTheWorstOfPosts = OverTheWorstOfPosts.TestCase
