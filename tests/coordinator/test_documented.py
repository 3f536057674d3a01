"""What the documentation promises to clients that poll, against a model as plain as possible."""

from collections.abc import Callable

import hypothesis.strategies as st
from attrs import define, field
from hypothesis import given

from callboard.actors.semantics import DOCUMENTED
from callboard.coordinator.answers import Answer
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.requests import (
    Aggregate,
    ClearGroup,
    Client,
    GroupData,
    Json,
    LavaSend,
    LavaSync,
    LavaWait,
    LavaWaitAll,
    Request,
    Unknown,
)

Reply = tuple[str | None, Json]
"""A response and its data."""

WAIT: Reply = ("wait", None)
ACK: Reply = ("ack", None)
NACK: Reply = ("nack", None)


@define
class ModelGroup:
    size: int
    roles: dict[str, str] = field(factory=dict[str, str])
    sent: dict[str, dict[str, dict[str, Json]]] = field(factory=dict)
    called: dict[str, set[str]] = field(factory=dict)
    left: set[str] = field(factory=set[str])

    @property
    def is_whole(self) -> bool:
        return len(self.roles) == self.size


@define
class Model:
    """Every rule of the table in one place, evaluated anew for each request."""

    groups: dict[str, ModelGroup] = field(factory=dict[str, ModelGroup])

    def answer(self, request: Request) -> Reply:
        client = request.client
        group = self.groups.get(client.group)
        if group is None:
            if client.size is None or client.role is None:
                return NACK
            group = self.groups[client.group] = ModelGroup(client.size)
        if client.name not in group.roles:
            if group.is_whole or client.role is None:
                return NACK
            group.roles[client.name] = client.role
        if isinstance(request, ClearGroup):
            group.left.add(client.name)
            if group.left == group.roles.keys():
                del self.groups[client.group]
            return ACK
        group.left.discard(client.name)
        return self._answer(group, request)

    def _answer(self, group: ModelGroup, request: Request) -> Reply:
        match request:
            case GroupData():
                return ("group_data", {**group.roles}) if group.is_whole else WAIT
            case LavaSend(client, id_, message):
                sent = group.sent.setdefault(id_, {})
                sent[client.name] = {**sent.get(client.name, {}), **message}
                return ACK
            case LavaWait(_, id_):
                return ("ack", {**group.sent[id_]}) if id_ in group.sent else WAIT
            case LavaWaitAll(_, id_, role):
                if not group.is_whole:
                    return WAIT
                needed = {each for each, own in group.roles.items() if role in (None, own)}
                if not needed:
                    return NACK
                sent = group.sent.get(id_, {})
                return ("ack", {**sent}) if needed <= sent.keys() else WAIT
            case LavaSync(client, id_, message):
                called = group.called.setdefault(id_, set())
                called.add(client.name)
                return ("ack", message or id_) if len(called) == group.size else WAIT
            case _:
                return NACK

    def would_answer(self, request: Request) -> Reply:
        """The answer if it was asked now by one who has asked before, without changing anything."""
        group = self.groups.get(request.client.group)
        if group is None or request.client.name not in group.roles:
            return NACK
        return self._answer(group, request)


def reply(answer: Answer) -> Reply:
    content = answer.document
    return (answer.response, content.get("roles", content.get("message")))


IDS = st.sampled_from(["x", "lava_start"])
ROLES = ["a", "b"]
CLIENTS = st.builds(
    lambda name, group, says_role, size: Client(
        name, group, ROLES[int(name) % 2] if says_role else None, "", size
    ),
    st.sampled_from("1234"),
    st.sampled_from("gggh"),
    st.sampled_from([True] * 5 + [False]),
    st.sampled_from([3, 3, 3, 2, None]),
)
MESSAGES = st.dictionaries(st.sampled_from("kl"), st.sampled_from(["1", 2, None, [3]]), max_size=2)
REQUESTS = st.one_of(
    st.builds(GroupData, CLIENTS),
    st.builds(LavaSend, CLIENTS, IDS, MESSAGES),
    st.builds(LavaWait, CLIENTS, IDS),
    st.builds(LavaWaitAll, CLIENTS, IDS, st.none() | st.sampled_from([*ROLES, "nobody's"])),
    st.builds(LavaSync, CLIENTS, IDS, st.none() | st.just("text")),
    st.builds(ClearGroup, CLIENTS),
    st.builds(Unknown, CLIENTS, st.just("what")),
)
MANY = st.integers(1, 60).flatmap(lambda n: st.lists(REQUESTS, min_size=n, max_size=n))


@given(requests=MANY)
def test_every_request_is_answered_as_the_documentation_says(requests: list[Request]) -> None:
    exchange, model = Exchange(DOCUMENTED), Model()
    for request in requests:
        assert reply(exchange.serve(request, 0.0).answer) == model.answer(request), request
        assert exchange.groups.keys() == model.groups.keys()


@given(requests=MANY)
def test_who_is_held_is_called_as_soon_as_there_is_another_answer(requests: list[Request]) -> None:
    exchange, model = Exchange(DOCUMENTED), Model()
    held: dict[int, Request] = {}
    called: set[int] = set()

    def call(number: int) -> Callable[[], None]:
        return lambda: called.add(number)

    for number, request in enumerate(requests):
        members = {name: set(group.roles) for name, group in model.groups.items()}
        answer = exchange.serve(request, 0.0, call(number)).answer
        assert reply(answer) == model.answer(request)
        if reply(answer) == WAIT:
            held[number] = request
        due = {each for each, asked in held.items() if model.would_answer(asked) != WAIT}
        assert due <= called
        # When a group has become whole, all that wait in it look anew.
        group = model.groups.get(request.client.group)
        has_become_whole = (
            group is not None
            and group.is_whole
            and set(group.roles) != members.get(request.client.group)
        )
        if not has_become_whole:
            assert called == due
        for each in called:
            del held[each]
        called.clear()


def client(name: str, group: str = "g") -> Client:
    return Client(name, group, "a", "", 2)


def test_who_has_left_and_asks_again_is_there_again_until_it_leaves_anew() -> None:
    exchange = Exchange(DOCUMENTED)
    one, two = client("1"), client("2")
    for request in (GroupData(one), GroupData(two), ClearGroup(one), ClearGroup(one)):
        exchange.serve(request, 0.0)
    assert [each.left for each in exchange.groups["g"].clients] == [True, False]
    back = exchange.serve(LavaSend(one, "x", {"k": "v"}), 0.0)
    assert (back.answer.response, back.changed) == ("ack", True)
    exchange.serve(ClearGroup(two), 0.0)
    waits = exchange.serve(LavaWait(one, "x"), 0.0)
    assert (reply(waits.answer), waits.changed) == (("ack", {"1": {"k": "v"}}), False)
    exchange.serve(ClearGroup(one), 0.0)
    assert not exchange.groups


def test_only_looking_again_makes_a_client_that_left_come_back_for_good() -> None:
    exchange = Exchange(DOCUMENTED)
    one = client("1")
    exchange.serve(GroupData(one), 0.0)
    exchange.serve(GroupData(client("2")), 0.0)
    exchange.serve(ClearGroup(one), 0.0)
    assert exchange.serve(LavaWait(one, "x"), 0.0).changed
    assert exchange.memory("g").left == ()


def test_a_client_too_many_is_refused() -> None:
    exchange = Exchange(DOCUMENTED)
    for name in "12":
        exchange.serve(GroupData(client(name)), 0.0)
    served = exchange.serve(GroupData(client("3")), 0.0)
    assert served.answer.reason == "the group has its 2 clients already"
    assert not served.changed


def test_bundles_are_collected_once_all_are_there() -> None:
    exchange = Exchange(DOCUMENTED)
    one, two = client("1"), client("2")
    asked = [Aggregate(one, {"b": 1}, "1.0"), Aggregate(two, [2], "1.1")]
    asked += [Aggregate(one, {"b": 1}, "1.0")] * 3
    answers = [exchange.serve(each, 0.0).answer for each in asked]
    assert [each.response for each in answers] == ["wait", "ack", "wait", "wait", "ack"]
    assert answers[-1].content == {"message": {"bundle": {"1": {"b": 1}, "2": [2]}}}
