"""Waits that nobody can satisfy any more: when they are found, and who is to blame."""

from callboard.actors.coordination import Coordination
from callboard.actors.effects import Data, Effect, Grant, Hopeless, Ticket
from callboard.definition.senders import Senders, Sends


def trio() -> Coordination:
    return Coordination([(1, "server"), (2, "client"), (3, "client")])


def grants(effects: list[Effect]) -> dict[Ticket, Data]:
    return {
        each: effect.data
        for effect in effects
        if isinstance(effect, Grant)
        for each in effect.tickets
    }


def presumed(group: Coordination) -> list[Hopeless]:
    return group.judge(group.presumed())


def judged(effects: list[Effect]) -> list[Hopeless]:
    return [effect for effect in effects if isinstance(effect, Hopeless)]


def test_the_culprit_of_a_chain_is_who_ended_of_its_own_accord() -> None:
    group = trio()
    group.sync((2, 1), "s")
    [hopeless] = judged(group.leave(1))
    assert (hopeless.ticket, hopeless.certain, hopeless.culprits) == ((2, 1), True, (1,))
    group.withdraw((2, 1), hopeless.culprits)
    group.wait_all((3, 1), "x", "client")
    [chained] = judged(group.leave(2))
    assert [(each.member, each.state) for each in chained.missing] == [
        (2, "ended"),
        (3, "waiting"),
    ]
    assert chained.culprits == (1,)


def test_a_wait_that_is_hopeless_when_it_is_made_says_so_at_once() -> None:
    group = trio()
    group.leave(1)
    [hopeless] = judged(group.sync((2, 1), "s"))
    assert [each.member for each in hopeless.missing] == [1, 3]


def test_a_hopeless_wait_is_found_by_the_first_end_and_not_again_by_the_next() -> None:
    group = trio()
    group.sync((2, 1), "s")
    assert [each.ticket for each in judged(group.leave(1))] == [(2, 1)]
    assert group.leave(3) == []


def test_what_an_ended_member_had_sent_still_counts() -> None:
    group = Coordination([(1, "server"), (2, "client")])
    group.send(1, "x", {"k": "v"})
    group.leave(1)
    assert grants(group.wait_all((2, 1), "x", "server")) == {(2, 1): {1: {"k": "v"}}}


def test_who_had_called_a_sync_may_end() -> None:
    group = trio()
    group.sync((1, 1), "s")
    group.sync((2, 1), "s")
    group.withdraw((1, 1))
    assert group.leave(1) == []
    assert list(grants(group.sync((3, 1), "s"))) == [(2, 1), (3, 1)]


def test_who_sends_twice_counts_once() -> None:
    group = trio()
    group.wait_all((1, 1), "x", "client")
    group.send(2, "x", {})
    assert group.send(2, "x", {}) == []
    assert list(grants(group.send(3, "x", {}))) == [(1, 1)]


def test_what_an_ended_member_had_released_still_counts() -> None:
    group = Coordination([(1, "server"), (2, "server"), (3, "client")])
    group.release(1, ["client"])
    group.start((3, 1), "server")
    assert group.leave(1) == []
    assert list(grants(group.release(2, ["client"]))) == [(3, 1)]


def test_whoever_had_released_all_may_end() -> None:
    group = Coordination([(1, "server"), (2, "server"), (3, "client")])
    group.release(1, None)
    group.start((3, 1), "server")
    assert group.leave(1) == []
    assert list(grants(group.send(2, "lava_start", {}))) == [(3, 1)]


def test_the_culprits_of_a_circle_are_those_that_wait_for_each_other() -> None:
    group = Coordination([(1, "a"), (2, "b"), (3, "c")])
    group.wait_all((1, 1), "x", "b")
    group.wait_all((2, 1), "y", "a")
    group.wait_all((3, 1), "z", "a")
    found = {each.ticket[0]: each.culprits for each in presumed(group)}
    assert found == {1: (1, 2), 2: (1, 2), 3: (1, 2)}


def test_who_waits_for_one_that_waits_for_an_ended_member_blames_that_one() -> None:
    group = Coordination([(1, "a"), (2, "b"), (3, "c")])
    group.leave(1)
    group.wait_all((2, 1), "x", "a")
    group.wait_all((3, 1), "y", "b")
    assert {each.ticket[0]: each.culprits for each in presumed(group)} == {2: (1,), 3: (1,)}


def test_the_smallest_circle_is_to_blame() -> None:
    group = Coordination([(1, "a"), (2, "b"), (3, "c")])
    group.wait_all((1, 1), "x", "b")
    group.wait_all((2, 1), "y", "a")
    group.wait_all((3, 1), "z")  # for all, itself included
    assert {each.ticket[0]: each.culprits for each in presumed(group)}[3] == (1, 2)


def test_blame_is_inherited_along_who_waits_for_whom() -> None:
    group = Coordination([(1, "a"), (2, "b"), (3, "c"), (4, "d")])
    group.leave(4)
    group.sync((1, 1), "s")
    group.withdraw((1, 1), (4,))
    group.leave(1)
    group.wait_all((2, 1), "x", "a")
    group.wait_all((3, 1), "y", "b")
    assert {each.ticket[0]: each.culprits for each in presumed(group)} == {2: (4,), 3: (4,)}


def test_a_wait_whose_senders_have_all_ended_is_presumed_hopeless_though_others_work() -> None:
    group = Coordination(
        [(1, "server"), (2, "client"), (3, "client")],
        Senders({"server": Sends(frozenset({"ready"}))}),
    )
    assert group.wait((2, 1), "ready") == []
    assert presumed(group) == []
    assert group.leave(1) == []
    [found] = presumed(group)
    assert [each.member for each in found.missing] == [1]
    assert (found.certain, found.culprits) == (False, (1,))
    assert group.suspicious
    group.send(3, "ready", {})
    assert (presumed(group), group.suspicious) == ([], False)


def test_a_wait_is_not_hopeless_while_one_of_its_senders_lives() -> None:
    group = Coordination(
        [(1, "server"), (2, "server"), (3, "client"), (4, "client")],
        Senders({"server": Sends(frozenset({"ready"}))}),
    )
    group.wait((3, 1), "ready")
    group.leave(1)
    assert presumed(group) == []
    group.leave(2)
    assert [each.ticket for each in presumed(group)] == [(3, 1)]


def test_a_member_that_is_said_to_have_ended_twice_ends_once() -> None:
    group = trio()
    group.leave(1)
    assert group.leave(1) == []
    group.wait((2, 1), "x")
    assert not group.suspicious


def test_who_gives_up_twice_keeps_the_first_blame() -> None:
    group = trio()
    for number, culprit in enumerate((1, 3)):
        group.sync((2, number), "s")
        group.withdraw((2, number), (culprit,))
    group.leave(2)
    [hopeless] = judged(group.wait_all((3, 1), "x"))
    assert hopeless.culprits == (1,)


def test_what_was_kept_from_being_done_stays_the_fault_of_who_kept_it() -> None:
    group = trio()
    group.sync((2, 1), "s")
    group.withdraw((2, 1), (1,))
    group.send(3, "y", {})
    group.wait((2, 2), "y")
    group.leave(2)
    [hopeless] = judged(group.wait_all((3, 1), "x"))
    assert hopeless.culprits == (1,)


def test_who_waits_for_one_that_waits_for_nobody_blames_that_one() -> None:
    senders = Senders({"a": Sends(frozenset({"y"})), "b": Sends()})
    group = Coordination([(1, "a"), (2, "b")], senders)
    group.wait((1, 1), "x")
    group.wait((2, 1), "y")
    assert {each.ticket[0]: each.culprits for each in presumed(group)} == {1: (1,), 2: (1,)}


def test_who_would_never_have_acted_is_to_blame_itself() -> None:
    senders = Senders({"client": Sends(frozenset({"x"}), syncs=frozenset({"s"}))})
    for call in ("x", "y", "s", "t"):
        group = Coordination([(1, "server"), (2, "client"), (3, "client")], senders)
        group.sync((2, 1), "first")
        group.withdraw((2, 1), (1,))
        group.leave(2)
        wait = group.sync if call in "st" else group.wait_all
        [hopeless] = judged(wait((3, 1), call))
        assert hopeless.culprits == ((1,) if call in "xs" else (2,))


def test_who_waits_for_what_nobody_ever_sends_is_to_blame() -> None:
    group = Coordination([(1, "a"), (2, "b")], Senders({}))
    group.wait((1, 1), "redy")
    [found] = presumed(group)
    assert (found.missing, found.culprits) == ((), (1,))


def test_a_release_by_some_nodes_of_a_role_starts_nobody() -> None:
    group = Coordination([(1, "server"), (2, "server"), (3, "client"), (4, "guest")])
    group.start((3, 1), "server")
    group.start((4, 1), "server")
    assert group.send(1, "lava_start", {}) == []
    assert list(grants(group.release(2, ["guest"]))) == [(4, 1)]
    assert list(grants(group.send(2, "lava_start", {}))) == [(3, 1)]
    assert group.release(2, ["client"]) == []
