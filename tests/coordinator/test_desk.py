"""What faults cost where requests are served: themselves, and nobody else's turn."""

import asyncio
from collections.abc import Callable

import pytest
from tests.coordinator.following import client, send, wait

from callboard.coordinator.desk import Desk, Witness
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.facts import Fact
from callboard.coordinator.requests import GroupData, LavaSync, Request


def desk(facts: list[Fact], witness: Witness | None = None) -> Desk:
    return Desk(Exchange(), asyncio.get_running_loop(), facts.append, None, witness, 1 << 20)


@pytest.mark.asyncio
async def test_a_fault_of_one_whose_turn_it_is_leaves_nobody_behind() -> None:
    loop, facts, done = asyncio.get_running_loop(), list[Fact](), asyncio.Event()
    faults: list[object] = []
    loop.set_exception_handler(lambda _loop, context: faults.append(context.get("exception")))

    def fault() -> None:
        raise ZeroDivisionError("of ours")

    at = desk(facts)
    for act in (fault, fault, done.set):
        at.again(act)
    await asyncio.wait_for(done.wait(), 10)
    assert [type(each) for each in faults] == [ZeroDivisionError] * 2
    done.clear()
    at.again(done.set)
    await asyncio.wait_for(done.wait(), 10)


class Full:
    """A keeper whose disk takes nothing."""

    failure: OSError | None = OSError(28, "No space left on device")
    behind_bytes = 0

    def __init__(self) -> None:
        self.noted: list[Request] = []

    def note(self, request: Request) -> None:
        self.noted.append(request)

    def note_group(self, group: str) -> None:
        raise AssertionError(group)

    def when_settled(self, callback: Callable[[], None]) -> None:
        raise AssertionError(callback)


@pytest.mark.asyncio
async def test_that_an_answer_has_left_counts_though_the_disk_takes_nothing() -> None:
    exchange, keeper = Exchange(), Full()
    alone = client("s1", size=1)
    answer = [exchange.serve(LavaSync(alone, "s"), 0.0).answer for _ in range(2)][-1]
    assert answer.receipt is not None
    at = Desk(exchange, asyncio.get_running_loop(), list[Fact]().append, keeper, None, 1 << 20)
    assert at.serve(LavaSync(alone, "s")).response == "wait"
    assert at.serve(answer.receipt).response == "ack"
    assert keeper.noted == [answer.receipt]


@pytest.mark.asyncio
async def test_a_fault_of_who_looks_on_costs_one_answer() -> None:
    facts = list[Fact]()

    def witness(request: Request, _: Served) -> None:
        if request == send("s1", "bug"):
            raise ZeroDivisionError("of ours")

    at = desk(facts, witness)
    at.serve(GroupData(client("s1", size=1)))
    answers = [at.serve(each).response for each in (send("s1", "bug"), wait("s1", "bug"))]
    assert answers == ["nack", "ack"]
    assert [(each.kind, each.weight) for each in facts] == [("fault", "error")]
