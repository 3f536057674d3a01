"""A group whose coordinator crashes, behind a transport that loses and doubles what it carries."""

import asyncio
from itertools import count
from random import Random

import anyio
import pytest
from attrs import frozen

from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator, Patience
from callboard.actors.ledger import Entry, MemoryLedger
from callboard.actors.members import Member
from callboard.actors.messages import (
    CoordinatorMessage,
    Granted,
    Leave,
    Send,
    Sync,
    WaitAll,
    Withdraw,
)
from callboard.journal import Journal
from callboard.runtime import ActorRef, ActorSystem, Supervision
from callboard.runtime.link import Link
from callboard.runtime.transport import Deliver, Envelope

NODES = 4
ROUNDS = 3
RESEND_S = 0.01


class CrashError(Exception):
    """What kills the coordinator."""


class Fragile(MemoryLedger):
    """Now and then a request is written down and the coordinator fails, or is killed soon."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self.fatal = anyio.Event()
        self.crashes = 0

    def append(self, entry: Entry) -> None:
        super().append(entry)
        crash = self._random.choice(["fails", "is killed", "", ""])
        if crash == "is killed":
            self.fatal.set()
        if crash == "fails":
            self.crashes += 1
            raise CrashError


@frozen
class Lossy:
    """Each envelope arrives twice, once or never, and others overtake it."""

    random: Random

    def send(self, envelope: Envelope, deliver: Deliver) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.random.choice([0, 1, 1, 2])):
            loop.call_later(self.random.uniform(0, RESEND_S), deliver, envelope)


async def member(job: int, ref: ActorRef[CoordinatorMessage]) -> None:
    for turn in range(ROUNDS):
        number = 3 * turn + 1
        await ref.tell(Send(job, f"x-{turn}", {"from": str(job)}, number))
        everything = {each: {"from": str(each)} for each in range(NODES)}
        answer = await ref.ask(WaitAll((job, number + 1), f"x-{turn}"))
        assert answer == Granted(everything)
        assert await ref.ask(Sync((job, number + 2), f"s-{turn}")) == Granted()
    await ref.tell(Leave(job, 3 * ROUNDS + 1))
    await ref.ask(Withdraw((job, 3 * ROUNDS + 2)))  # comes after it


def number_of(entry: Entry, job: int) -> int | None:
    """The number of a request of `job`."""
    match entry:
        case Send(member, number=number) | Leave(member, number) if member == job:
            return number
        case WaitAll((member, number)) | Sync((member, number)) if member == job:
            return number
        case _:
            return None


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(5))
async def test_every_call_of_a_group_is_answered_whatever_is_lost(seed: int) -> None:
    random = Random(seed)
    ledger = Fragile(random)
    roles = dict.fromkeys(range(NODES), "node")
    members = {job: Member(job, role) for job, role in roles.items()}
    journal = Journal(anyio.current_time, sinks=[])
    states: list[Coordination] = []

    def fresh() -> Coordinator:
        states.append(Coordination(roles.items()))
        return Coordinator(states[-1], members, journal, Patience(grace_s=600), ledger)

    restart = Supervision.restart(limit=10_000, within_s=600)
    async with ActorSystem() as system:
        ref = system.spawn(fresh, "coordinator-0", supervision=restart)
        links = [
            Link[CoordinatorMessage](ref, Lossy(random), resend_s=RESEND_S, survives=True)
            for _ in roles
        ]

        async def kill() -> None:
            victim = ref
            for number in count(1):
                await ledger.fatal.wait()
                ledger.fatal = anyio.Event()
                ledger.crashes += 1
                await victim.cancel()  # what is in its mailbox is lost
                await anyio.sleep(random.uniform(0, 2 * RESEND_S))
                victim = system.spawn(fresh, f"coordinator-{number}", supervision=restart)
                for link in links:
                    link.attach(victim)

        async with anyio.create_task_group() as killing:
            killing.start_soon(kill)
            async with anyio.create_task_group() as tasks:
                for job, link in enumerate(links):
                    tasks.start_soon(member, job, link.ref)
            killing.cancel_scope.cancel()
        for link in links:
            link.close()
    assert ledger.crashes > NODES
    for job in roles:
        written = [known for each in ledger if (known := number_of(each, job)) is not None]
        assert written == list(range(1, 3 * ROUNDS + 2)), "each once, and in order"
