"""Links as rules and faults have them, and what is done about them."""

from random import Random

import anyio
import hypothesis.strategies as st
import pytest
from attrs import define, field
from hypothesis import given

from callboard.actors.links import Change, LinkKeeper, Links
from callboard.actors.messages import GroupMessage, Interrupt
from callboard.definition.links import CUT, UNDISTURBED, Conditions, Link
from callboard.definition.model import Place
from callboard.events import Event, LinksChanged
from callboard.journal import Journal
from callboard.runtime import Actor, ActorSystem, run_virtual

HERE = Place("devices.yaml", 1, 1)
ROLES = {1: "a", 2: "a", 3: "b", 4: "c"}
JOBS = sorted(ROLES)
SLOW = Conditions(rate_bps=1000)

SETS = st.frozensets(st.sampled_from(JOBS), min_size=1)
CHANGES = st.builds(
    Change,
    st.just("impair"),
    st.one_of(st.tuples(SETS), st.tuples(SETS, SETS)),
    st.sampled_from([SLOW, Conditions(delay_s=1), CUT]),
)


def of(*jobs: int) -> frozenset[int]:
    return frozenset(jobs)


def all_of(links: Links) -> list[Conditions]:
    return [links.between(one, other) for one in JOBS for other in (*JOBS, None) if one != other]


@given(st.lists(CHANGES, max_size=6), st.randoms())
def test_links_are_as_they_were_when_all_changes_are_over_in_any_order(
    changes: list[Change], random: Random
) -> None:
    links = Links(ROLES, [Link(("a", "b"), SLOW, HERE), Link(("c",), CUT, HERE)])
    before = all_of(links)
    for change in changes:
        links.begin(change)
    random.shuffle(changes)
    for change in changes:
        links.end(change)
        links.end(change)
    assert all_of(links) == before


@given(st.lists(CHANGES, max_size=6), st.lists(CHANGES, max_size=6))
def test_what_is_healed_is_as_if_nothing_had_happened_before(
    before: list[Change], after: list[Change]
) -> None:
    links, fresh = Links(ROLES), Links(ROLES)
    for change in before:
        links.begin(change)
    links.begin(Change("heal", (frozenset(JOBS),)))
    for change in after:
        links.begin(change)
        fresh.begin(change)
    assert all_of(links) == all_of(fresh)
    for change in before:
        links.end(change)
    assert all_of(links) == all_of(fresh), "the end of what is healed changes nothing"


@given(CHANGES)
def test_a_link_is_the_same_from_both_of_its_ends(change: Change) -> None:
    links = Links(ROLES, [Link(("a", "b"), SLOW, HERE)])
    links.begin(change)
    for one in JOBS:
        for other in JOBS:
            if one != other:
                assert links.between(one, other) == links.between(other, one)


def test_a_rule_for_a_pair_means_no_other_and_not_the_way_out() -> None:
    links = Links(ROLES, [Link(("a", "b"), SLOW, HERE), Link(("a", "a"), CUT, HERE)])
    assert links.between(1, 3) == links.between(3, 2) == SLOW
    assert links.between(1, 2) == CUT
    assert links.between(1, 4) == links.between(3, 4) == UNDISTURBED
    assert links.between(1, None) == UNDISTURBED


def test_a_rule_for_a_role_means_the_way_out_too() -> None:
    links = Links(ROLES, [Link(("a",), SLOW, HERE)])
    assert links.between(1, None) == links.between(1, 4) == SLOW
    assert links.between(4, None) == UNDISTURBED


@define
class Scripted:
    """Cables that take a second to be changed, and can't be at the end."""

    fails_at: int
    applied: list[float] = field(factory=list[float])

    async def apply(self) -> None:
        await anyio.sleep(1)
        self.applied.append(anyio.current_time())
        if len(self.applied) == self.fails_at:
            raise OSError("tc: no such thing")


class Ear(Actor[GroupMessage]):
    """Hears what a group is told."""

    def __init__(self, heard: list[GroupMessage]) -> None:
        self._heard = heard

    def receive(self, message: GroupMessage) -> None:
        self._heard.append(message)


@pytest.mark.parametrize("fails_at", [0, 2])
def test_changes_are_told_when_they_are_made_and_what_waits_for_them_goes_on_then(
    fails_at: int,
) -> None:
    links, cables = Links(ROLES, [Link(("a", "b"), SLOW, HERE)]), Scripted(fails_at)
    seen: list[Event] = []
    heard: list[GroupMessage] = []
    passed: list[float] = []

    async def main() -> None:
        journal = Journal(anyio.current_time, sinks=[seen.append])
        links.begin(Change("cut", (of(1),), CUT))
        async with ActorSystem() as system:
            group = system.spawn(lambda: Ear(heard), "group")
            keeper = system.spawn(lambda: LinkKeeper(links, cables, group, journal), "links")
            links.watch(keeper.tell_nowait)
            links.settled(lambda: passed.append(anyio.current_time()))
            await anyio.sleep(0.5)
            links.begin(Change("heal", (of(1),)))
            links.settled(lambda: passed.append(anyio.current_time()))
            await anyio.sleep(5)
            links.settled(lambda: passed.append(anyio.current_time()))

    run_virtual(main)
    told = [(each.time_s, each.body.change) for each in seen if isinstance(each.body, LinksChanged)]
    assert told == [(0, "set"), (1, "cut"), (2, "heal")][: 2 if fails_at else 3]
    assert [round(time_s, 3) for time_s in passed] == [2, 2, 5.5]
    reasons = [each.reason for each in heard if isinstance(each, Interrupt)]
    assert reasons == (
        ["the links of the network can't be changed: tc: no such thing"] if fails_at else []
    )
