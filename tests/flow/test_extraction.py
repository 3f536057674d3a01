"""What small scripts are known to do."""

import time

import pytest
from tests.flow.notation import line
from tests.flow.shells import extracted
from tests.flow.snippets import BRANCHES, CONSOLE, FUNCTIONS, LOOPS, STEPS, WORDS

from callboard.flow.program import Call, Unseen, walk


@pytest.mark.parametrize(("script", "expected"), STEPS.items())
def test_a_call_is_found_and_what_looks_like_one_is_not(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


@pytest.mark.parametrize(("script", "expected"), WORDS.items())
def test_a_word_is_known_as_far_as_it_is_known_before_the_run(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


@pytest.mark.parametrize(("script", "expected"), BRANCHES.items())
def test_a_condition_that_is_not_known_has_both_ways(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


@pytest.mark.parametrize(("script", "expected"), LOOPS.items())
def test_a_loop_turns_as_often_as_is_known(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


@pytest.mark.parametrize(("script", "expected"), FUNCTIONS.items())
def test_a_function_and_another_shell_do_what_they_would_do(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


@pytest.mark.parametrize(("script", "expected"), CONSOLE.items())
def test_a_call_counts_if_the_console_hears_it(script: str, expected: str) -> None:
    assert line(extracted(script)) == expected


def test_a_statement_may_span_several_steps() -> None:
    steps = ["for i in 1 2; do", "lava-sync r-$i", "done"]
    items = extracted(*steps)
    assert line(items) == "sync r-1; sync r-2"
    assert [item.where.line for item in items if isinstance(item, Call)] == [2, 2]


def test_a_here_document_does_not_end_where_space_follows_its_end() -> None:
    items = extracted("cat <<E", "lava-send a", "E ", "lava-send b", "E")
    assert line(items).startswith("<unparsed>")


def test_a_parameter_is_a_variable_that_programs_do_not_see() -> None:
    assert line(extracted("lava-send $ID; sh -c 'lava-send x$ID'", ID="a")) == "send a; send x…"


def test_the_environment_of_the_role_is_seen_by_programs() -> None:
    assert line(extracted("sh -c 'lava-send $LAVA_X'")) == "send x"


def test_another_role_goes_another_way() -> None:
    step = "case $(lava-role) in server) lava-send a ;; client) lava-wait a ;; esac"
    assert line(extracted(step, role="client")) == "wait a"


def test_a_call_says_which_helper_runs_it() -> None:
    items = walk(extracted("lava-test-case x --shell lava-wait a; lava-wait b"))
    assert [item.inside for item in items if isinstance(item, Call)] == ["lava-test-case", None]


FAILING = {
    "lava-wait a || lava-send b; lava-send c": "send b",
    "lava-wait a || exit 1": "^2!",
    "lava-wait a && lava-send b || lava-send c": "send c; ^1",
    "if lava-wait a; then lava-send b; else lava-send c; fi": "send c; ^1",
    "if ! lava-wait a; then lava-send b; else lava-send c; fi": "send b; ^1",
    "lava-wait a || lava-wait b || lava-send c": "wait b",
    "lava-wait a || true": "",
}
"""What is done where the first call fails."""


@pytest.mark.parametrize(("script", "expected"), FAILING.items())
def test_a_call_says_what_is_done_where_it_fails(script: str, expected: str) -> None:
    [call, *_] = [each for each in walk(extracted(script)) if isinstance(each, Call)]
    assert call.otherwise is not None
    assert line(call.otherwise) == expected
    assert not call.ends


def test_a_failure_ends_the_shell_unless_somebody_asks_for_it() -> None:
    items = walk(
        extracted("lava-wait a; sh -c 'lava-wait b; :'; lava-wait c | tee log; lava-wait d || :")
    )
    assert [(str(each.id), each.ends) for each in items if isinstance(each, Call)] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", False),
    ]


def test_what_a_chain_does_where_calls_fail_does_not_grow_beyond_bounds() -> None:
    script = "lava-wait a && lava-wait b || " * 20 + "true"
    began_s = time.process_time()
    calls = [each for each in walk(extracted(script)) if isinstance(each, Call)]
    assert len(calls) == 21
    assert time.process_time() - began_s < 1


def test_what_nobody_can_read_says_why() -> None:
    items = extracted("./run.sh; lava-wait a < f; foo ((")
    assert [item.reason for item in walk(items) if isinstance(item, Unseen)] == [
        "`./run.sh` is not among the files of the test",
        "`lava-wait` can't read its answer from the console",
        "`foo` is no shell that can be read",
    ]


def test_nothing_is_tried_behind_the_point_up_to_which_a_script_is_read() -> None:
    begin = time.process_time()
    items = extracted(*["lava-send a"] * 20_000)
    assert [each.obscurity for each in walk(items) if isinstance(each, Unseen)] == ["bound"]
    assert time.process_time() - begin < 5


def test_words_that_a_call_has_no_use_for_are_surplus() -> None:
    steps = ["lava-wait-all x client y z", "lava-wait x server", "lava-sync x", "lava-send x a=1"]
    calls = [each for each in walk(extracted(*steps)) if isinstance(each, Call)]
    assert [each.surplus for each in calls] == [("y", "z"), ("server",), (), ()]
