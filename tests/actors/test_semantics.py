"""The rules in which LAVA's coordinator differs from its documentation, a row of a table each."""

from callboard.actors.coordination import Coordination
from callboard.actors.effects import Data, Effect, Grant, Refusal, Ticket
from callboard.actors.semantics import LAVA


def grants(effects: list[Effect]) -> dict[Ticket, Data]:
    return {
        each: effect.data
        for effect in effects
        if isinstance(effect, Grant)
        for each in effect.tickets
    }


def lava(*members: tuple[int, str]) -> Coordination:
    return Coordination(members or [(1, "server"), (2, "server"), (3, "client")], semantics=LAVA)


def test_lava_replaces_what_was_sent_before() -> None:
    group = lava()
    group.send(1, "x", {"a": "1"})
    group.send(1, "x", {"b": "2"})
    assert grants(group.wait((3, 1), "x")) == {(3, 1): {1: {"b": "2"}}}


def test_lava_refuses_a_wait_all_before_the_first_send() -> None:
    group = lava()
    assert group.wait_all((3, 1), "x") == [
        Refusal((3, 1), "nobody has sent 'x' yet", overlooked=True)
    ]
    group.send(1, "x", {})
    assert group.wait_all((3, 2), "x") == []


def test_lava_lets_the_first_node_of_a_role_speak_for_it() -> None:
    group = lava()
    group.wait_all((3, 1), "x", "server")
    assert group.send(2, "x", {}) == []
    assert list(grants(group.send(1, "x", {}))) == [(3, 1)]


def test_lava_releases_a_role_that_has_sent_by_itself_what_it_waits_for() -> None:
    group = lava((1, "server"), (2, "client"), (3, "client"))
    group.wait_all((2, 1), "x", "server")
    assert group.send(2, "x", {}) == []
    assert list(grants(group.send(3, "x", {}))) == [(2, 1)]


def test_lava_makes_all_meet_again_at_a_sync_that_is_called_again() -> None:
    group = lava((1, "a"), (2, "a"))
    group.sync((1, 1), "s")
    assert list(grants(group.sync((2, 1), "s"))) == [(1, 1), (2, 1)]
    assert group.sync((1, 2), "s") == []
    assert list(grants(group.sync((2, 2), "s"))) == [(1, 2), (2, 2)]


def test_lava_starts_a_role_when_the_first_node_of_the_other_has_sent() -> None:
    group = lava()
    group.start((3, 1), "server")
    assert list(grants(group.send(1, "lava_start", {}))) == [(3, 1)]


def test_lava_does_not_notice_the_end_of_a_member_but_counts_ends() -> None:
    group = lava((1, "a"), (2, "a"))
    group.sync((1, 1), "s")
    assert group.leave(2) == []
    assert (group.over, group.suspicious) == (False, False)
    group.leave(2)
    assert group.over
    assert group.wait((1, 2), "x") == [Refusal((1, 2), "the group has ended")]


def test_lava_serves_nobody_after_the_end_of_the_group() -> None:
    group = lava((1, "a"), (2, "a"))
    group.wait((1, 1), "x")
    group.leave(2)
    group.leave(2)
    assert group.send(2, "x", {}) == []
    why = "the group has ended"
    assert group.wait_all((1, 2), "x") == [Refusal((1, 2), why)]
    assert group.sync((1, 3), "x") == [Refusal((1, 3), why)]


def test_a_group_whose_members_have_all_ended_is_not_over_but_for_lava() -> None:
    groups = [Coordination([(1, "a")]), lava((1, "a"))]
    for group in groups:
        group.leave(1)
    assert [group.over for group in groups] == [False, True]
