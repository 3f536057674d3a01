"""The ways through a program."""

import pytest
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

from callboard.flow.program import Call, Item
from callboard.flow.proof.ways import MOST_WAYS, Fork, Gather, Step, ways


def written(steps: tuple[Step, ...]) -> str:
    return " ".join(map(one, steps))


def one(step: Step) -> str:
    match step:
        case Call():
            return step.written.removeprefix("lava-").replace(" ", "-")
        case Fork(steps=steps):
            return f"&({written(steps)})"
        case Gather(test=test):
            return f"gather-{test}" if test else "gather"
        case _:
            return "?"


def found(*lines: str | Item) -> list[str]:
    return [written(way.steps) for way in ways(program("a", *lines)).ways]


def test_a_choice_makes_a_way_each() -> None:
    assert found("send x", either(["wait y"], ["wait z"]), "sync s") == [
        "send-x wait-y sync-s",
        "send-x wait-z sync-s",
    ]


def test_choices_between_the_same_calls_make_one_way_and_are_not_taken() -> None:
    own = program("a", either([command("a")], [command("b")]), either(["send x"], ["send x"]))
    (way,) = ways(own).ways
    assert (written(way.steps), way.taken) == ("send-x", ())


def test_calls_with_other_roles_or_of_which_one_is_refused_are_not_the_same() -> None:
    assert len(found(either(["wait-all x"], ["wait-all x a"]))) == 2
    assert len(found(either(["release a"], ["release b"]))) == 2
    assert len(found(either(["send x"], [refused("send x", "key")]))) == 2


def test_a_way_knows_which_choices_it_took() -> None:
    outer = either([either(["send x"], ["send y"], condition="inner")], [], condition="outer")
    taken = [
        [(choice.condition, number) for choice, number in way.taken]
        for way in ways(program("a", outer)).ways
    ]
    assert taken == [[("outer", 0), ("inner", 0)], [("outer", 0), ("inner", 1)], [("outer", 1)]]


def test_forty_choices_that_guard_no_call_are_one_way() -> None:
    assert found(*[either([command("a")], [leave()]) for _ in range(40)]) == [""]


def test_a_loop_is_left_at_once_or_after_its_turn() -> None:
    assert found(loop("send x"), "sync s") == ["send-x sync-s", "sync-s"]


def test_a_loop_whose_turns_differ_is_left_after_any_of_their_sequences() -> None:
    assert set(found(loop(either(["send x"], ["send y"])))) == {
        "",
        "send-x",
        "send-y",
        "send-x send-y",
        "send-y send-x",
    }


def test_a_loop_appears_as_a_choice_between_its_body_and_nothing() -> None:
    once, never = ways(program("a", loop("send x", condition="read x"))).ways
    assert [(choice.condition, n) for choice, n in once.taken] == [("read x", 0)]
    assert [(choice.condition, n) for choice, n in never.taken] == [("read x", 1)]


def test_a_turn_that_breaks_out_of_the_loop_is_the_last() -> None:
    turn = scope("send x", either([leave(2)], []))
    assert found(scope(loop(turn), "send behind"), "sync s") == [
        "send-x send-behind sync-s",
        "send-behind sync-s",
        "send-x sync-s",
    ]


def test_a_turn_makes_no_call_again_that_a_turn_before_has_made() -> None:
    assert set(found(loop("send x", either(["wait y"], ["wait z"])))) == {
        "",
        "send-x wait-y",
        "send-x wait-z",
        "send-x wait-y wait-z",
        "send-x wait-z wait-y",
    }


def test_leaving_goes_on_behind_the_scope() -> None:
    assert found(scope("send x", leave(), "send lost"), "send y") == ["send-x send-y"]


def test_leaving_two_scopes_skips_what_follows_the_inner() -> None:
    assert found(scope(scope(leave(2)), "send lost"), "send y") == ["send-y"]


def test_leaving_more_scopes_than_there_are_ends_the_program() -> None:
    assert found(scope(leave(9)), "send lost") == [""]


def test_what_runs_in_the_background_can_only_leave_itself() -> None:
    assert found(background("send x", leave(3), "send lost"), "send y") == ["&(send-x) send-y"]


def test_a_choice_in_the_background_makes_a_way_each() -> None:
    assert found(background(either(["send x"], []))) == ["&(send-x)", ""]


def test_a_join_gathers_the_background_of_its_test() -> None:
    assert found(suite("0_a", background("send x"), join()), join()) == [
        "&(send-x) gather-0_a gather"
    ]


def test_what_nobody_can_read_is_a_step() -> None:
    assert found("send x", unseen()) == ["send-x ?"]


@pytest.mark.parametrize("choices", [9, 500])
def test_of_too_many_ways_some_are_followed_and_it_is_said_that_there_are_more(
    choices: int,
) -> None:
    every = ways(program("a", *[either([f"send x{n}"], []) for n in range(choices)]))
    assert not every.all
    assert 0 < len(every.ways) <= MOST_WAYS


def test_a_program_as_long_as_one_likes_has_one_way() -> None:
    every = ways(program("a", *["send x"] * 30_000))
    assert (len(every.ways), every.all) == (1, True)
