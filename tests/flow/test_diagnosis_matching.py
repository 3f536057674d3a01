"""Calls and their counterparts: what is waited for and never done, and done but not awaited."""

import pytest
from tests.flow.builder import changed, group, proof

from callboard.flow.program import Loop
from callboard.flow.proof import Missing, Stuck


def test_a_misspelt_id_is_told_with_where_and_what_was_meant() -> None:
    said = group("server: wait redy\nclient: send ready").said()
    assert said == (
        "1 error CB160: `lava-wait redy` of role `server` waits for a message "
        "that no role ever sends\n"
        "  did you mean `ready`? role `client` sends it (line 2)"
    )


def test_a_misspelt_id_is_shown_in_its_line() -> None:
    [found] = group("server: wait redy\nclient: send ready").found()
    assert str(found.place) == "group.yaml:1:9"
    assert found.source == "server: wait redy"
    assert found.role == "server"


def test_a_misspelt_send_is_told_once_and_not_as_unawaited_too() -> None:
    text = "server: send redy\nclient, third: wait ready"
    assert group(text).said() == (
        "2 error CB160: `lava-wait ready` of roles `client` and `third` waits for a message "
        "that no role ever sends\n"
        "  did you mean `redy`? role `server` sends it (line 1)"
    )


def test_a_message_that_is_awaited_by_others_is_meant_only_if_no_other_is() -> None:
    text = "a: wait step1\na: wait step2\nb: send step1\nb: send stap2"
    assert "did you mean `stap2`?" in group(text).said()
    assert "did you mean `step1`?" in group("a: wait step1\na: wait step2\nb: send step1").said()


def test_all_waits_for_one_id_are_one_problem_at_the_first() -> None:
    text = "\n".join(f"{role}: wait x" for role in "abcdef")
    assert group(text).said() == (
        "1 error CB160: `lava-wait x` of role `a` waits for a message that no role ever sends "
        "(also line 2, line 3, line 4 and 2 more)\n"
        "  add `lava-send x` to the role that should send it"
    )


def test_who_should_send_is_known_from_a_wait_all() -> None:
    assert "add `lava-send x` to role `b`" in group("a: wait-all x b\nb: send y\na: wait y").said()


def test_a_role_without_nodes_sends_nothing() -> None:
    assert group("a: wait x\nb: send x", counts={"b": 0}).said() == (
        "1 error CB160: `lava-wait x` of role `a` waits for a message that no role ever sends\n"
        "  role `b` sends it, but has no nodes (`count: 0`)"
    )


def test_a_role_without_nodes_is_told_only_if_it_would_send_it() -> None:
    [found] = group("a: wait x\nb: send y\nb: wait x", counts={"b": 0}).found()
    assert found.hint == "add `lava-send x` to the role that should send it"


def test_a_role_without_nodes_waits_for_nothing() -> None:
    text = "a: wait x\nb: send y\nb: sync z"
    assert group(text, counts={"a": 0, "b": 0}).found() == ()


@pytest.mark.parametrize("way", ["", "? ", "* ", "& "])
def test_a_message_is_sent_on_whatever_way_it_is(way: str) -> None:
    unsure = proof("unknown")
    assert "CB160" not in group(f"a: wait x\nb: {way}send x").said(unsure)


def test_a_send_that_may_be_meant_makes_it_a_warning_that_says_so() -> None:
    said = group("a: wait x-1\nb: send x-%").said(proof("unknown"))
    assert said == (
        "1 warning CB160: `lava-wait x-1` of role `a` waits for a message that no role sends, "
        "unless `lava-send x-…` of role `b` does (line 2)\n"
        "  add `lava-send x-1` to the role that should send it\n"
        "2 warning CB177: `lava-send x-…` of role `b` has an ID that only the run knows\n"
        "  written out, its counterpart can be found before the run"
    )


def test_a_send_that_can_not_be_meant_does_not_soften_it() -> None:
    assert "that no role ever sends" in group("a: wait y\nb: send x-%").said()


def test_what_nobody_can_read_may_send_anything() -> None:
    said = group("a: wait x\na: sync y\nb: ! unseen `./run` is not there").said(proof("unknown"))
    assert said.splitlines()[0].startswith("3 warning CB178")
    assert len(said.splitlines()) == 2


def test_a_slip_is_told_even_if_not_everything_can_be_read() -> None:
    text = "a: wait ready\nb: send redy\nb: ! unseen `./run` is not there"
    first, hint, *_ = group(text).said(proof("unknown")).splitlines()
    assert first.endswith("waits for a message that no role sends, as far as can be read")
    assert hint == "  did you mean `redy`? role `b` sends it (line 2)"


def test_a_release_of_some_roles_is_no_message() -> None:
    text = "a: wait lava_start\nb: release a"
    assert "CB160" in group(text).said()
    assert group("a: wait lava_start\nb: send lava_start").found() == ()


def test_a_message_that_nobody_awaits_is_a_warning() -> None:
    assert group("a: send x\nb: sync y\na: sync y\na: send x").said() == (
        "1 warning CB161: `lava-send x` of role `a` sends a message that nobody waits for "
        "(also line 4)\n"
        "  remove it, or wait for it with `lava-wait x`"
    )


def test_a_message_that_only_a_role_without_nodes_awaits_says_so() -> None:
    assert group("a: send x\nb: wait x", counts={"b": 0}).said() == (
        "1 warning CB161: `lava-send x` of role `a` sends a message that nobody waits for\n"
        "  role `b` waits for it, but has no nodes (`count: 0`)"
    )


def test_a_wait_that_is_not_heard_may_be_for_any_message() -> None:
    case = group("a: send x\nb: ! console reason")
    assert [each.code for each in case.found(proof("unknown"))] == ["CB172"]


def test_a_message_that_nobody_awaits_may_be_meant_to_be_another() -> None:
    text = "a: send redy\nb: send ready\na: wait ready"
    assert "did you mean `ready`? role `a` waits for it (line 3)" in group(text).said()


@pytest.mark.parametrize(
    "text",
    ["a: send x\na: wait-all x a\nb: wait x", "a: send x-1\nb: wait x-%", "a: send lava_start"],
)
def test_a_message_is_awaited_if_somebody_may_wait_for_it(text: str) -> None:
    assert "CB161" not in group(text).said(proof("completes"))


def test_a_wait_all_names_the_role_that_never_sends() -> None:
    assert group("server: wait-all x\nserver: send y\nclient: send x\nclient: wait y").said() == (
        "1 error CB162: `lava-wait-all x` of role `server` needs it from every node, "
        "but role `server` never sends it\n"
        "  add `lava-send x` to role `server`, or write `lava-wait-all x client`, "
        "for only role `client` sends it"
    )


def test_a_wait_all_of_several_senders_has_no_role_to_suggest() -> None:
    text = "a: wait-all x\nb: send x\nc: send x"
    assert group(text).said().splitlines()[1] == "  add `lava-send x` to role `a`"


def test_a_wait_all_of_a_role_names_what_it_sends_instead() -> None:
    assert group("a: wait-all ready b\na: send ready\nb: send redy\nb: wait ready").said() == (
        "1 error CB162: `lava-wait-all ready b` of role `a` needs it from role `b`, "
        "which never sends it\n"
        "  did you mean `redy`? role `b` sends it (line 3)"
    )


def test_a_wait_all_is_satisfied_by_all_that_it_names() -> None:
    assert group("a: send x\na: wait-all x\nb: send x").found() == ()
    assert group("a: wait-all x b\nb: send x").found() == ()


def test_a_wait_all_blames_none_that_may_send() -> None:
    text = "a: wait-all x\na: send %\nb: send %\nb: send x\nc: send y\na: wait y"
    assert "but role `c` never sends it\n" in group(text).said(proof("unknown"))
    text = "a: wait-all x\nb: send %\na: send x"
    first, *_ = group(text).said(proof("unknown")).splitlines()
    assert first.endswith(
        "but role `b` never sends it, unless `lava-send …` of role `b` does (line 2)"
    )


def test_a_sync_names_the_roles_that_never_call_it() -> None:
    assert group("a: sync x\nb: wait y\nc: send y\nd: sync x").said() == (
        "1 error CB163: `lava-sync x` of role `a` needs every node, "
        "but roles `b` and `c` never call it (also line 4)\n"
        "  add `lava-sync x` to roles `b` and `c`; if only some roles have to meet, use messages"
    )


def test_two_spellings_of_a_sync_are_one_problem_at_the_rarer_one() -> None:
    assert group("a: sync done\nb: sync don\nc: sync done").said() == (
        "2 error CB163: `lava-sync don` of role `b` needs every node, "
        "but roles `a` and `c` never call it\n"
        "  did you mean `done`? roles `a` and `c` call it (line 1)"
    )


@pytest.mark.parametrize("way", ["", "? ", "* ", "& "])
def test_a_sync_is_called_on_whatever_way_it_is(way: str) -> None:
    assert "CB163" not in group(f"a: sync x\nb: {way}sync x").said(proof("unknown"))


def test_a_message_is_no_sync() -> None:
    assert "CB163" in group("a: sync x\nb: send x").said()


def test_a_start_that_nobody_releases_is_told_with_who_should() -> None:
    assert group("a: start b\nb: sync x\na: sync x").said().splitlines()[:2] == [
        "1 error CB165: the start of role `a` is never released: role `b` never sends `lava_start`",
        "  add `lava-send lava_start` to role `b`",
    ]


def test_a_misspelt_release_is_told_once() -> None:
    assert group("a: start b\nb: send lava-start").said() == (
        "1 error CB165: the start of role `a` is never released: "
        "role `b` never sends `lava_start`\n"
        "  did you mean `lava-start`? role `b` sends it (line 2)"
    )


def test_a_start_is_not_released_by_another_role() -> None:
    assert group("a: start b\nb: sync x\na: sync x\nc: send lava_start\nc: sync x").said() == (
        "1 error CB165: the start of role `a` is never released: "
        "role `b` never sends `lava_start`\n"
        "  role `c` sends it (line 4), but `expect_role` is `b`"
    )


def test_a_start_is_not_released_by_a_call_for_others() -> None:
    said = group("a: start b\nb: release c\nc: start b").said()
    assert said.splitlines()[1] == "  `lava-start c` (line 2) releases others only"


@pytest.mark.parametrize("released", ["send lava_start", "release a", "release c a", "? release a"])
def test_a_start_is_released_by_its_role(released: str) -> None:
    text = f"a: start b\nb: {released}\nc: start b"
    assert "start of role `a`" not in group(text).said(proof("unknown"))


def test_a_wait_for_a_role_that_is_not_there_fails_for_certain() -> None:
    text = "a: wait-all x clint\nclient: send x"
    assert group(text).said() == (
        "1 error CB167: `lava-wait-all x clint` of role `a` fails: there is no role `clint`\n"
        "  did you mean `client`?"
    )
    refused = changed(refused="role", reason="there is no role `clint`")
    assert group(text.replace("wait-all", "~ wait-all"), refused).said() == group(text).said()


def test_a_wait_for_a_role_without_nodes_fails_for_certain() -> None:
    assert group("a: wait-all x b\nb: send x", counts={"b": 0}).said(proof("completes")) == (
        "1 error CB167: `lava-wait-all x b` of role `a` fails: role `b` has no nodes\n"
        "  give `b` a `count`, or remove the call"
    )


def test_a_failing_wait_is_no_error_where_nobody_may_come_to_it() -> None:
    [found] = group("a: ? wait-all x foo\nb: sync y\na: sync y").found(proof("unknown"))
    assert (found.code, found.severity) == ("CB167", "warning")
    assert found.hint == "the roles are `a` and `b`"


def test_an_id_that_only_the_run_knows_is_compared_with_none() -> None:
    said = group("a: wait %\nb: send x\nb: wait-all x %").said(proof("unknown"))
    assert said == (
        "1 warning CB177: `lava-wait …` of role `a` has an ID that only the run knows\n"
        "  written out, its counterpart can be found before the run\n"
        "3 warning CB177: `lava-wait-all x …` of role `b` waits for a role "
        "that only the run knows\n"
        "  written out, its counterpart can be found before the run"
    )


def test_a_call_that_gets_stuck_on_one_way_only_is_told_with_the_other() -> None:
    case = group("a: ? send x\nb: wait x")
    [waiting] = case.calls("b")
    assert case.said(proof("deadlocks", Stuck("b", waiting, ()))) == (
        "2 error CB160: `lava-wait x` of role `b` waits for ever: "
        "role `a` sends `x` on some of its ways only (line 1)\n"
        "  let it be done on every way"
    )


def test_a_call_that_gets_stuck_for_a_failing_one_is_told_with_that() -> None:
    refused = changed(refused="id", reason="the sync ID is bad")
    case = group("a: sync x\nb: ~ sync x", refused)
    case = case.doing("b", Loop("read x", case.calls("b")[0].where, tuple(case.calls("b"))))
    [waiting] = case.calls("a")
    found = case.found(proof("deadlocks", Stuck("a", waiting, (Missing("b", "never"),))))
    assert [(each.code, each.severity) for each in found] == [
        ("CB170", "error"),
        ("CB175", "warning"),
    ]


def test_a_call_that_gets_stuck_beside_what_can_not_be_read_is_told() -> None:
    case = group("a: wait x\nb: ! unseen gone")
    [waiting] = case.calls("a")
    stuck = Stuck("a", waiting, (Missing(None, "never"),))
    assert case.said(proof("deadlocks", stuck)).startswith(
        "1 error CB160: `lava-wait x` of role `a` waits for ever: "
        "on the ways that lead there, no role sends `x`\n"
    )
