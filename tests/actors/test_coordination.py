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

from callboard.actors.coordination import Coordination
from callboard.actors.effects import Data, Effect, Grant, Hopeless, Refusal, Ticket, Wake

IDS = st.sampled_from(["a", "b", "lava_start"])
KEYS = st.sampled_from(["ip", "port", "empty"])
VALUES = st.text(max_size=5)
ROLES = ["client", "server"]

Outcome = tuple[str, dict[int, dict[str, str]]]


def grants(effects: list[Effect]) -> dict[Ticket, Data]:
    assert all(isinstance(effect, Grant) for effect in effects), effects
    return {
        each: effect.data
        for effect in effects
        if isinstance(effect, Grant)
        for each in effect.tickets
    }


def outcomes(effects: list[Effect]) -> dict[Ticket, Outcome]:
    """What a step comes to: the kind of each effect, and the data, by ticket."""
    found = [
        (ticket, ("Grant", {k: dict(v) for k, v in effect.data.items()}))
        if isinstance(effect, Grant)
        else (ticket, (type(effect).__name__, {}))
        for effect in effects
        for ticket in (effect.tickets if isinstance(effect, Grant | Wake) else [effect.ticket])
    ]
    assert len(dict(found)) == len(found), "a ticket has two effects"
    return dict(found)


@define
class Waiting:
    """A request of the model: satisfied as soon as all of `needs` (or any, for wait) are there."""

    member: int
    kind: str
    id: str
    role: str | None = None
    reported: bool = False


@define
class Model:
    """What the documentation says, evaluated anew for every waiting request at every step."""

    roles: dict[int, str]
    sent: dict[str, dict[int, dict[str, str]]] = field(factory=dict)
    synced: dict[str, set[int]] = field(factory=dict)
    released: dict[str, set[int]] = field(factory=dict)
    ended: set[int] = field(factory=set)
    waiting: dict[Ticket, Waiting] = field(factory=dict)

    def have(self, request: Waiting) -> set[int]:
        """The members that have done what the request waits for."""
        match request.kind:
            case "sync":
                return self.synced.get(request.id, set())
            case "start":
                own = self.released.get(self.roles[request.member], set())
                return own | set(self.sent.get("lava_start", {}))
            case _:
                return set(self.sent.get(request.id, {}))

    def needs(self, request: Waiting) -> set[int]:
        return {m for m, role in self.roles.items() if request.role in (None, role)}

    def missing(self, request: Waiting) -> set[int]:
        return self.needs(request) - self.have(request)

    def satisfied(self, request: Waiting) -> bool:
        if request.kind == "wait":
            return bool(self.have(request))
        return not self.missing(request)

    def data(self, request: Waiting) -> dict[int, dict[str, str]]:
        return self.sent.get(request.id, {}) if request.kind in ("wait", "wait-all") else {}

    def step(self) -> dict[Ticket, Outcome]:
        """What the last request has changed for those that wait."""
        found: dict[Ticket, Outcome] = {}
        for ticket, request in list(self.waiting.items()):
            if self.satisfied(request):
                data = {k: dict(v) for k, v in self.data(request).items()}
                found[ticket] = ("Grant", data)
                del self.waiting[ticket]
            elif request.kind != "wait" and self.missing(request) & self.ended:
                if not request.reported:
                    found[ticket] = ("Hopeless", {})
                request.reported = True
        return found

    def living(self) -> set[int]:
        return set(self.roles) - self.ended

    def stuck(self) -> bool:
        return bool(self.living()) and self.living() == {w.member for w in self.waiting.values()}


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
            st.lists(st.sampled_from(ROLES), min_size=1, max_size=4),
            st.lists(st.sampled_from(ROLES), min_size=1, max_size=3),
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
        if job in model.ended:
            return
        self.number += 1
        ticket = (job, self.number)
        model.waiting[ticket] = Waiting(job, kind, name, role)
        match kind:
            case "wait":
                effects = coordination.wait(ticket, name)
            case "wait-all":
                effects = coordination.wait_all(ticket, name, role)
            case "start":
                assert role is not None
                effects = coordination.start(ticket, role)
            case _:
                model.synced.setdefault(name, set()).add(job)
                effects = coordination.sync(ticket, name)
        self.compare(group, effects)

    def compare(self, group: int, effects: list[Effect]) -> None:
        model = self.groups[group][1]
        assert outcomes(effects) == model.step()
        for effect in effects:
            if isinstance(effect, Hopeless):
                self.judge(model, effect, model.waiting[effect.ticket])

    def judge(self, model: Model, found: Hopeless, request: Waiting) -> None:
        """The missing are exactly those that are; whoever is to blame is among those that ended."""
        assert (found.kind, found.role) == (request.kind, request.role)
        assert {each.member for each in found.missing} == model.missing(request)
        for each in found.missing:
            waits = [w for w in model.waiting.values() if w.member == each.member]
            assert (each.state == "ended") == (each.member in model.ended)
            assert (each.state in ("waiting", "delayed")) == bool(waits)
            if each.state == "delayed":
                assert {w.kind for w in waits} == {"start"}
        assert found.culprits
        if model.missing(request) & model.ended:
            assert set(found.culprits) <= model.ended

    @rule(member=members, name=IDS, data=st.dictionaries(KEYS, VALUES, max_size=2))
    def send(self, member: tuple[int, int], name: str, data: Mapping[str, str]) -> None:
        group, job = member
        coordination, model = self.groups[group]
        if job in model.ended:
            return
        model.sent.setdefault(name, {}).setdefault(job, {}).update(data)
        self.compare(group, coordination.send(job, name, data))

    @rule(member=members, roles=st.lists(st.sampled_from(ROLES), min_size=1, max_size=2))
    def release(self, member: tuple[int, int], roles: list[str]) -> None:
        group, job = member
        coordination, model = self.groups[group]
        if job in model.ended:
            return
        for role in roles:
            model.released.setdefault(role, set()).add(job)
        self.compare(group, coordination.release(job, roles))

    @rule(member=members, name=IDS)
    def wait(self, member: tuple[int, int], name: str) -> None:
        self.ask(member, "wait", name)

    @rule(member=members, name=IDS, role=st.sampled_from([None, *ROLES]))
    def wait_all(self, member: tuple[int, int], name: str, role: str | None) -> None:
        model = self.groups[member[0]][1]
        if role is None or role in model.roles.values():
            self.ask(member, "wait-all", name, role)

    @rule(member=members, name=IDS)
    def sync(self, member: tuple[int, int], name: str) -> None:
        self.ask(member, "sync", name)

    @rule(member=members, role=st.sampled_from(ROLES))
    def start(self, member: tuple[int, int], role: str) -> None:
        if role in self.groups[member[0]][1].roles.values():
            self.ask(member, "start", "lava_start", role)

    @rule(member=members, chance=st.integers(0, 3))
    def leave(self, member: tuple[int, int], chance: int) -> None:
        group, job = member
        coordination, model = self.groups[group]
        if chance:  # rarely, for what has ended does nothing any more
            return
        own = [ticket for ticket in model.waiting if ticket[0] == job]
        for ticket in own:
            del model.waiting[ticket]
        model.ended.add(job)
        effects = coordination.leave(job)
        refused = [effect for effect in effects if isinstance(effect, Refusal)]
        assert {effect.ticket for effect in refused} == set(own)
        self.compare(group, [effect for effect in effects if effect not in refused])

    @rule(group=st.integers(0, 1), choice=st.integers(0, 20))
    def withdraw(self, group: int, choice: int) -> None:
        coordination, model = self.groups[group]
        if not model.waiting:
            return
        ticket = sorted(model.waiting)[choice % len(model.waiting)]
        missing = model.missing(model.waiting.pop(ticket))
        assert set(coordination.withdraw(ticket)) == missing

    @invariant()
    def the_same_requests_wait(self) -> None:
        for coordination, model in self.groups:
            assert coordination.waiting == set(model.waiting)

    @invariant()
    def a_group_in_which_all_wait_is_presumed_to_be_stuck(self) -> None:
        for coordination, model in self.groups:
            assert coordination.suspicious == model.stuck()
            found = coordination.presumed()
            assert set(found) == (set(model.waiting) if model.stuck() else set())
            for each in coordination.judge(found):
                self.judge(model, each, model.waiting[each.ticket])


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
    refused = [
        Refusal((1, 1), "no node of this group has the role 'sever' (it has client, server)")
    ]
    assert trio().wait_all((1, 1), "x", "sever") == refused
    assert trio().start((1, 1), "sever") == refused


def test_an_own_send_satisfies_a_wait_but_is_only_one_of_all() -> None:
    group = trio()
    assert group.wait_all((1, 1), "x") == []
    group.send(1, "x", {})
    assert list(grants(group.wait((1, 2), "x"))) == [(1, 2)]
    group.send(2, "x", {})
    assert group.wait_all((3, 1), "x") == []
    assert list(grants(group.send(3, "x", {}))) == [(1, 1), (3, 1)]


def test_a_withdrawn_sync_still_counts_as_called() -> None:
    group = Coordination([(1, "a"), (2, "a")])
    group.sync((1, 1), "x")
    assert group.withdraw((1, 1)) == (2,)
    assert list(grants(group.sync((2, 1), "x"))) == [(2, 1)]


def test_a_sync_that_all_have_passed_is_granted_at_once() -> None:
    group = Coordination([(1, "a"), (2, "a")])
    group.sync((1, 1), "x")
    group.sync((2, 1), "x")
    assert list(grants(group.sync((1, 2), "x"))) == [(1, 2)]


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
