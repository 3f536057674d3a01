"""What is wrong with a single place, whatever its counterpart does."""

import re
from typing import Any

import pytest
from attrs import evolve
from tests.definition.slips import GOOD
from tests.flow.builder import Group, changed, group, proof

from callboard.definition import Definition, read_text
from callboard.flow.program import (
    Background,
    Choice,
    Command,
    Leave,
    Loop,
    Obscurity,
    Program,
    Scope,
)
from callboard.flow.proof import Missing, Stuck

BAD_KEY = changed(refused="key", reason="the key `a-b` may only have letters, digits and `_`")
BAD_ID = changed(refused="id", reason="the message ID `x` has white space")


def test_a_bad_key_fails_and_is_told_with_a_better_one() -> None:
    assert group("a: ~ send x a-b=1\nb: wait x", BAD_KEY).said() == (
        "1 error CB169: `lava-send x` of role `a` fails: "
        "the key `a-b` may only have letters, digits and `_`\n"
        "  write `a_b=…`; keys have letters, digits and `_`"
    )


def test_a_key_apart_from_its_value_is_told_with_how_to_write_it() -> None:
    bad = changed(refused="key", reason="the word `=` has no key before its `=`")
    *_, hint = group("a: ~ send x =\nb: wait x", bad).said().splitlines()
    assert hint == "  write `KEY=VALUE` as one word, without spaces around the `=`"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("lava-sent", "lava-send"),
        ("lava-waitall", "lava-wait-all"),
        ("lava_wait", "lava-wait"),
        ("lava-snyc", "lava-sync"),
    ],
)
def test_a_misspelt_helper_is_told_with_what_was_meant(name: str, meant: str) -> None:
    case = group("a: send x\nb: send y\nb: wait x\na: wait y")
    where = case.calls("a")[0].where
    [found] = case.doing("a", Command(f"{name} x", where), *case.calls("a")).found()
    assert found.message == f"`{name}` of role `a` is no helper of LAVA, so it makes no call"
    assert (found.code, found.severity, found.hint) == (
        "CB184",
        "warning",
        f"did you mean `{meant}`?",
    )


@pytest.mark.parametrize("text", ["lava-self", "lava-test-set stop", "lava-frobnicate", "sync", ""])
def test_what_is_no_misspelt_call_is_not_told(text: str) -> None:
    case = group("a: send x\nb: wait x")
    where = case.calls("a")[0].where
    assert case.doing("a", Command(text, where), *case.calls("a")).found() == ()


def test_a_good_key_is_not_told() -> None:
    assert group("a: send x a_b=1\nb: wait x").found() == ()


def test_a_bad_id_fails() -> None:
    assert group("a: ~ wait x\nb: send x", BAD_ID).said() == (
        "1 error CB170: `lava-wait x` of role `a` fails: the message ID `x` has white space\n"
        "  an ID is one word, without white space, `>` or `=`"
    )


def test_a_bad_call_is_one_problem_whoever_waits_for_it() -> None:
    for text in ("a: ~ send x a-b=1\nb: wait x", "a: ~ send x a-b=1\nb: send y\na: wait y"):
        [found] = group(text, BAD_KEY).found()
        assert (found.code, found.severity) == ("CB169", "error")


def test_a_bad_call_of_several_roles_is_an_error_if_one_surely_comes_to_it() -> None:
    case = group("a, b: ~ send x a-b=1", BAD_KEY)
    [bad] = case.calls("a")
    unsure = Choice("[ -e /x ]", bad.where, ((bad,), ()))
    for role in "ab":
        [found] = case.doing(role, unsure).found(proof("unknown"))
        assert found.severity == "error"
        assert "of roles `a` and `b` fails" in found.message


def test_a_bad_call_is_a_warning_where_nodes_may_not_come_to_it() -> None:
    case = group("a: ~ send x\nb: wait x", BAD_KEY)
    [bad] = case.calls("a")
    leaving = Choice("[ -e /x ]", bad.where, ((Leave(1, bad.where),), ()))
    for items, severity in (
        ([Choice("[ -e /x ]", bad.where, ((bad,), ()))], "warning"),
        ([Loop("read x", bad.where, (bad,))], "warning"),
        ([leaving, bad], "warning"),
        ([Loop("read x", bad.where, (Leave(1, bad.where),)), bad], "warning"),
        ([Scope("f", (leaving,)), bad], "error"),
        ([Background((bad,), bad.where)], "error"),
    ):
        [found] = case.doing("a", *items).found(proof("unknown"))
        assert (found.code, found.severity) == ("CB169", severity)


@pytest.mark.parametrize(
    ("obscurity", "severity"),
    [
        ("unseen", "error"),
        ("console", "error"),
        ("unparsed", "warning"),
        ("bound", "warning"),
        ("endless", "warning"),
    ],
)
def test_a_bad_call_is_a_warning_after_what_may_keep_nodes_from_it(
    obscurity: Obscurity, severity: str
) -> None:
    found = group(f"a: ! {obscurity} reason\na: ~ send x a-b=1", BAD_KEY).found(proof("unknown"))
    assert [each.severity for each in found if each.code == "CB169"] == [severity]


def test_a_bad_call_is_a_warning_after_another_in_its_test() -> None:
    case = group("a: ~ send x a-b=1\na: ~ send y a-b=1", BAD_KEY)
    assert [each.severity for each in case.found()] == ["error", "warning"]
    tests = [Scope("test", (Scope("f", (each,)),), test=True) for each in case.calls("a")]
    programs = (Program("a", 1, (Scope("a", tuple(tests)),)),)
    assert [each.severity for each in evolve(case, programs=programs).found()] == ["error"] * 2


def test_what_stands_behind_an_exit_is_never_called() -> None:
    case = group("a: send x\nb: wait x")
    [send] = case.calls("a")
    case = case.doing("a", Leave(1, send.where), send)
    assert [each.code for each in case.found(proof("unknown"))] == ["CB160"]


def test_a_call_in_a_test_case_is_told() -> None:
    inside = changed(inside="lava-test-case")
    assert group("a: ~ wait x\nb: send x", inside).said() == (
        "1 warning CB171: `lava-wait x` of role `a` stands inside `lava-test-case`, "
        "so its failure would not end the definition\n"
        "  write it as a step of its own"
    )


UNREAD: list[tuple[Obscurity, str, str]] = [
    (
        "console",
        "CB172: reason",
        "call it in the foreground, without a pipe, a redirection, `$( )` or `timeout` around it",
    ),
    ("unparsed", "CB176: reason, so its calls are not known", "write the calls as plain steps"),
    ("unseen", "CB178: reason, so its calls are not known", "keep synchronisation calls in inline"),
    ("bound", "CB180: reason, so calls after it are not known", "write the calls as plain steps"),
    ("endless", "CB181: reason, so nothing after it is reached", "leave it with `break`"),
]


@pytest.mark.parametrize(("obscurity", "said", "hint"), UNREAD)
def test_what_can_not_be_read_is_told_with_its_reason(
    obscurity: Obscurity, said: str, hint: str
) -> None:
    message, step = group(f"a, b: ! {obscurity} reason").said(proof("unknown")).splitlines()
    assert message == f"1 warning {said}"
    assert step.startswith(f"  {hint}")


def test_what_is_not_heard_sends_nothing() -> None:
    case = group("a: ! console reason\nb: wait x")
    assert [each.code for each in case.found(proof("unknown"))] == ["CB172", "CB160"]


SYNCED_AGAIN = (
    "as documented it then returns at once, but in LAVA's coordinator all nodes have to meet "
    "again, and a fast one may pass while a slow one waits for ever\n"
    "  give each sync an ID of its own, e.g. `x-2`"
)


def test_a_sync_that_is_used_again_is_told_with_both_outcomes() -> None:
    assert group("a: sync x\na: sync x\nb: sync x").said() == (
        f"2 warning CB175: `lava-sync x` of role `a` is called again, after line 1: {SYNCED_AGAIN}"
    )


def test_a_sync_that_gets_stuck_when_it_is_used_again_is_to_blame_for_that() -> None:
    case = group("a: sync x\na: sync x\nb: sync x")
    [_, again] = case.calls("a")
    [found] = case.found(proof("deadlocks", Stuck("a", again, (Missing("b", "never"),))))
    assert (found.code, found.severity) == ("CB175", "error")


def test_a_sync_that_is_used_again_is_not_to_blame_for_who_never_calls_it() -> None:
    found = group("a: sync x\na: sync x\nb: wait y\na: send y").found()
    assert [(each.code, each.severity) for each in found] == [
        ("CB163", "error"),
        ("CB175", "warning"),
    ]


def test_all_uses_of_one_sync_are_one_problem() -> None:
    text = "a, b: sync x\na, b: sync x\nc: sync x\nc: sync x\na: sync x"
    assert group(text).said() == (
        "2 warning CB175: `lava-sync x` of roles `a` and `b` is called again, after line 1 "
        f"(also line 4, line 5): {SYNCED_AGAIN}"
    )


def test_a_sync_in_a_loop_may_be_used_again() -> None:
    assert group("a: * sync x\nb: sync x").said(proof("unknown")) == (
        "1 warning CB175: `lava-sync x` of role `a` may be called more than once, "
        f"for it stands in a loop: {SYNCED_AGAIN}"
    )


def test_a_sync_of_a_function_that_is_called_twice_is_used_again() -> None:
    case = group("a: sync x\nb: sync x")
    [sync] = case.calls("a")
    assert case.doing("a", sync, sync).said() == (
        f"1 warning CB175: `lava-sync x` of role `a` is called more than once: {SYNCED_AGAIN}"
    )


def test_one_sync_on_each_way_of_a_choice_is_not_used_again() -> None:
    case = group("a: sync x\nb: sync x")
    [sync] = case.calls("a")
    both = Choice("[ -e /x ]", sync.where, ((sync,), (evolve(sync, maker="1_test"),)))
    assert case.doing("a", both).found(proof("completes")) == ()


def test_syncs_of_other_roles_and_ids_are_not_the_same() -> None:
    assert group("a: sync x\na: sync x-2\nb: sync x\nb: sync x-2").found() == ()


def test_one_id_for_messages_and_syncs_is_told() -> None:
    assert group("a: send x\nb: wait x\na: sync x\nb: sync x").said() == (
        "3 warning CB182: `lava-sync x` of role `a` uses the ID of a message (line 1); "
        "LAVA keeps both in one table\n"
        "  give the sync an ID of its own"
    )


# Placeholders of actions


def test_a_placeholder_without_its_key_is_told_with_the_keys_that_are_sent() -> None:
    wanted = "guest: wait addr ipadr=$ipadr\nhost: send addr ipaddr=10.0.0.1 port=22"
    assert group(wanted).said() == (
        "1 warning CB168: `lava-wait addr` of role `guest` asks for `ipadr`, "
        "which no sender has in its data\n"
        "  did you mean `ipaddr`? role `host` sends `ipaddr` and `port` (line 2)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: wait x ip=$ip\nb: send x ip=1",
        "a: wait x ip=$ip\nb: send x\nb: send x ip=%",
        "a: wait x ip=1\nb: send x",
        "a: send x ip=$ip\nb: wait x",
    ],
)
def test_a_placeholder_is_filled_by_any_sender(text: str) -> None:
    assert group(text).found() == ()


@pytest.mark.parametrize("sender", ["! unseen gone", "send %", "send x-%"])
def test_a_placeholder_may_be_filled_by_what_only_the_run_knows(sender: str) -> None:
    asking = f"a: wait x-1 ip=$ip\nb: send x-1\nc: {sender}"
    assert "CB168" not in group(asking).said(proof("unknown"))


def test_a_placeholder_of_an_unknown_message_is_not_looked_for() -> None:
    assert "CB168" not in group("a: wait % ip=$ip\nb: send x").said(proof("unknown"))


def test_a_placeholder_of_a_message_that_is_never_sent_is_one_problem() -> None:
    assert [each.code for each in group("a: wait x ip=$ip\nb: sync y\na: sync y").found()] == [
        "CB160"
    ]


def test_all_keys_that_are_never_sent_are_one_problem() -> None:
    text = "a: wait x ip=$ip port=$port mac=$mac\nb: send x mac=1"
    assert "asks for `ip` and `port`, which no sender has" in group(text).said()


def test_a_sender_without_data_is_told() -> None:
    assert "role `b` sends no data (line 2)" in group("a: wait x ip=$ip\nb: send x").said()


# Limits


SERVE, USE = 2, 3
"""The test blocks of the definition below, by their number."""


def _limited(limit_s: float, definition: Definition, used: str = "0_use") -> list[str]:
    """What is said of two waits a role with a limit, those of the client in the test `used`."""
    case = group("server: sync x\nserver: sync y\nclient: sync x\nclient: sync y")
    for role, maker in (("server", "0_serve"), ("client", used)):
        own = [evolve(each, limit_s=limit_s, maker=maker) for each in case.calls(role)]
        case = case.doing(role, *own)
    case = evolve(case, definition=definition)
    return re.split(r"\n(?=\d)", case.said()) if case.found() else []


def _two_roles(job: str = "minutes: 20") -> Definition:
    """A group whose tests last 480 s."""
    text = (GOOD / "two-roles.yaml").read_text().replace("job: {minutes: 20}", f"job: {{{job}}}")
    definition, _ = read_text(text)
    assert definition is not None
    return definition


def _with_block(definition: Definition, number: int, **changes: Any) -> Definition:
    blocks = list(definition.blocks)
    blocks[number] = evolve(blocks[number], **changes)
    return evolve(definition, blocks=tuple(blocks))


def test_a_wait_that_outlasts_its_test_is_told_once_a_block_and_role() -> None:
    first, second = _limited(481, _two_roles())
    assert first == (
        "1 warning CB173: `lava-sync x` of role `server` may wait for 481 s, "
        "but `multinode-test` ends after 480 s\n"
        "  shorten the `timeout` of the role or group, or lengthen that of the test block"
    )
    assert second.startswith("3 warning CB173: `lava-sync x` of role `client` may wait")


def test_a_wait_that_ends_with_its_test_is_not_told() -> None:
    assert _limited(480, _two_roles()) == []


def test_a_wait_that_outlasts_the_job_is_told() -> None:
    assert "but the whole job ends after 420 s" in _limited(421, _two_roles("minutes: 7"))[0]
    assert _limited(420, _two_roles("minutes: 7")) == []
    assert "but `multinode-test` ends after 480 s" in _limited(481, _two_roles("minutes: 8"))[0]


def test_a_wait_outlasts_the_shortest_of_the_actions_around_it() -> None:
    shorter = {"lava-docker-test": 100, "lava-multinode-docker-test-shell": 200}
    definition = _with_block(_two_roles(), SERVE, test_kind="docker", timeouts_s=shorter)
    assert "but `lava-docker-test` ends after 100 s" in _limited(101, definition)[0]
    assert _limited(100, definition) == []


def test_a_wait_is_looked_for_in_every_test_of_a_block() -> None:
    definition = _two_roles()
    [source] = definition.blocks[USE].definitions
    more = (source, evolve(source, name="more"), evolve(source, name="last"))
    definition = _with_block(definition, USE, definitions=more)
    [_, second] = _limited(481, definition, "2_last")
    assert second.startswith("3 warning CB173")


def test_of_tests_that_are_called_the_same_the_longer_one_counts() -> None:
    definition = _two_roles()
    block = definition.blocks[USE]
    for limits in ((100, 470), (470, 100)):
        blocks = [
            evolve(block, namespace=str(limit), timeouts_s={"multinode-test": limit})
            for limit in limits
        ]
        several = evolve(definition, blocks=(*definition.blocks[:USE], *blocks))
        assert _limited(470, several) == []
        assert [each[0] for each in _limited(471, several)] == ["3"]


def test_a_call_that_is_not_of_a_test_is_not_looked_at() -> None:
    assert [each[0] for each in _limited(481, _two_roles(), "2.1 lava-overlay")] == ["1"]


# Essential roles


def _essential(text: str, role: str = "a", **changes: Any) -> Group:
    case = group(text)
    roles = tuple(
        evolve(each, essential=each.name == role, **(changes if each.name != role else {}))
        for each in case.definition.roles
    )
    return evolve(case, definition=evolve(case.definition, roles=roles))


def test_an_essential_role_that_nobody_waits_for_is_told() -> None:
    assert _essential("a: wait x\nb: send x").said() == (
        "1 warning CB174: role `a` is essential, but no other role waits for it\n"
        "  remove `essential`, or let the others wait for what it sends"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: send x\nb: wait x",
        "a: send x-%\nb: wait x-1",
        "a: send x-1\nb: wait x-%",
        "a: send %\nb: wait %",
        "a, b: send x\nb: wait-all x",
        "a: send x\nb: wait-all x a",
        "a: sync x\nb: sync x",
        "a: release b\nb: start a",
        "a: ! unseen gone\nb: wait x",
        "b: ! unseen gone\na: sync x",
    ],
)
def test_an_essential_role_is_needed_by_those_that_may_wait_for_it(text: str) -> None:
    assert "CB174" not in _essential(text).said(proof("unknown"))


def test_an_essential_role_is_needed_by_its_guests() -> None:
    assert _essential("a: wait x\nb: send x", connection="ssh", host_role="a").found() == ()


def test_a_role_that_waits_for_its_own_message_does_not_need_itself() -> None:
    assert "CB174" in _essential("a: send x\na: wait x\nb: send y\na: wait y").said()


# Jobs without roles


def test_a_call_in_a_job_without_roles_fails() -> None:
    assert group(": wait x").said() == (
        "1 error CB183: `lava-wait x` fails: the job has no roles\n"
        "  declare `lava-multinode` with its roles under `protocols`, or remove the call"
    )


def test_an_action_of_a_job_without_roles_makes_no_calls() -> None:
    case = group(": send x")
    programs = (Program("", 1, tuple(case.calls(""))),)
    assert (
        evolve(case, programs=programs)
        .said(proof("completes"))
        .startswith("1 warning CB183: `lava-send x` does nothing: the job has no roles")
    )


@pytest.mark.parametrize("line", ["wait x", "sync x", "wait-all x"])
def test_words_too_many_are_told(line: str) -> None:
    case = group(f"a: send x\na: ~ {line}\nb: send x\nb: {line}", changed(surplus=("server",)))
    found = [each for each in case.found() if each.code == "CB185"]
    assert [each.severity for each in found] == ["warning"]
    assert "leaves out `server`; LAVA ends the job" in found[0].message
    assert found[0].hint is not None
    assert ("lava-wait-all x ROLE" in found[0].hint) == (line == "wait x")
