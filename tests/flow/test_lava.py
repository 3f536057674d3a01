"""The proof under the semantics that LAVA's coordinator implements, where they differ."""

from collections.abc import Iterable

from tests.flow.programs import background, either, join, loop, program, refused, unseen

from callboard.flow.program import Item, Program
from callboard.flow.proof import Outcome, Proof, prove


def outcomes(*programs: Program) -> tuple[Outcome, Outcome]:
    """Under the documented and under the implemented semantics."""
    return prove(programs).outcome, prove(programs, "lava").outcome


def pair(
    one: Iterable[str | Item], other: Iterable[str | Item], *, count: int = 1
) -> tuple[Program, Program]:
    return program("a", *one), program("b", *other, count=count)


def doubts(*programs: Program) -> list[str]:
    proof = prove(programs, "lava")
    assert proof.outcome == "unknown"
    return [f"{each.role}:{each.where.line} {each.reason}" for each in proof.doubts]


def test_a_wait_all_that_nobody_ever_sends_is_refused_and_the_node_goes_on() -> None:
    assert outcomes(*pair(["wait-all x"], [])) == ("deadlocks", "completes")


def test_a_wait_all_that_may_come_before_the_first_send_depends_on_the_order() -> None:
    programs = pair(["wait-all x"], ["send x"])
    assert outcomes(*programs) == ("deadlocks", "unknown")
    assert doubts(*programs) == ["a:1 `lava-wait-all x` passes at once only before the first send"]
    (stuck,) = prove(programs, "lava").witness
    assert (stuck.role, stuck.call.written) == ("a", "lava-wait-all x")


def test_a_wait_all_behind_its_own_send_is_never_refused() -> None:
    own = ["send x", "wait-all x"]
    assert outcomes(*pair(own, own, count=1_000_000)) == ("completes", "completes")


def test_first_sends_that_no_wait_all_can_precede_are_tried_in_one_order() -> None:
    """Else these would be more than sixty thousand."""
    names = "abcdefghijklmnop"
    waits = [f"wait-all {name}" for name in names]
    roles = [
        program(own, *[f"send {name}" for name in (*names[n:], *names[:n])], *waits)
        for n, own in enumerate(names)
    ]
    assert outcomes(*roles) == ("completes", "completes")


def test_each_node_of_a_role_may_choose_differently() -> None:
    three = program("a", either(["send x"], ["send y"], ["send z"]), count=3)
    assert outcomes(three, program("b", "wait x", "wait y", "wait z")) == ("unknown", "unknown")
    four = program("a", either(["send x"], ["send y"], ["send z"]), count=4)
    assert outcomes(four, program("b", "wait x", "wait y", "wait z")) == ("unknown", "unknown")
    two = program("a", either(["send x"], ["send y"], ["send z"]), count=2)
    assert outcomes(two, program("b", "wait x", "wait y", "wait z")) == ("deadlocks", "deadlocks")


def test_a_wait_all_with_a_role_needs_only_the_first_node_of_that_role() -> None:
    own = [either(["send x"], [])]
    programs = pair(["wait-all x b"], own, count=2)
    assert outcomes(*programs) == ("unknown", "unknown")
    late = pair(["wait-all x b", "send y"], [either(["send x"], ["wait y", "send x"])], count=2)
    assert outcomes(*late) == ("unknown", "unknown")
    assert len(prove(late, "lava").witness) == 2
    assert doubts(*programs) == ["b:1 it depends on `[ -e /x ]`"]


def test_it_matters_whether_the_first_node_of_a_role_is_the_first_to_act() -> None:
    asking = program("a", background("wait-all q", "send x"), count=2)
    other = program("b", "wait x", "send q", "wait-all x a")
    assert outcomes(asking, other) == ("deadlocks", "unknown")


def test_a_wait_all_with_a_role_returns_when_all_of_the_own_role_have_sent() -> None:
    own = ["send x", "wait-all x a"]
    assert outcomes(*pair(["wait y"], own, count=2)) == ("deadlocks", "deadlocks")
    assert outcomes(*pair(["sync s"], [*own, "sync s"], count=2)) == ("deadlocks", "completes")


def test_a_delayed_start_needs_the_message_of_the_first_node_and_no_release() -> None:
    assert outcomes(*pair(["send lava_start"], ["start a"])) == ("completes", "completes")
    assert outcomes(*pair(["release b"], ["start a"])) == ("completes", "deadlocks")


def test_a_sync_that_is_used_again_may_leave_a_slow_node_behind() -> None:
    programs = pair(["sync s", "sync s"], ["sync s", "sync s"])
    assert outcomes(*programs) == ("completes", "unknown")
    assert "a:2 `lava-sync s` is called again before all have left it" in doubts(*programs)
    (stuck,) = prove(programs, "lava").witness
    assert [each.reason for each in stuck.missing] == ["never"]


def test_a_sync_in_between_keeps_the_next_round_of_another_apart() -> None:
    own = ["sync s", "sync t", "sync s"]
    assert outcomes(*pair(own, own, count=3)) == ("completes", "completes")


def test_a_sync_that_only_one_node_calls_again_depends_on_the_order() -> None:
    programs = pair(["sync s", "sync s"], ["sync s"])
    assert outcomes(*programs) == ("completes", "unknown")


def test_a_role_that_is_not_there_and_a_refused_wait_never_return() -> None:
    assert outcomes(*pair(["wait-all x nobody"], [])) == ("deadlocks", "deadlocks")
    assert outcomes(*pair(["send x"], [refused("wait x", "id")])) == ("deadlocks", "deadlocks")
    assert outcomes(*pair([refused("send x", "key")], ["wait x"])) == ("deadlocks", "deadlocks")


def test_the_background_is_joined_as_ever() -> None:
    assert outcomes(program("a", background("wait x"))) == ("completes", "completes")
    waiting = program("a", background("wait x"), join(), "send y")
    assert outcomes(waiting, program("b", "send x", "wait y")) == ("completes", "completes")
    assert outcomes(waiting, program("b", "wait y", "send x")) == ("deadlocks", "deadlocks")
    witness = prove((waiting, program("b", "wait y", "send x")), "lava").witness
    assert [each.call.written for each in witness] == ["lava-wait x", "lava-wait y"]


def test_what_nobody_knows_is_a_doubt_for_more_calls_can_do_harm() -> None:
    assert doubts(*pair(["send $"], [unseen("`./run.sh` is not there")])) == [
        "a:1 only the run knows the words of `lava-send …`",
        "b:1 `./run.sh` is not there",
    ]


def test_a_sync_in_a_loop_is_a_doubt_and_a_wait_is_not() -> None:
    assert doubts(program("a", loop("sync s"))) == [
        "a:2 only the run knows how often `lava-sync s` is called"
    ]
    assert outcomes(*pair([loop("wait x")], ["send x"])) == ("completes", "completes")


def test_more_nodes_than_are_explored_are_a_doubt_only_where_calls_race() -> None:
    racing = program("a", "wait-all x", "send x", "wait z", count=9)
    proof = prove((racing,), "lava")
    assert proof.outcome == "unknown"
    assert proof.doubts[0].reason.endswith("`a` has 9 nodes, of which few were tried")
    assert len(proof.run.parts) == 3


def passages(proof: Proof) -> list[tuple[int, str, int, int | None, tuple[int, ...]]]:
    return [
        (each.part, str(getattr(each.call, "id", "?")), each.began, each.ended, each.released_by)
        for each in proof.run.passages
    ]


def test_the_run_shows_every_node_and_an_order_that_gets_stuck() -> None:
    proof = prove(pair(["sync s", "sync s"], ["sync s", "sync s"]), "lava")
    assert [part.role for part in proof.run.parts] == ["a", "b"]
    ended = [ended for _, _, _, ended, _ in passages(proof)]
    assert ended.count(None) == 1


def test_a_wait_all_that_is_refused_comes_before_the_first_send_in_time() -> None:
    proof = prove(pair(["wait-all x", "wait y"], ["send x"]), "lava")
    assert passages(proof) == [(0, "x", 0, 0, ()), (1, "x", 0, 1, ()), (0, "y", 1, None, ())]


def test_a_run_that_nothing_races_in_has_the_times_of_the_documented_semantics() -> None:
    programs = pair(["send x", "sync s"], ["wait x", "sync s"])
    assert passages(prove(programs, "lava")) == passages(prove(programs))


def test_so_many_orders_that_not_all_are_tried_are_a_doubt() -> None:
    """A role that is stuck in every order, beside others that race in very many."""
    racing = [program(name, *["sync s"] * 6, count=3) for name in "abc"]
    programs = (*racing, program("d", *["sync s"] * 6, "wait z"))
    found = doubts(*programs)
    assert found
    assert all(each.endswith("more orders are possible than are tried") for each in found)
