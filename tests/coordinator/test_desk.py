"""What faults cost where requests are served: themselves, and nobody else's turn."""

import asyncio
from collections.abc import Callable
from functools import partial

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


class Slow:
    """A keeper whose disk takes what it is given when told so."""

    failure: OSError | None = None
    behind_bytes = 0

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def note(self, request: Request) -> None:
        """It doesn't matter."""

    def note_group(self, group: str) -> None:
        raise AssertionError(group)

    def when_settled(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


@pytest.mark.asyncio
async def test_answers_that_are_on_the_disk_leave_before_what_is_still_to_be_served() -> None:
    keeper, done, over = Slow(), list[str](), asyncio.Event()
    at = Desk(Exchange(), asyncio.get_running_loop(), list[Fact]().append, keeper, None, 1 << 20)
    for name in ("woken 1", "woken 2"):
        at.again(partial(done.append, name))
    at.again(over.set)
    for name in ("answer 1", "answer 2"):
        at.when_settled(partial(done.append, name))
    [settled] = keeper.callbacks
    settled()
    await asyncio.wait_for(over.wait(), 10)
    assert done == ["answer 1", "answer 2", "woken 1", "woken 2"]


@pytest.mark.asyncio
async def test_answers_leave_in_the_order_in_which_the_disk_took_them() -> None:
    keeper, done, over = Slow(), list[str](), asyncio.Event()
    at = Desk(Exchange(), asyncio.get_running_loop(), list[Fact]().append, keeper, None, 1 << 20)
    at.serve(GroupData(client("s1", size=2)))
    at.again(over.set)
    for batch in ("first", "second"):
        at.serve(send("s1", batch))  # what comes after a change waits for that, too
        for number in (1, 2):
            at.when_settled(partial(done.append, f"{batch} {number}"))
    first, second = keeper.callbacks
    first()
    second()
    await asyncio.wait_for(over.wait(), 10)
    assert done == ["first 1", "first 2", "second 1", "second 2"]


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
