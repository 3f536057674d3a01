"""Which group gets which devices, with nothing around it."""

from collections.abc import Mapping, Sequence
from itertools import permutations
from random import Random

from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from callboard.cluster.records import Need, Offer, Registration, Seat, Table
from callboard.cluster.subjects import PROTOCOL
from callboard.cluster.table import (
    advance,
    busy,
    describe,
    enter,
    hopeless,
    leave,
    needs_of,
    requeue,
    stands,
)
from callboard.definition import read_text, split

# Most of them are alike, so that groups are in each other's way.
TYPES = st.sampled_from(["qemu", "qemu", "qemu", "qemu", "bbb"])
TAGS = st.sampled_from([(), (), (), (), ("usb",), ("wifi",), ("usb", "wifi")])


def worker(name: str, *offers: Offer, draining: bool = False) -> Registration:
    incarnation = f"{name}-1"
    return Registration(name, incarnation, "m", PROTOCOL, "0", "host", offers, draining=draining)


def qemus(name: str, count: int) -> Registration:
    return worker(name, *(Offer(f"q{number}", "qemu", "local") for number in range(count)))


def nodes(name: str, count: int) -> Registration:
    return worker(name, *(Offer(f"local-{number}", None, "local") for number in range(count)))


def jobs(count: int, device_type: str = "qemu") -> tuple[Need, ...]:
    return tuple(Need(number, "role", device_type) for number in range(1, count + 1))


def granted(needs: Sequence[Need], *fleet: Registration) -> Mapping[int, Seat] | None:
    """The seats of a group that is alone."""
    return advance(enter(Table(), "1", needs), fleet).granted.get("1")


def served(need: Need, seat: Seat, fleet: Sequence[Registration]) -> bool:
    """Whether a device is one that the need may have; types that nobody has are left out."""
    for each in fleet:
        for offer in each.offers:
            if (each.name, each.incarnation, offer.name) == (
                seat.worker,
                seat.incarnation,
                seat.device,
            ):
                return offer.type == need.type and set(need.tags) <= set(offer.tags)
    return False


def possible(needs: Sequence[Need], fleet: Sequence[Registration], taken: set[str]) -> bool:
    """Whether the devices that nobody has taken serve all needs at once; tries everything."""
    free = [
        Seat(each.name, each.incarnation, offer.name, offer.driver)
        for each in fleet
        if not each.draining
        for offer in each.offers
        if f"{each.name}/{offer.name}" not in taken
    ]
    return any(
        all(served(need, seat, fleet) for need, seat in zip(needs, choice, strict=True))
        for choice in permutations(free, len(needs))
    )


def taken(table: Table) -> list[str]:
    return [
        f"{seat.worker}/{seat.device}"
        for seats in table.granted.values()
        for seat in seats.values()
    ]


@st.composite
def fleets(draw: st.DrawFn) -> tuple[Registration, ...]:
    offers = draw(st.lists(st.tuples(TYPES, TAGS), min_size=2, max_size=5))
    split_at = draw(st.integers(0, len(offers)))
    made = [Offer(f"d{n}", kind, "local", tags) for n, (kind, tags) in enumerate(offers)]
    return worker("a", *made[:split_at]), worker("b", *made[split_at:])


@st.composite
def groups(draw: st.DrawFn) -> tuple[Need, ...]:
    wants = draw(st.lists(st.tuples(TYPES, TAGS), min_size=1, max_size=3))
    return tuple(Need(n, f"r{n}", kind, tags) for n, (kind, tags) in enumerate(wants, 1))


class Lab(RuleBasedStateMachine):
    """Groups come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.fleet: tuple[Registration, ...] = ()
        self.table = Table()
        self.needs: dict[str, tuple[Need, ...]] = {}
        self.held_before: dict[str, set[str]] = {}  # who had devices when a group became first

    def _settle(self, table: Table) -> None:
        self.table = advance(table, self.fleet)
        first = self.table.waiting[0].group if self.table.waiting else None
        if first is not None and first not in self.held_before:
            self.held_before[first] = set(self.table.granted)

    @initialize(fleet=fleets())
    def begin(self, fleet: tuple[Registration, ...]) -> None:
        self.fleet = fleet

    @rule(needs=groups())
    def come(self, needs: tuple[Need, ...]) -> None:
        group = str(len(self.needs))
        self.needs[group] = needs
        self._settle(enter(self.table, group, needs))

    @precondition(lambda self: self.table.granted)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        self.forget(data.draw(st.sampled_from(sorted(self.table.granted))))

    def forget(self, group: str) -> None:
        """A group that had devices has ended."""
        for each in self.held_before.values():
            each.discard(group)
        self._settle(leave(self.table, group))

    @invariant()
    def no_device_is_had_twice(self) -> None:
        assert len(taken(self.table)) == len(set(taken(self.table)))

    @invariant()
    def each_group_has_all_or_nothing_and_what_fits(self) -> None:
        for group, seats in self.table.granted.items():
            assert set(seats) == {need.job for need in self.needs[group]}
            assert all(served(need, seats[need.job], self.fleet) for need in self.needs[group])
        assert not set(self.table.granted) & {each.group for each in self.table.waiting}

    @invariant()
    def nothing_changes_when_nothing_happens(self) -> None:
        assert advance(self.table, self.fleet) == self.table

    @invariant()
    def a_group_that_can_be_served_waits_only_behind_another_that_can_be_served(self) -> None:
        have = set(taken(self.table))
        for each in self.table.waiting:
            if hopeless(each.needs, self.fleet):
                continue
            assert not possible(each.needs, self.fleet, have)
            break

    @invariant()
    def who_is_first_waits_for_those_alone_who_had_devices_then(self) -> None:
        if not self.table.waiting:
            return
        first = self.table.waiting[0]
        if first.group in self.held_before and not self.held_before[first.group]:
            assert hopeless(first.needs, self.fleet)


class TroubledLab(Lab):
    """Groups give up, too, and workers drain and return."""

    @precondition(lambda self: self.table.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from([each.group for each in self.table.waiting]))
        self._settle(leave(self.table, group))

    @rule(which=st.integers(0, 1))
    def drain_or_return(self, which: int) -> None:
        fleet = list(self.fleet)
        fleet[which] = evolve(fleet[which], draining=not fleet[which].draining)
        self.fleet = tuple(fleet)
        self.held_before.clear()  # what is promised is promised of a fleet that stays
        self._settle(self.table)


TestLab = Lab.TestCase
TestLab.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
TestTroubledLab = TroubledLab.TestCase
TestTroubledLab.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


@given(groups(), fleets())
def test_needs_are_hopeless_when_the_whole_fleet_can_not_serve_them(
    needs: tuple[Need, ...], fleet: tuple[Registration, ...]
) -> None:
    left = hopeless(needs, fleet)
    assert (not left) == possible(needs, fleet, set())
    kept = [need for need in needs if need not in left]
    assert possible(kept, fleet, set())


@given(groups(), st.lists(st.booleans(), max_size=12), fleets())
def test_equal_groups_are_served_in_the_order_in_which_they_came(
    needs: tuple[Need, ...], ends: list[bool], fleet: tuple[Registration, ...]
) -> None:
    assume(not hopeless(needs, fleet))
    table, came, order = Table(), 0, list[str]()
    for end in ends:
        if end and table.granted:
            table = leave(table, min(table.granted, key=int))
        else:
            table = enter(table, str(came), needs)
            came += 1
        table = advance(table, fleet)
        order += sorted(set(table.granted) - set(order), key=int)
    assert order == [str(number) for number in range(len(order))]


@given(st.integers(0, 2**32), st.integers(2, 5))
def test_who_is_first_has_its_devices_when_all_have_ended_who_had_some_then(
    seed: int, size: int
) -> None:
    chance = Random(seed)
    lab = Lab()
    lab.begin((qemus("a", size - 1), qemus("b", 1)))
    for number in range(30):
        if lab.table.granted and chance.random() < 0.4:
            lab.forget(chance.choice(sorted(lab.table.granted)))
        else:
            lab.come(jobs(chance.randint(1, size if number % 4 == 0 else 1)))
        lab.nothing_changes_when_nothing_happens()
        lab.who_is_first_waits_for_those_alone_who_had_devices_then()


def test_small_groups_that_keep_coming_do_not_starve_a_large_one() -> None:
    fleet = [qemus("a", 4)]
    table = Table()
    for number in range(4):
        table = advance(enter(table, f"s{number}", jobs(1)), fleet)
    table = enter(table, "large", jobs(4))
    for number in range(4, 8):
        table = advance(enter(table, f"s{number}", jobs(1)), fleet)
        table = advance(leave(table, f"s{number - 4}"), fleet)
    assert set(table.granted) == {"large"}


def test_what_a_large_group_can_not_use_goes_to_those_behind_it() -> None:
    fleet = [worker("a", Offer("q", "qemu", "local"), Offer("b", "bbb", "local"))]
    table = advance(enter(Table(), "first", jobs(1)), fleet)
    table = enter(table, "large", jobs(1))
    table = advance(enter(table, "small", jobs(1, "bbb")), fleet)
    assert set(table.granted) == {"first", "small"}


def test_what_a_grant_makes_another_group_let_go_is_given_at_once() -> None:
    fleet = [qemus("a", 3), qemus("b", 2), worker("c", Offer("bone", "bbb", "local"))]
    table = advance(enter(Table(), "1", jobs(1, "bbb")), fleet)
    table = enter(table, "2", (Need(1, "r", "qemu"), Need(2, "r", "bbb")))  # holds a/q0
    table = enter(table, "3", tuple(Need(n, "r", "qemu", worker="a") for n in (1, 2)))
    table = enter(table, "4", (Need(1, "r", "qemu", worker="a", device="q0"),))
    settled = advance(table, fleet)  # now b is the emptiest worker, and 2 holds b/q0
    assert set(settled.granted) == {"1", "3", "4"}
    assert advance(settled, fleet) == settled


def test_a_group_that_nobody_can_serve_holds_nothing_up_and_keeps_its_place() -> None:
    fleet = [qemus("a", 1)]
    unserved = (*jobs(1), Need(2, "board", "bbb"))
    table = advance(enter(enter(Table(), "early", unserved), "late", jobs(1)), fleet)
    assert set(table.granted) == {"late"}
    table = enter(leave(table, "late"), "later", jobs(1))
    fleet.append(worker("b", Offer("d", "bbb", "local")))
    assert set(advance(table, fleet).granted) == {"early"}


def test_a_group_enters_once_and_leaves_once() -> None:
    table = enter(enter(Table(), "1", jobs(1)), "1", jobs(2))
    assert [each.needs for each in table.waiting] == [jobs(1)]
    had = advance(table, [qemus("a", 1)])
    assert enter(had, "1", jobs(1)) == had
    assert leave(leave(had, "1"), "1") == Table()
    assert leave(table, "other") == table


def test_a_group_whose_worker_was_started_anew_is_the_first_in_the_queue_again() -> None:
    fleet = [qemus("a", 1)]
    table = advance(enter(enter(Table(), "1", jobs(1)), "2", jobs(1)), fleet)
    seats = table.granted["1"].values()
    assert stands(seats, fleet)
    anew = [evolve(fleet[0], incarnation="a-2")]
    for other in (anew, [], [evolve(fleet[0], draining=True)], [evolve(fleet[0], offers=())]):
        assert not stands(seats, other)
    again = requeue(table, "1", jobs(1))
    assert [each.group for each in again.waiting] == ["1", "2"]
    assert advance(again, anew).granted["1"][1].incarnation == "a-2"
    assert requeue(again, "2", jobs(1)) == again


def test_a_guest_lands_on_the_device_of_the_first_host_of_its_role() -> None:
    guest = Need(9, "guest", None, host_role="host")
    host = Need(5, "host", "bbb")
    fleet = [qemus("a", 2), worker("b", Offer("bone", "bbb", "command"))]
    seats = granted((guest, *jobs(1), host, Need(6, "host", "qemu")), *fleet)
    assert seats is not None
    assert seats[5] == Seat("b", "b-1", "bone", "command")
    assert seats[9] == Seat("b", "b-1", "bone", "ssh")


def test_a_guest_without_a_host_is_hopeless() -> None:
    guest = Need(9, "guest", None, host_role="host")
    assert hopeless((guest, *jobs(1)), [qemus("a", 1)]) == (guest,)
    assert granted((guest, *jobs(1)), qemus("a", 1)) is None


def test_a_throw_away_node_is_of_any_type_but_a_container_and_has_any_tags() -> None:
    assert granted(jobs(2, "anything"), nodes("a", 2)) is not None
    assert granted((Need(1, "r", "anything", ("usb",)),), nodes("a", 1)) is not None
    assert granted(jobs(1, "lxc"), nodes("a", 2)) is None


def test_a_throw_away_node_stands_for_no_type_that_a_worker_has() -> None:
    table = advance(enter(Table(), "1", jobs(1)), [qemus("a", 1), nodes("b", 1)])
    table = advance(enter(table, "2", jobs(1)), [qemus("a", 1), nodes("b", 1)])
    assert [each.group for each in table.waiting] == ["2"]
    assert hopeless((Need(1, "r", "qemu", ("usb",)),), [qemus("a", 1), nodes("b", 1)])
    away = [evolve(qemus("a", 1), draining=True), nodes("b", 1)]
    assert [each.group for each in advance(table, away).waiting] == ["2"]


def test_a_job_that_names_worker_or_device_gets_that_or_none() -> None:
    fleet = [qemus("a", 2), qemus("b", 2), nodes("c", 2)]
    seats = granted(
        (
            Need(1, "r", "qemu", worker="b"),
            Need(2, "r", "qemu", device="q1", worker="b"),
            Need(3, "r", "qemu", device="local-1"),
            Need(4, "r", "qemu", worker="c"),
        ),
        *fleet,
    )
    assert seats is not None
    assert [(seats[job].worker, seats[job].device) for job in (1, 2, 3, 4)] == [
        ("b", "q0"),
        ("b", "q1"),
        ("c", "local-1"),
        ("c", "local-0"),
    ]
    assert granted((Need(1, "r", "qemu", worker="nobody"),), *fleet) is None
    assert granted((Need(1, "r", "qemu", device="local-1", worker="a"),), *fleet) is None


def test_workers_that_drain_or_speak_another_protocol_get_nothing() -> None:
    other = evolve(qemus("b", 5), protocol=PROTOCOL + 1)
    drained = evolve(qemus("c", 5), draining=True)
    assert granted(jobs(2), qemus("a", 1), other, drained) is None
    assert hopeless(jobs(2), [qemus("a", 1), other, drained]) == jobs(2)[1:]


def test_a_group_stays_together_on_the_emptiest_worker() -> None:
    fleet = [nodes("a", 3), nodes("b", 8), nodes("c", 8)]
    table = advance(enter(Table(), "1", jobs(4)), fleet)
    table = advance(enter(table, "2", jobs(4)), fleet)
    assert [{seat.worker for seat in table.granted[each].values()} for each in "12"] == [
        {"b"},
        {"c"},
    ]


def test_a_plain_device_is_taken_before_one_with_tags() -> None:
    seats = granted(
        jobs(1), worker("a", Offer("x", "qemu", "local", ("usb",)), Offer("y", "qemu", "local"))
    )
    assert seats is not None
    assert seats[1].device == "y"


def test_busy_are_the_devices_that_could_serve_a_group_if_another_had_them_not() -> None:
    fleet = [worker("a", Offer("q", "qemu", "local"), Offer("b", "bbb", "local"))]
    table = advance(enter(Table(), "1", (*jobs(1), Need(2, "board", "bbb"))), fleet)
    assert busy(jobs(1), table, fleet) == {"a/q"}
    assert busy(jobs(1), Table(), fleet) == frozenset()


def test_needs_in_words() -> None:
    board = Need(3, "board", "bbb", ("usb", "wifi"), device="bone", worker="b")
    assert describe((*jobs(2), board, Need(4, "", "qemu"))) == (
        "2 devices of type qemu (role role); "
        "a device of type bbb with the tags usb, wifi named bone on worker b (role board); "
        "a device of type qemu"
    )


DEFINITION = """\
job_name: x
visibility: public
timeouts: {job: {minutes: 5}}
protocols:
  lava-multinode:
    roles:
      host: {device_type: bbb, count: 1, tags: [usb]}
      guest: {connection: ssh, host_role: host, expect_role: host, request: lava-start, count: 2}
actions:
- deploy: {role: [host], to: tmpfs}
- deploy: {role: [guest], to: ssh, connection: ssh}
"""


def test_what_a_definition_needs() -> None:
    found, diagnostics = read_text(DEFINITION)
    assert found is not None, diagnostics
    assert needs_of(split(found, first_id=7, group="")) == (
        Need(7, "host", "bbb", ("usb",)),
        Need(8, "guest", None, host_role="host"),
        Need(9, "guest", None, host_role="host"),
    )
