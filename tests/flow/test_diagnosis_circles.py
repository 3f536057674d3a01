"""Waits that wait for each other, and conditions that decide whether a call returns."""

import pytest
from attrs import evolve
from tests.flow.builder import FILE, group, proof, proved

from callboard.events import Where
from callboard.flow.program import Word
from callboard.flow.proof import Doubt, Missing, Stuck


def test_a_circle_is_told_in_words_with_what_to_move() -> None:
    text = "server: wait a\nserver: send b\nclient: wait b\nclient: send a"
    assert group(text).said() == (
        "1 error CB164: `lava-wait a` of role `server` waits for ever: role `client` sends `a` "
        "only after its `lava-wait b` (line 3), and role `server` sends `b` only after this\n"
        "  move `lava-send b` (line 2) before it"
    )


def test_what_is_sent_before_it_is_waited_for_is_no_circle() -> None:
    assert group("server: send b\nserver: wait a\nclient: wait b\nclient: send a").found() == ()


def test_a_role_that_waits_for_what_it_sends_later_is_a_circle_of_its_own() -> None:
    assert group("a: wait-all x\na: send x\nb: send x").said() == (
        "1 error CB164: `lava-wait-all x` of role `a` waits for ever: "
        "role `a` sends `x` only after this\n"
        "  move `lava-send x` (line 2) before it"
    )


def test_syncs_in_another_order_are_a_circle() -> None:
    assert group("a: sync x\na: sync y\nb: sync y\nb: sync x").said() == (
        "1 error CB164: `lava-sync x` of role `a` waits for ever: role `b` calls `lava-sync x` "
        "only after its `lava-sync y` (line 3), and role `a` calls `lava-sync y` only after this\n"
        "  move `lava-sync y` (line 2) before it"
    )


def _ring(count: int) -> str:
    names = [f"r{number}" for number in range(count)]
    lines = [
        f"{name}: {step}"
        for name, following in zip(names, [*names[1:], names[0]], strict=True)
        for step in (f"wait of-{following}", f"send of-{name}")
    ]
    message, _ = group("\n".join(lines)).said().splitlines()
    return message


def test_a_long_circle_is_told_in_part() -> None:
    end = "(line 7), and so on through 5 more calls, and role `r0` sends `of-r0` only after this"
    assert _ring(9).endswith(end)


def test_a_circle_of_four_is_told_as_a_whole() -> None:
    assert _ring(4).endswith(
        "role `r2` sends `of-r2` only after its `lava-wait of-r3` (line 5), "
        "role `r3` sends `of-r3` only after its `lava-wait of-r0` (line 7), "
        "and role `r0` sends `of-r0` only after this"
    )


def test_of_two_that_could_send_the_first_is_told() -> None:
    text = "a: wait x\na: send y\nb: wait y\nb: send x\nc: wait y\nc: send x"
    [found] = group(text).found()
    assert "role `b` sends `x` only after its `lava-wait y` (line 3)" in found.message


def test_a_circle_goes_through_the_call_that_comes_right_before() -> None:
    case = group("a: wait x\na: send y\nb: & wait q\nb: wait y\nb: send x\nb: wait z")
    [first, last], [aside, second, send, _] = case.calls("a"), case.calls("b")
    stuck = (
        Stuck("a", first, (Missing("b", "later", send.where),)),
        Stuck("b", aside, (Missing(None, "never"),)),
        Stuck("b", second, (Missing("a", "later", last.where),)),
    )
    found = case.found(proof("deadlocks", *stuck))
    assert [(each.code, each.severity) for each in found] == [
        ("CB164", "error"),
        ("CB160", "error"),
        ("CB160", "warning"),
    ]


def test_a_circle_in_a_loop_is_told_with_the_turn_that_it_is_in() -> None:
    case = group("a: wait go1\na: send done1\nb: send go1\nb: wait done2\nb: send go2")
    wait, send = case.calls("a")
    turns = [
        evolve(call, id=Word.of(call_id))
        for turn in "12"
        for call, call_id in ((wait, f"go{turn}"), (send, f"done{turn}"))
    ]
    first, *_ = case.doing("a", *turns).said().splitlines()
    assert first == (
        "1 error CB164: `lava-wait go2` of role `a` waits for ever: role `b` sends `go2` only "
        "after its `lava-wait done2` (line 4), and role `a` sends `done2` only after this"
    )


def test_what_one_role_never_does_comes_before_what_another_does_later() -> None:
    case = group("a: wait-all x\na: send y\na, b: ? send x\nc: wait y\nc: send x")
    [waiting, last, _], [second, send] = case.calls("a"), case.calls("c")
    stuck = (
        Stuck("a", waiting, (Missing("b", "never"), Missing("c", "later", send.where))),
        Stuck("c", second, (Missing("a", "later", last.where),)),
    )
    assert case.said(proof("deadlocks", *stuck)) == (
        "1 error CB162: `lava-wait-all x` of role `a` waits for ever: "
        "role `b` sends `x` on some of its ways only (line 3)\n"
        "  let it be done on every way"
    )


def test_each_circle_is_told_once() -> None:
    first = "a: wait x\na: send y\nb: wait y\nb: send x"
    second = "c: wait p\nc: send q\nd: wait q\nd: send p"
    codes = [
        (each.code, each.place and each.place.line) for each in group(f"{first}\n{second}").found()
    ]
    assert codes == [("CB164", 1), ("CB164", 5)]


def test_who_waits_for_a_circle_is_not_told() -> None:
    text = "a: wait x\na: send y\nb: wait y\nb: send x\nc: wait x\nd: sync z\na, b, c: sync z"
    assert [each.code for each in group(text).found()] == ["CB164"]


def test_who_waits_for_a_stuck_call_is_not_told() -> None:
    text = "a: wait redy\na: send x\nb: send ready\nb: wait x\nb: sync y\na: sync y"
    assert [each.code for each in group(text).found()] == ["CB160"]


def test_who_waits_for_a_failing_send_is_not_told() -> None:
    text = "a: wait-all x gone\na: send y\nb: wait y"
    assert [each.code for each in group(text).found()] == ["CB167"]


def test_a_release_after_a_wait_for_the_released_is_too_late() -> None:
    text = "client: start server\nclient: send up\nserver: wait up\nserver: send lava_start"
    assert group(text).said() == (
        "3 error CB166: `lava-wait up` of role `server` waits for ever: role `client` sends `up` "
        "only after its delayed start, and role `server` releases role `client` only after this\n"
        "  move `lava-send lava_start` (line 4) before it"
    )


def test_a_late_release_is_told_from_who_has_to_release() -> None:
    text = """
    third: wait up
    third: send go
    client: start server
    client: send up
    server: wait go
    server: send lava_start
    """
    assert group(text).said() == (
        "5 error CB166: `lava-wait go` of role `server` waits for ever: role `third` sends `go` "
        "only after its `lava-wait up` (line 1), role `client` sends `up` only after its delayed "
        "start, and role `server` releases role `client` only after this\n"
        "  move `lava-send lava_start` (line 6) before it"
    )


def test_a_sync_before_the_release_is_too_late() -> None:
    text = "client: start server\nclient, third: sync up\nserver: sync up\nserver: release client"
    [found] = group(text).found()
    assert (found.code, found.place and found.place.line) == ("CB166", 3)
    assert found.hint == "move `lava-start client` (line 4) before it"


def test_a_release_in_time_is_not_told() -> None:
    text = "client: start server\nclient: send up\nserver: send lava_start\nserver: wait up"
    assert group(text).found() == ()


def test_a_circle_that_is_not_certain_is_a_warning_that_says_so() -> None:
    case = group("a: wait x\na: send y\nb: wait y\nb: send x\nb: ! unseen gone")
    unsure = proof("unknown", *proved(case.programs).stuck)
    message, *_ = case.said(unsure).splitlines()
    assert message.startswith("1 warning CB164: `lava-wait x` of role `a` may wait for ever: ")


@pytest.mark.parametrize(
    ("fork", "text"),
    [
        ("?", "`[ -e /x ]` of role `a` decides whether every call returns"),
        (
            "*",
            "`read x` of role `a` decides how often a loop runs, and so whether every call returns",
        ),
    ],
)
def test_a_condition_that_decides_is_told_with_who_gets_stuck(fork: str, text: str) -> None:
    case = group(f"a: {fork} send x\nb: wait x\nc: wait x")
    [send], [wait] = case.calls("a"), case.calls("b")
    unsure = proof(
        "unknown",
        Stuck("b", wait, (Missing(None, "never"),)),
        Stuck("c", case.calls("c")[0], (Missing(None, "never"),)),
        doubts=(Doubt("a", "it depends", send.where),),
    )
    assert case.said(unsure) == (
        f"1 warning CB179: {text}\n"
        "  on some way `lava-wait x` of role `b` (line 2) waits for ever; "
        "make the same calls on all of its ways, or none"
    )


def test_a_condition_is_not_to_blame_for_what_is_wrong_on_its_way() -> None:
    case = group("a: ? wait redy\nb: send ready")
    [wait] = case.calls("a")
    unsure = proof(
        "unknown",
        Stuck("a", wait, (Missing(None, "never"),)),
        doubts=(Doubt("a", "it depends", wait.where),),
    )
    assert [each.code for each in case.found(unsure)] == ["CB160"]


def test_a_circle_behind_a_condition_is_told_with_the_condition() -> None:
    case = group("a: wait x\na: ? send y\nb: wait y\nb: send x")
    [_, send] = case.calls("a")
    doubt = Doubt("a", "it depends", send.where)
    unsure = proof("unknown", *proved(case.programs).stuck, doubts=(doubt,))
    assert [each.code for each in case.found(unsure)] == ["CB179"]


def test_a_condition_that_is_beyond_the_bounds_of_the_proof_decides_nothing() -> None:
    case = group("a: ? sync x\nb: sync x")
    [sync] = case.calls("a")
    doubt = Doubt("a", "more ways lead on than are followed", sync.where, bound=True)
    assert case.said(proof("unknown", doubts=(doubt,))) == (
        "1 warning CB180: this place of role `a` is more than can be explored: "
        "more ways lead on than are followed"
    )


def test_a_doubt_at_any_other_place_is_told_with_its_reason() -> None:
    case = group("a: sync x\nb: sync x")
    [sync] = case.calls("a")
    unsure = proof("unknown", doubts=(Doubt("a", "there are 10,000 orders", sync.where),))
    assert case.said(unsure) == (
        "1 warning CB180: this place of role `a` is more than can be explored: "
        "there are 10,000 orders"
    )


def test_a_doubt_is_not_told_where_its_place_has_a_finding() -> None:
    case = group("a: wait %\na: ! unseen gone")
    [wait] = case.calls("a")
    gone = Doubt("a", "gone", Where(FILE, 2, 4, "! unseen gone"))
    unsure = proof("unknown", doubts=(Doubt("a", "it is unknown", wait.where), gone))
    assert [each.code for each in case.found(unsure)] == ["CB177", "CB178"]
