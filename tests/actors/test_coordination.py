"""The coordinator's state machine, against a reference model that is as plain as possible."""

import sys
from collections.abc import Callable, Mapping
from types import FrameType

import hypothesis.strategies as st
from attrs import define, field
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from callboard.actors.coordination import Coordination, Data, Effect, Grant, Refusal, Ticket

IDS = st.sampled_from(["a", "b", "lava_start"])
KEYS = st.sampled_from(["ip", "port", "empty"])
VALUES = st.text(max_size=5)


def grants(effects: list[Effect]) -> dict[Ticket, Data]:
    assert all(isinstance(effect, Grant) for effect in effects), effects
    return {effect.ticket: effect.data for effect in effects if isinstance(effect, Grant)}


@define
class Waiting:
    """A request of the model: satisfied as soon as all of `needs` (or any, for wait) are there."""

    kind: str
    id: str
    role: str | None = None


@define
class Model:
    """What the documentation says, evaluated anew for every waiting request at every step."""

    roles: dict[int, str]
    sent: dict[str, dict[int, dict[str, str]]] = field(factory=dict)
    synced: dict[str, set[int]] = field(factory=dict)
    waiting: dict[Ticket, Waiting] = field(factory=dict)

    def satisfied(self, request: Waiting) -> bool:
        senders = set(self.sent.get(request.id, {}))
        match request.kind:
            case "wait":
                return bool(senders)
            case "wait-all":
                wanted = {m for m, role in self.roles.items() if request.role in (None, role)}
                return wanted <= senders
            case _:
                return set(self.roles) <= self.synced.get(request.id, set())

    def data(self, request: Waiting) -> dict[int, dict[str, str]]:
        return {} if request.kind == "sync" else self.sent.get(request.id, {})

    def released(self) -> dict[Ticket, dict[int, dict[str, str]]]:
        done = {t: self.data(r) for t, r in self.waiting.items() if self.satisfied(r)}
        for ticket in done:
            del self.waiting[ticket]
        return {ticket: {k: dict(v) for k, v in data.items()} for ticket, data in done.items()}


class TwoGroups(RuleBasedStateMachine):
    """Random calls in two groups at once: each behaves like its own model."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[tuple[Coordination, Model]] = []
        self.number = 0

    members: Bundle[tuple[int, int]] = Bundle("members")

    @initialize(
        target=members,
        sizes=st.tuples(
            st.lists(st.sampled_from(["client", "server"]), min_size=1, max_size=4),
            st.lists(st.sampled_from(["client", "server"]), min_size=1, max_size=3),
        ),
    )
    def make(self, sizes: tuple[list[str], list[str]]) -> MultipleResults[tuple[int, int]]:
        for roles in sizes:
            named = dict(enumerate(roles, start=100))
            self.groups.append((Coordination(named.items()), Model(dict(named))))
        return multiple(
            *((g, m) for g, roles in enumerate(sizes) for m in range(100, 100 + len(roles)))
        )

    def ask(self, member: tuple[int, int], kind: str, name: str, role: str | None = None) -> None:
        group, job = member
        coordination, model = self.groups[group]
        self.number += 1
        ticket = (job, self.number)
        model.waiting[ticket] = Waiting(kind, name, role)
        match kind:
            case "wait":
                effects = coordination.wait(ticket, name)
            case "wait-all":
                effects = coordination.wait_all(ticket, name, role)
            case _:
                model.synced.setdefault(name, set()).add(job)
                effects = coordination.sync(ticket, name)
        self.compare(group, effects)

    def compare(self, group: int, effects: list[Effect]) -> None:
        expected = self.groups[group][1].released()
        assert len(effects) == len(expected)
        assert {
            t: {k: dict(v) for k, v in d.items()} for t, d in grants(effects).items()
        } == expected

    @rule(member=members, name=IDS, data=st.dictionaries(KEYS, VALUES, max_size=2))
    def send(self, member: tuple[int, int], name: str, data: Mapping[str, str]) -> None:
        group, job = member
        coordination, model = self.groups[group]
        model.sent.setdefault(name, {}).setdefault(job, {}).update(data)
        self.compare(group, coordination.send(job, name, data))

    @rule(member=members, name=IDS)
    def wait(self, member: tuple[int, int], name: str) -> None:
        self.ask(member, "wait", name)

    @rule(member=members, name=IDS, role=st.sampled_from([None, "client", "server"]))
    def wait_all(self, member: tuple[int, int], name: str, role: str | None) -> None:
        model = self.groups[member[0]][1]
        if role is None or role in model.roles.values():
            self.ask(member, "wait-all", name, role)

    @rule(member=members, name=IDS)
    def sync(self, member: tuple[int, int], name: str) -> None:
        self.ask(member, "sync", name)

    @rule(group=st.integers(0, 1), choice=st.integers(0, 20))
    def withdraw(self, group: int, choice: int) -> None:
        coordination, model = self.groups[group]
        if not model.waiting:
            return
        ticket = sorted(model.waiting)[choice % len(model.waiting)]
        request = model.waiting.pop(ticket)
        missing = coordination.withdraw(ticket)
        have = (
            model.synced[request.id]
            if request.kind == "sync"
            else set(model.sent.get(request.id, {}))
        )
        wanted = {m for m, role in model.roles.items() if request.role in (None, role)}
        assert set(missing) == wanted - have

    @invariant()
    def the_same_requests_wait(self) -> None:
        for coordination, model in self.groups:
            assert coordination.waiting == set(model.waiting)


TwoGroups.TestCase.settings = settings(stateful_step_count=40)
TestTwoGroups = TwoGroups.TestCase


def trio() -> Coordination:
    return Coordination([(1, "server"), (2, "client"), (3, "client")])


def test_a_second_send_merges_key_by_key_and_later_wins() -> None:
    group = trio()
    group.send(1, "x", {"a": "1", "b": "1"})
    group.send(1, "x", {"b": "2"})
    assert grants(group.wait((2, 1), "x")) == {(2, 1): {1: {"a": "1", "b": "2"}}}


def test_data_that_was_handed_out_never_changes() -> None:
    group = trio()
    group.send(1, "x", {"a": "1"})
    data = grants(group.wait((2, 1), "x"))[2, 1]
    group.send(1, "x", {"a": "2"})
    assert data == {1: {"a": "1"}}


def test_all_waiters_that_are_released_together_share_one_snapshot() -> None:
    group = trio()
    group.wait((2, 1), "x")
    group.wait((3, 1), "x")
    first, second = grants(group.send(1, "x", {"a": "1"})).values()
    assert first is second


def test_waiters_are_released_in_the_order_in_which_they_asked() -> None:
    group = trio()
    group.sync((3, 1), "s")
    group.sync((1, 1), "s")
    assert list(grants(group.sync((2, 1), "s"))) == [(3, 1), (1, 1), (2, 1)]


def test_a_send_does_not_open_a_sync_of_the_same_id() -> None:
    group = Coordination([(1, "a"), (2, "a")])
    group.sync((1, 1), "x")
    assert group.send(2, "x", {}) == []


def test_a_role_that_the_group_lacks_is_refused_and_the_roles_that_it_has_are_named() -> None:
    [refusal] = trio().wait_all((1, 1), "x", "sever")
    assert refusal == Refusal(
        (1, 1), "no node of this group has the role 'sever' (it has client, server)"
    )


def test_a_withdrawn_sync_still_counts_as_called() -> None:
    group = Coordination([(1, "a"), (2, "a")])
    group.sync((1, 1), "x")
    assert group.withdraw((1, 1)) == (2,)
    assert list(grants(group.sync((2, 1), "x"))) == [(2, 1)]


TraceFunction = Callable[[FrameType, str, object], "TraceFunction"]


def lines_of_a_send(nodes: int) -> int:
    """How many lines of Python one send runs in a group in which all but one wait for all."""
    group = Coordination((job, "n") for job in range(nodes))
    for job in range(nodes - 1):
        group.send(job, "x", {"k": "v"})
        group.wait_all((job, 1), "x")
    lines = 0

    def count(_frame: FrameType, event: str, _arg: object) -> TraceFunction:
        nonlocal lines
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        effects = group.send(0, "x", {"k": "w"})
    finally:
        sys.settrace(before)
    assert effects == []
    return lines


def test_a_send_costs_the_same_in_a_large_group() -> None:
    assert lines_of_a_send(10) == lines_of_a_send(1_000)
