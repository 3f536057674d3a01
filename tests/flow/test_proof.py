"""The proof under the documented semantics, a rule each."""

import sys
from collections.abc import Callable, Iterable
from types import FrameType

from hypothesis import given
from tests.flow.groups import straight
from tests.flow.programs import (
    background,
    command,
    either,
    join,
    leave,
    loop,
    program,
    refused,
    scope,
    suite,
    unseen,
)

from callboard.flow.program import Item, Program
from callboard.flow.proof import Passage, Proof, prove


def outcome(*programs: Program) -> str:
    return prove(programs).outcome


def pair(
    one: Iterable[str | Item], other: Iterable[str | Item], *, count: int = 1
) -> tuple[Program, Program]:
    return program("a", *one), program("b", *other, count=count)


def doubts(*programs: Program) -> list[str]:
    return [f"{each.role}:{each.where.line} {each.reason}" for each in prove(programs).doubts]


# What calls add and need


def test_a_group_without_nodes_completes() -> None:
    assert prove((program("a", "wait x", count=0),)).outcome == "completes"
    assert prove(()).outcome == "completes"


def test_a_wait_returns_when_any_node_has_sent() -> None:
    assert outcome(*pair(["send x"], ["wait x"], count=3)) == "completes"


def test_a_wait_for_what_nobody_sends_never_returns() -> None:
    assert outcome(*pair(["send y"], ["wait x"])) == "deadlocks"


def test_a_node_can_wait_for_what_it_has_sent_itself() -> None:
    assert outcome(program("a", "send x", "wait x")) == "completes"
    assert outcome(program("a", "wait x", "send x", count=2)) == "deadlocks"


def test_a_wait_all_needs_every_node_the_asking_one_included() -> None:
    assert outcome(*pair(["send x"], ["wait-all x"])) == "deadlocks"
    assert outcome(*pair(["send x"], ["send x", "wait-all x"], count=2)) == "completes"


def test_a_wait_all_with_a_role_needs_only_that_role() -> None:
    assert outcome(*pair(["send x"], ["wait-all x a"])) == "completes"
    assert outcome(*pair(["send x"], ["wait-all x b"])) == "deadlocks"


def test_a_role_without_nodes_is_no_part_of_the_group_and_satisfies_nothing() -> None:
    nobody = program("c", "send x", count=0)
    assert outcome(*pair(["send x"], ["send x", "wait-all x"]), nobody) == "completes"
    assert outcome(*pair(["send x"], ["wait-all x c"]), nobody) == "deadlocks"
    assert outcome(*pair(["send x"], ["wait-all x nobody"])) == "deadlocks"


def test_a_sync_needs_every_node_and_is_passed_at_once_when_called_again() -> None:
    assert outcome(*pair(["sync s"], ["sync s", "sync s"])) == "completes"
    assert outcome(*pair(["sync s"], ["sync t"])) == "deadlocks"


def test_a_send_does_not_open_a_sync_of_the_same_id() -> None:
    assert outcome(*pair(["send x"], ["sync x"])) == "deadlocks"


def test_a_delayed_start_needs_a_message_or_its_own_role_released() -> None:
    assert outcome(*pair(["send lava_start"], ["start a"])) == "completes"
    assert outcome(*pair(["release b"], ["start a"])) == "completes"
    assert outcome(*pair(["release c"], ["start a"])) == "deadlocks"
    assert outcome(*pair(["start b", "send lava_start"], ["start a"])) == "deadlocks"


def test_a_release_of_certain_roles_is_no_message() -> None:
    assert outcome(*pair(["release b"], ["wait lava_start"])) == "deadlocks"


def test_a_refused_send_adds_nothing_and_a_refused_wait_never_returns() -> None:
    assert outcome(*pair([refused("send x", "key")], ["wait x"])) == "deadlocks"
    assert outcome(*pair(["send x"], [refused("wait x", "id")])) == "deadlocks"


def test_items_behind_a_left_scope_are_not_reached() -> None:
    assert outcome(*pair([scope(leave(), "send x")], ["wait x"])) == "deadlocks"


# The background


def test_what_runs_in_the_background_goes_on_while_its_node_waits() -> None:
    aside = background("wait y", "send x")
    assert outcome(*pair([aside, "wait x"], ["send y"])) == "completes"


def test_a_call_in_the_background_blocks_its_node_only_when_it_is_joined() -> None:
    assert outcome(program("a", background("wait x"))) == "completes"
    assert outcome(program("a", background("wait x"), join())) == "deadlocks"


def test_what_ends_in_the_background_does_not_release_its_node() -> None:
    own = background("send x")
    assert outcome(*pair([own, "wait y", "wait z"], ["wait x", "send x", "send y"])) == "deadlocks"
    other = suite("0_a", background("wait x"))
    joining = suite("1_b", background("wait y"), join())
    programs = pair([other, joining, "send z"], ["send x", "wait z"])
    assert outcome(*programs) == "deadlocks"
    assert {each.call.written for each in prove(programs).stuck} == {"lava-wait y", "lava-wait z"}


def test_a_join_waits_for_the_background_of_its_own_test_only() -> None:
    waiting = suite("0_a", background("wait x"))
    assert outcome(program("a", waiting, suite("1_b", background("send y"), join()))) == "completes"
    assert outcome(program("a", suite("0_a", background("wait x"), scope(join())))) == "deadlocks"


def test_a_join_in_the_background_waits_for_its_own_background_only() -> None:
    assert outcome(program("a", background("send x", join()), join())) == "completes"


# What nobody knows


def test_a_gap_in_a_send_matters_only_where_it_may_be_what_a_stuck_call_needs() -> None:
    assert doubts(*pair(["send x-$"], ["wait x-1"])) == [
        "a:1 only the run knows which message `lava-send x-…` sends"
    ]
    assert outcome(*pair(["send x-$"], ["wait y"])) == "deadlocks"
    assert outcome(*pair(["send x-$", "send x-1"], ["wait x-1"])) == "completes"


def test_a_gap_in_a_send_may_start_a_delayed_role() -> None:
    assert doubts(*pair(["send lava_$"], ["start a"])) == [
        "a:1 only the run knows which message `lava-send lava_…` sends"
    ]


def test_a_gap_in_a_wait_is_a_doubt_unless_the_group_is_stuck_anyway() -> None:
    assert doubts(*pair(["send x"], ["wait $"])) == [
        "b:1 only the run knows what `lava-wait …` waits for"
    ]
    assert doubts(*pair(["send x"], ["wait-all x $"])) == [
        "b:1 only the run knows what `lava-wait-all x …` waits for"
    ]
    assert outcome(*pair(["wait y"], ["wait $"])) == "deadlocks"


def test_a_gap_in_a_sync_may_be_any_sync() -> None:
    assert outcome(*pair(["sync s-1"], ["sync s-$"])) == "unknown"
    assert outcome(*pair(["sync t"], ["sync s-$"])) == "deadlocks"


def test_what_nobody_can_read_may_have_made_any_call_and_may_never_end() -> None:
    places = pair(["wait x"], [unseen("`./run.sh` is not there")])
    assert doubts(*places) == ["b:1 `./run.sh` is not there"]
    assert outcome(*pair([], [unseen()])) == "unknown"
    assert outcome(*pair(["wait x"], ["wait y", unseen()])) == "deadlocks"


def test_the_run_of_a_group_with_doubts_takes_for_done_what_may_be_done() -> None:
    proof = prove(pair(["send x-$"], ["wait x-1"]))
    assert [passage.ended for passage in proof.run.passages] == [0, 0]
    assert (proof.stuck, proof.witness) == ((), ())


# Choices


def test_a_choice_that_does_not_matter_leaves_no_doubt() -> None:
    assert outcome(*pair([either(["send y"], []), "send x"], ["wait x"])) == "completes"
    assert outcome(*pair([either(["send y"], [])], ["wait x"])) == "deadlocks"


def test_a_choice_that_matters_is_a_doubt_and_the_run_is_one_that_gets_stuck() -> None:
    choices = [either(["send y"], [], condition="a"), either(["send x"], [], condition="b")]
    proof = prove(pair(choices, ["wait x"]))
    assert proof.outcome == "unknown"
    assert doubts(*pair(choices, ["wait x"])) == ["a:3 it depends on `b`"]
    assert [each.call.written for each in proof.witness] == ["lava-wait x"]
    (part, _) = proof.run.parts
    assert [(choice.condition, number) for choice, number in part.taken] == [("a", 0), ("b", 1)]


def test_nodes_of_a_role_may_choose_differently() -> None:
    own = [either(["send x", "wait y"], ["send y", "wait x"])]
    assert outcome(program("a", *own)) == "deadlocks"
    assert outcome(program("a", *own, count=2)) == "unknown"


def test_roles_that_choose_alike_are_tried_together() -> None:
    ready = either(["send x"], ["send y"])
    assert outcome(*pair([ready, either(["send x"], ["send y"])], ["wait x"])) == "unknown"
    fixed = either(["send x", "send y"], ["send y", "send x"])
    assert outcome(*pair([fixed], ["wait x", "wait y"])) == "completes"


def test_a_loop_that_may_never_run_is_a_doubt_where_its_call_is_needed() -> None:
    assert doubts(*pair([loop("send x", condition="read i")], ["wait x"])) == [
        "a:1 it depends on `read i`"
    ]


def test_the_turns_of_a_loop_may_differ() -> None:
    turns = loop(either(["send x"], ["send y"]))
    assert outcome(*pair([turns], ["wait x", "wait y"])) == "unknown"


def test_so_many_choices_that_not_all_are_tried_are_a_doubt() -> None:
    many = [either([f"send x{n}"], [f"send y{n}"]) for n in range(4)]
    waits = [either([f"wait x{n}"], [f"wait y{n}"]) for n in range(4)]
    roles = [program(name, *many, *waits) for name in "abcdef"]
    proof = prove(tuple(roles))
    assert proof.outcome == "unknown"
    assert proof.doubts
    more = prove((program("a", *[either([f"send x{n}"], []) for n in range(30)]),))
    assert [each.reason for each in more.doubts] == [
        "more ways lead on from here than are followed"
    ]


def test_many_choices_that_do_not_matter_need_not_be_tried() -> None:
    roles = [
        program(name, *[either([f"send {name}{n}"], []) for n in range(5)], "sync s", count=9)
        for name in "abcdefgh"
    ]
    assert outcome(*roles) == "completes"
    own = [program(name, either([f"send {name}", f"wait {name}"], [])) for name in "abcdefghijkl"]
    assert outcome(*own) == "completes"


def test_ordinary_commands_are_passed() -> None:
    assert outcome(program("a", command("reboot"))) == "completes"


# The run in logical time


def timed(proof: Proof) -> list[tuple[int, str, int, int | None, tuple[int, ...]]]:
    return [
        (each.part, str(getattr(each.call, "id", "?")), each.began, each.ended, each.released_by)
        for each in proof.run.passages
    ]


def test_a_call_takes_a_step_and_a_blocked_one_ends_with_the_call_that_releases_it() -> None:
    proof = prove(pair(["send x", "send y", "send z"], ["wait z", "wait y"]))
    assert timed(proof) == [
        (0, "x", 0, 0, ()),
        (1, "z", 0, 2, (3,)),
        (0, "y", 1, 1, ()),
        (0, "z", 2, 2, ()),
        (1, "y", 3, 3, (2,)),
    ]


def test_a_wait_is_released_by_the_first_send_and_a_sync_by_all_others() -> None:
    programs = (
        program("a", "send x", "sync s"),
        program("b", "sync s"),
        program("c", "send x", "wait x", "sync s"),
    )
    assert timed(prove(programs)) == [
        (0, "x", 0, 0, ()),
        (1, "s", 0, 2, (3, 5)),
        (2, "x", 0, 0, ()),
        (0, "s", 1, 2, (1, 5)),
        (2, "x", 1, 1, (0,)),
        (2, "s", 2, 2, (1, 3)),
    ]


def test_a_call_that_never_returns_has_no_end() -> None:
    assert timed(prove((program("a", "send y", "wait x"),)))[1:] == [(0, "x", 1, None, ())]


def test_a_thread_in_the_background_has_a_number_of_its_own() -> None:
    proof = prove((program("a", background("send x"), background("send y"), "send z"),))
    assert sorted((each.thread, each.began) for each in proof.run.passages) == [
        (0, 0),
        (1, 0),
        (2, 0),
    ]


@given(straight())
def test_a_run_is_in_order_and_every_call_ends_with_the_last_that_it_needed(
    programs: tuple[Program, ...],
) -> None:
    in_order(prove(programs))


def in_order(proof: Proof) -> None:
    passages = proof.run.passages
    assert list(passages) == sorted(passages, key=lambda each: (each.began, each.part))
    last: dict[int, Passage] = {}
    for each in passages:
        before = last.get(each.part)
        assert each.began == (0 if before is None else (before.ended or 0) + 1)
        last[each.part] = each
        releasers = [passages[number].began for number in each.released_by]
        assert each.ended in (None, max([each.began, *releasers]))


# Speed


def twenty_roles(calls: int, count: int) -> tuple[Program, ...]:
    """Sends, waits and syncs in turn."""
    return tuple(
        program(f"r{role}", *[line(role, number) for number in range(calls)], count=count)
        for role in range(20)
    )


def line(role: int, number: int) -> str:
    if number % 3 == 0:
        return f"send m{number}.{role}"
    return f"wait m{number - 1}.{(role + 1) % 20}" if number % 3 == 1 else f"sync s{number}"


TraceFunction = Callable[[FrameType, str, object], "TraceFunction"]


def lines_run(programs: tuple[Program, ...]) -> int:
    """How many lines of the proof's own code a proof runs."""
    lines = 0

    def count(frame: FrameType, event: str, _arg: object) -> TraceFunction:
        nonlocal lines
        # Others run lines meanwhile, too: importers, and what is told of collected garbage.
        lines += event == "line" and "flow/proof" in frame.f_code.co_filename
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        proof = prove(programs)
    finally:
        sys.settrace(before)
    assert proof.outcome == "completes"
    return lines


def test_twice_the_calls_cost_twice_as_much() -> None:
    assert lines_run(twenty_roles(40, 2)) < 2.1 * lines_run(twenty_roles(20, 2))


def test_the_number_of_nodes_costs_nothing() -> None:
    assert lines_run(twenty_roles(20, 1_000_000)) == lines_run(twenty_roles(20, 2))
    assert prove(twenty_roles(20, 1_000_000)).run == prove(twenty_roles(20, 2)).run
