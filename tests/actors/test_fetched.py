"""A group whose members join one by one and fetch their answers, and what is kept of it."""

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callboard.actors.bookkeeping import Kept
from callboard.actors.coordination import Coordination
from callboard.actors.effects import Data, Effect, Grant, Refusal, Ticket, Wake
from callboard.actors.semantics import DOCUMENTED, LAVA, Semantics, served

BOTH = pytest.mark.parametrize("semantics", [DOCUMENTED, LAVA], ids=["documented", "lava"])


def group(size: int, *roles: str, semantics: Semantics = DOCUMENTED) -> Coordination:
    """One in which members 0, 1, ... of these roles have joined."""
    found = Coordination((), None, served(semantics), size)
    for member, role in enumerate(roles):
        found.join(member, role)
    return found


def granted(effects: list[Effect]) -> Data | None:
    """The data of the only grant; None if nothing is granted."""
    grants = [each.data for each in effects if isinstance(each, Grant)]
    assert len(grants) < 2
    return grants[0] if grants else None


def woken(effects: list[Effect]) -> set[Ticket]:
    return {ticket for each in effects if isinstance(each, Wake) for ticket in each.tickets}


@BOTH
def test_who_waits_is_woken_and_fetches_what_was_sent(semantics: Semantics) -> None:
    two = group(2, "a", "b", semantics=semantics)
    assert two.wait((1, 1), "x") == []
    assert woken(two.send(0, "x", {"k": "v"})) == {(1, 1)}
    assert two.waiting == set()
    assert granted(two.wait((1, 2), "x")) == {0: {"k": "v"}}


def test_who_joins_later_finds_what_was_sent() -> None:
    two = group(2, "a")
    two.send(0, "x", {"k": "v"})
    two.join(1, "b")
    assert granted(two.wait((1, 1), "x")) == {0: {"k": "v"}}


def test_for_lava_who_joins_later_finds_only_what_is_sent_from_then_on() -> None:
    three = group(3, "a", "b", semantics=LAVA)
    three.send(0, "x", {"k": "1"})
    three.send(1, "x", {"k": "2"})
    three.join(2, "b")
    assert three.wait((2, 1), "x") == []
    assert woken(three.send(0, "x", {"k": "3"})) == {(2, 1)}
    assert granted(three.wait((2, 2), "x")) == {0: {"k": "3"}}
    assert granted(three.wait((1, 1), "x")) == {0: {"k": "3"}, 1: {"k": "2"}}


def test_all_means_those_too_who_are_still_to_join() -> None:
    three = group(3, "a", "b")
    assert three.send(0, "x", {}) == []
    assert three.send(1, "x", {}) == []
    assert three.wait_all((0, 1), "x") == []
    assert three.wait_all((0, 2), "x", "b") == []
    assert woken(three.join(2, "b")) == {(0, 1), (0, 2)}
    assert three.wait_all((0, 3), "x", "b") == []
    assert woken(three.send(2, "x", {})) == {(0, 3)}
    assert granted(three.wait_all((0, 4), "x")) == {0: {}, 1: {}, 2: {}}


def test_for_lava_all_means_those_who_have_joined() -> None:
    three = group(3, "a", "b", semantics=LAVA)
    three.send(0, "x", {})
    three.send(1, "x", {})
    assert granted(three.wait_all((0, 1), "x")) == {0: {}, 1: {}}


def test_a_role_that_nobody_has_is_waited_for_while_somebody_may_still_join() -> None:
    three = group(3, "a", "a")
    assert three.wait_all((0, 1), "x", "b") == []
    assert woken(three.join(2, "a")) == {(0, 1)}
    refused = three.wait_all((0, 2), "x", "b")
    assert refused == [Refusal((0, 2), "no node of this group has the role 'b' (it has a)")]


def test_for_lava_a_role_that_nobody_has_is_refused_though_somebody_may_still_join() -> None:
    three = group(3, "a", "a", semantics=LAVA)
    (refused,) = three.wait_all((0, 1), "x", "b")
    assert isinstance(refused, Refusal)


def test_of_many_roles_a_refusal_gives_the_number() -> None:
    crowd = group(30, *(f"role{number}" for number in range(30)))
    (refused,) = crowd.wait_all((0, 1), "x", "b")
    assert isinstance(refused, Refusal)
    assert refused.reason == "no node of this group has the role 'b' (it has 30 others)"


def test_the_last_to_call_a_sync_passes_at_once_and_wakes_the_others() -> None:
    two = group(2, "a", "b")
    assert two.sync((0, 1), "s") == []
    effects = two.sync((1, 1), "s")
    assert (woken(effects), granted(effects)) == ({(0, 1)}, {})
    assert granted(two.sync((0, 2), "s")) == {}


def test_for_lava_the_last_to_call_a_sync_asks_once_more_like_the_others() -> None:
    two = group(2, "a", "b", semantics=LAVA)
    assert two.sync((0, 1), "s") == []
    effects = two.sync((1, 1), "s")
    assert (woken(effects), granted(effects)) == ({(0, 1), (1, 1)}, None)
    assert granted(two.sync((0, 2), "s")) == {}
    assert granted(two.sync((1, 2), "s")) == {}
    for member in (0, 1):
        two.collect(member, "s")
    assert two.sync((0, 3), "s") == []


def test_for_lava_a_sync_is_passed_when_its_answer_is_collected_and_not_before() -> None:
    two = group(2, "a", "b", semantics=LAVA)
    two.sync((0, 1), "s")
    two.sync((1, 1), "s")
    two.collect(0, "s")
    assert granted(two.sync((1, 2), "s")) == {}
    assert granted(two.sync((1, 3), "s")) == {}
    two.collect(1, "s")
    assert two.sync((1, 4), "s") == []


def test_for_lava_who_has_passed_a_sync_is_recalled() -> None:
    two = group(2, "a", "b", semantics=LAVA)
    two.sync((0, 1), "s")
    two.sync((1, 1), "s")
    assert granted(two.sync((0, 2), "s")) == {}
    two.collect(0, "s")
    recalled = Coordination.recall(two.memory, served(LAVA))
    assert granted(recalled.sync((1, 2), "s")) == {}
    recalled.collect(1, "s")
    assert recalled.sync((0, 3), "s") == []


@BOTH
def test_a_release_of_starts_is_not_kept_where_nobody_asks_for_it(semantics: Semantics) -> None:
    two = group(2, "a", "b", semantics=semantics)
    two.send(0, "lava_start", {})
    assert not vars(two)["_starts"]


@BOTH
def test_a_wait_that_is_forgotten_leaves_nothing(semantics: Semantics) -> None:
    two = group(2, "a", "b", semantics=semantics)
    two.send(0, "sent", {})
    before = two.changes, two.memory, vars(two)["_messages"].copy(), two.kept
    for number in range(100):
        two.wait((0, number), f"x{number}")
        two.forget((0, number))
        two.wait_all((1, number), f"x{number}", "a")
        two.forget((1, number))
        two.wait_all((1, number), "sent", "b")
        two.forget((1, number))
    assert (two.changes, two.memory, vars(two)["_messages"], two.kept) == before
    assert two.waiting == set()
    assert two.kept.ids == 1


def test_for_lava_nothing_is_kept_of_a_sync_that_all_have_passed() -> None:
    two = group(2, "a", "b", semantics=LAVA)
    for _ in range(3):
        two.sync((0, 1), "s")
        two.sync((1, 1), "s")
        two.collect(0, "s")
        assert two.kept != Kept()
        two.collect(1, "s")
        assert two.kept == Kept()
        assert two.memory.called == two.memory.went == {}


def test_what_is_kept_grows_with_what_is_sent_and_not_with_how_often() -> None:
    two = group(2, "a", "b", semantics=LAVA)
    sizes = []
    for text in ("", "1", "11", "11", "1", ""):
        two.send(0, "x", {"k": text} if text else {})
        sizes.append(two.kept.size_bytes)
    assert sizes == [*sizes[:3], *sizes[2::-1]]
    assert sizes[0] < sizes[1] == sizes[2] - 1
    assert two.sent_bytes("x") == 0
    assert two.kept.ids == 1


@BOTH
def test_whom_a_request_needs_can_be_asked_though_nobody_waits(semantics: Semantics) -> None:
    three = group(3, "a", "b", "b", semantics=semantics)
    three.send(1, "x", {})
    three.sync((2, 1), "s")
    assert three.awaited("wait", "y") == (0, 1, 2)
    assert three.awaited("wait-all", "x") == (0, 2)
    assert three.awaited("wait-all", "x", "b") == (2,)
    assert three.awaited("sync", "s") == (0, 1)
    assert three.awaited("sync", "t") == (0, 1, 2)


IDS = st.sampled_from(["x", "lava_start"])
ROLES = st.sampled_from(["a", "b"])
DATA = st.dictionaries(st.sampled_from("kl"), st.sampled_from(["1", "22"]), max_size=2)
NUMBERS = st.integers(0, 9)

Request = tuple[str, str, str | None]
REQUESTS = st.one_of(
    st.tuples(st.just("wait"), IDS, st.none()),
    st.tuples(st.just("wait_all"), IDS, st.none() | ROLES),
    st.tuples(st.just("sync"), st.sampled_from("sst"), st.none()),
    st.tuples(st.just("sync"), st.just("s"), st.none()),
)


def ask(coordination: Coordination, ticket: Ticket, request: Request) -> list[Effect]:
    kind, id_, role = request
    match kind:
        case "wait":
            return coordination.wait(ticket, id_)
        case "wait_all":
            return coordination.wait_all(ticket, id_, role)
        case _:
            return coordination.sync(ticket, id_)


def waits(effects: list[Effect], ticket: Ticket) -> bool:
    """Whether a request has been neither granted nor refused."""
    return not any(
        ticket in each.tickets if isinstance(each, Grant) else each.ticket == ticket
        for each in effects
        if isinstance(each, Grant | Refusal)
    )


class Fetching(RuleBasedStateMachine):
    """Any requests: nobody who waits is overlooked, and what is recalled is the same group."""

    @initialize(semantics=st.sampled_from([DOCUMENTED, LAVA]), size=st.integers(1, 4))
    def begin(self, semantics: Semantics, size: int) -> None:
        self.semantics = served(semantics)
        self.size = size
        self.group = Coordination((), None, self.semantics, size)
        self.count = self.asked = 0
        self.waiting: dict[Ticket, Request] = {}
        self.before = (self.group.changes, self.group.memory)

    def member(self, number: int) -> int:
        return number % self.count

    def take(self, effects: list[Effect]) -> None:
        for each in effects:
            if isinstance(each, Wake):
                for ticket in each.tickets:
                    del self.waiting[ticket]

    @rule(role=ROLES)
    def join(self, role: str) -> None:
        if self.group.over or (self.semantics.whole_group and self.count >= self.size):
            return
        self.take(self.group.join(self.count, role))
        self.count += 1

    @precondition(lambda self: self.count)
    @rule(number=NUMBERS, id_=IDS, data=DATA)
    def send(self, number: int, id_: str, data: dict[str, str]) -> None:
        self.take(self.group.send(self.member(number), id_, data))

    @precondition(lambda self: self.count)
    @rule(number=NUMBERS, request=REQUESTS, stays=st.booleans())
    def ask(self, number: int, request: Request, stays: bool) -> None:
        self.asked += 1
        ticket = (self.member(number), self.asked)
        copy = Coordination.recall(self.group.memory, self.semantics)
        effects = ask(self.group, ticket, request)
        own = [each for each in effects if not isinstance(each, Wake)]
        assert own == [each for each in ask(copy, ticket, request) if not isinstance(each, Wake)]
        if waits(effects, ticket):
            self.waiting[ticket] = request
        self.take(effects)
        if not stays and ticket in self.waiting:
            del self.waiting[ticket]
            self.group.forget(ticket)

    @precondition(lambda self: self.count)
    @rule(number=NUMBERS, sync_id=st.sampled_from("sst"))
    def collect(self, number: int, sync_id: str) -> None:
        self.group.collect(self.member(number), sync_id)

    @precondition(lambda self: self.count)
    @rule(number=NUMBERS, really=st.sampled_from([False] * 4 + [True]))
    def leave(self, number: int, really: bool) -> None:
        if really and not self.group.over:
            assert self.group.leave(self.member(number)) == []

    @invariant()
    def nobody_who_waits_would_be_granted_anything(self) -> None:
        assert self.group.waiting == self.waiting.keys()
        if self.group.over:
            return
        for ticket, request in self.waiting.items():
            copy = Coordination.recall(self.group.memory, self.semantics)
            assert waits(ask(copy, ticket, request), ticket)

    @invariant()
    def what_has_changed_is_said_to_have(self) -> None:
        before, self.before = self.before, (self.group.changes, self.group.memory)
        assert (before[0] == self.before[0]) <= (before[1] == self.before[1])

    @invariant()
    def what_is_recalled_is_the_same(self) -> None:
        memory = self.group.memory
        copy = Coordination.recall(memory, self.semantics)
        assert (copy.memory, copy.kept, copy.over) == (memory, self.group.kept, self.group.over)
        assert list(copy.memory.messages.items()) == list(memory.messages.items())


TestFetching = Fetching.TestCase
