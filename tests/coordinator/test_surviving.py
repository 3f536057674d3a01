"""What survives of an exchange is all that its answers depend on."""

from functools import partial

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.coordinator.asking import requests, state

from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics
from callboard.coordinator.answers import Answer
from callboard.coordinator.exchange import Exchange, Served
from callboard.coordinator.limits import Limits
from callboard.coordinator.requests import (
    Aggregate,
    ClearGroup,
    Client,
    Complete,
    Forget,
    GroupData,
    LavaSend,
    LavaSync,
    LavaWait,
    Request,
)

LIMITS = st.sampled_from([Limits(), Limits(ids=1), Limits(clients=2), Limits(groups=1)])
SEMANTICS = st.sampled_from([DOCUMENTED, LAVA])
MANY = st.integers(1, 50).flatmap(lambda n: st.lists(requests, min_size=n, max_size=n))


def serve(exchange: Exchange, asked: list[Request]) -> list[Served]:
    return [exchange.serve(each, 0.0) for each in asked]


def settle(exchange: Exchange) -> None:
    """Have every client say that it waits for nothing any more."""
    for name, group in list(exchange.groups.items()):
        for each in group.clients:
            exchange.serve(Complete(Client(each.name, name)), 0.0)


HALF = settings(max_examples=settings().max_examples // 2)
"""Each example of these makes some hundred requests."""


@HALF
@given(semantics=SEMANTICS, before=MANY, after=MANY)
def test_an_exchange_that_takes_up_images_answers_as_the_one_that_they_are_of(
    semantics: Semantics, before: list[Request], after: list[Request]
) -> None:
    first, second = Exchange(semantics), Exchange(semantics)
    for each in before:
        first.serve(each, 0.0, lambda: None)
    for memory in state(first).values():
        second.recall(memory, 0.0)
    assert state(first) == state(second)
    assert serve(first, after) == serve(second, after)
    assert state(first) == state(second)
    settle(first)
    settle(second)
    assert first.size_bytes == second.size_bytes


@HALF
@given(semantics=SEMANTICS, limits=LIMITS, before=MANY, after=MANY)
def test_an_exchange_that_takes_up_what_has_changed_answers_as_the_one_that_was_asked(
    semantics: Semantics, limits: Limits, before: list[Request], after: list[Request]
) -> None:
    first, second = Exchange(semantics, limits), Exchange(semantics, limits)
    for served in serve(first, before):
        if served.change is not None:
            second.replay(served.change, 0.0)
    assert state(first) == state(second)
    assert serve(first, after) == serve(second, after)
    assert state(first) == state(second)


@given(semantics=SEMANTICS, asked=MANY)
def test_what_has_not_changed_is_as_it_was_and_what_has_is_not(
    semantics: Semantics, asked: list[Request]
) -> None:
    exchange = Exchange(semantics)
    for each in asked:
        before = state(exchange)
        served = exchange.serve(each, 0.0)
        if not served.changed:
            assert state(exchange) == before
        assert exchange.size_bytes == sum(group.size_bytes for group in exchange.groups.values())
    for each in exchange.vanished(1.0):
        exchange.serve(each, 0.0)
    assert (exchange.groups, exchange.size_bytes) == ({}, 0)


@HALF
@given(semantics=SEMANTICS, asked=MANY)
def test_nobody_who_is_held_would_be_answered_if_it_asked_again(
    semantics: Semantics, asked: list[Request]
) -> None:
    exchange = Exchange(semantics)
    held: dict[int, Request] = {}
    called: set[int] = set()
    for number, each in enumerate(asked):
        answer = exchange.serve(each, 0.0, partial(called.add, number)).answer
        if answer.response == "wait" and not isinstance(each, Aggregate):
            held[number] = each
        for gone in called & held.keys():
            del held[gone]
        memories = state(exchange).values()
        for waits in held.values():
            copy = Exchange(semantics)
            for memory in memories:
                copy.recall(memory, 0.0)
            assert copy.serve(waits, 0.0).answer.response == "wait"


def client(name: str) -> Client:
    return Client(name, "g", "r", "w", 2, 1.0)


class Calls:
    """Who was called, in order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str) -> "Call":
        return Call(self, name)


class Call:
    def __init__(self, calls: Calls, name: str) -> None:
        self._calls, self._name = calls, name

    def __call__(self) -> None:
        self._calls.names.append(self._name)


@pytest.mark.parametrize("semantics", [DOCUMENTED, LAVA], ids=["documented", "lava"])
def test_who_is_released_is_called_no_more(semantics: Semantics) -> None:
    exchange, calls = Exchange(semantics), Calls()
    one, two = client("1"), client("2")
    held: list[tuple[Request, Call]] = [
        (GroupData(one), calls("gathers")),
        (LavaWait(one, "x"), calls("waits")),
        (LavaSync(one, "s"), calls("syncs")),
    ]
    for request, call in held:
        assert exchange.serve(request, 0.0, call).answer.response == "wait"
    for request, call in held:
        exchange.release(request, call)
        exchange.release(request, call)
    exchange.serve(LavaSend(two, "x", {}), 0.0)
    exchange.serve(LavaSync(two, "s"), 0.0)
    assert calls.names == []


def test_a_group_that_has_come_to_its_end_calls_all_that_it_holds() -> None:
    exchange, calls = Exchange(), Calls()
    one, two = client("1"), client("2")
    exchange.serve(GroupData(one), 0.0, calls("gathers"))
    exchange.serve(LavaWait(one, "x"), 0.0, calls("waits"))
    exchange.serve(Forget(one), 0.0)
    assert sorted(calls.names) == ["gathers", "waits"]
    exchange.release(LavaWait(two, "x"), calls("nobody"))


def test_only_groups_that_nobody_has_asked_since_have_vanished() -> None:
    exchange = Exchange()
    for at_s, group in enumerate("ghi"):
        exchange.serve(GroupData(Client("1", group, "r", "", 2)), float(at_s))
    exchange.serve(GroupData(Client("1", "g")), 5.0)
    found = exchange.vanished(2.0)
    assert [each.client.group for each in found] == ["h"]
    for each in found:
        answer: Answer = exchange.serve(each, 6.0).answer
        assert answer.response == "ack"
    assert list(exchange.groups) == ["g", "i"]


def test_a_group_in_which_somebody_is_held_has_not_vanished() -> None:
    exchange, request = Exchange(), LavaWait(Client("1", "g", "r", "", 2), "x")

    def call() -> None:
        raise AssertionError("nothing has happened")

    exchange.serve(request, 0.0, call)
    assert not exchange.vanished(10.0)
    exchange.release(request, call)
    assert exchange.vanished(10.0)


@given(semantics=SEMANTICS, asked=MANY, by_image=st.booleans())
def test_whose_last_answer_was_lost_gets_it_when_it_asks_again_after_a_restart(
    semantics: Semantics, asked: list[Request], by_image: bool
) -> None:
    first, second = Exchange(semantics), Exchange(semantics)
    changes: list[Request | None] = []
    for each in asked[:-1]:
        served = first.serve(each, 0.0)
        changes.append(served.change)
        if (receipt := served.answer.receipt) is not None:
            changes.append(first.serve(receipt, 0.0).change)
    lost = first.serve(asked[-1], 0.0)
    changes.append(lost.change)
    for change in changes:
        if change is not None:
            second.replay(change, 0.0)
    if by_image:
        for memory in state(first).values():
            second.recall(memory, 0.0)
    second.resume()
    if asked[-1].client.group not in first.groups or isinstance(asked[-1], Aggregate):
        return
    again = second.serve(asked[-1], 0.0)
    if lost.answer.response == "wait" and isinstance(asked[-1], LavaSync):
        assert again.answer.response in ("wait", "ack")  # it was the last to call it
    else:
        assert again.answer == lost.answer


def test_a_sync_whose_answer_was_lost_is_answered_again() -> None:
    exchange = Exchange(LAVA)
    one, two = (Client(name, "g", "r", "", 2) for name in "12")
    sync_one, sync_two = LavaSync(one, "s"), LavaSync(two, "s")
    serve(exchange, [sync_one, sync_two])
    for each in (sync_one, sync_two):
        lost, again = serve(exchange, [each, each])
        assert lost.answer.response == again.answer.response == "ack"
        assert again.answer.receipt is not None
        assert not again.changed
        receipt = again.answer.receipt
        assert serve(exchange, [receipt])[0].change == receipt
    assert serve(exchange, [sync_two])[0].answer.response == "wait"


def test_who_says_once_more_after_a_restart_that_it_has_ended_has_ended_once() -> None:
    before, after = Exchange(LAVA), Exchange(LAVA)
    one, two = (Client(name, "g", "r", "", 2) for name in "12")
    serve(before, [GroupData(one), GroupData(two), LavaSend(two, "x", {}), ClearGroup(one)])
    after.recall(before.memory("g"), 0.0)
    after.resume()
    serve(after, [ClearGroup(one)])
    assert serve(after, [LavaWait(two, "x")])[0].answer.response == "ack"
    serve(after, [ClearGroup(one)])
    assert not after.groups
