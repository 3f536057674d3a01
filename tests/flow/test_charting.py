"""The chart of a proof: columns, spans, messages, meetings, and why calls never return."""

import pytest
from tests.flow.drawn import HOSTILE, call, chart, demo, hostile, refused, stuck

from callboard.events import Where
from callboard.flow.drawing.chart import Chart, Column
from callboard.flow.drawing.charting import charting
from callboard.flow.program import Choice, Program, Unseen
from callboard.flow.proof import Doubt, Missing, Part, Passage, Proof, Run, Stuck


def labels(found: Chart) -> list[str]:
    return [span.label for span in found.spans]


def failure(*missing: Missing, written: str = "wait-all ready server") -> str | None:
    made = call(written)
    found = chart([("client", 1)], [(0, made, 0, None, ())], stuck=[Stuck("client", made, missing)])
    return found.spans[0].failure


def test_a_column_is_a_role_with_its_number_of_nodes() -> None:
    assert [column.title for column in demo().columns] == ["server", "client ×2"]


def test_a_role_that_goes_several_ways_has_a_column_a_way_which_says_what_decides() -> None:
    choice = Choice("test -e x", Where("group.yaml", 7, 3, ""), ((), ()))
    parts = (Part("a", 0, ((choice, 0),)), Part("a", 1, ((choice, 1),)), Part("b"))
    programs = (Program("a", 5, ()), Program("b", 1, ()))
    found = charting("demo", programs, Proof("completes", Run(parts, ())))
    assert [column.title for column in found.columns] == ["a (way 1)", "a (way 2)", "b"]
    assert found.columns[1].taken == ("takes way 2 of `test -e x` (group.yaml:7)",)


def test_what_runs_in_the_background_has_a_column_of_its_own_beside_its_part() -> None:
    passages = (
        Passage(0, 0, call("send a"), 0, 0),
        Passage(0, 3, call("send b"), 0, 0),
        Passage(1, 0, call("send c"), 0, 0),
    )
    run = Run((Part("a"), Part("b")), passages)
    found = charting("demo", (Program("a", 2, ()), Program("b", 1, ())), Proof("completes", run))
    assert [column.title for column in found.columns] == ["a ×2", "a (background 1) ×2", "b"]
    assert [span.column for span in found.spans] == [0, 1, 2]


def test_spans_stand_in_the_order_of_time_and_point_to_each_other() -> None:
    found = chart(
        [("a", 1), ("b", 1)],
        [(0, call("wait x"), 2, 2, (1,)), (1, call("send x", data=["k"]), 1, 1, ())],
    )
    assert labels(found) == ["lava-send x", "lava-wait x"]
    assert found.spans[1].released_by == (0,)
    assert found.spans[0].keys == ("k",)


def test_a_wait_is_held_only_until_a_send_that_begins_after_it() -> None:
    found = chart(
        [("a", 1), ("b", 1)],
        [
            (0, call("wait x"), 0, 1, (1,)),
            (1, call("send x"), 1, 1, ()),
            (0, call("wait x"), 2, 2, (1,)),
        ],
    )
    assert [found.held(index) for index in range(3)] == [True, False, False]
    assert found.last == (1, None, 1)


def test_a_sync_is_a_meeting_that_its_last_caller_ends_and_a_repeated_one_is_none() -> None:
    found = chart(
        [("a", 1), ("b", 1)],
        [
            (0, call("sync x"), 0, 3, (1,)),
            (1, call("sync x"), 3, 3, (0,)),
            (0, call("sync x"), 4, 4, (0, 1)),
        ],
    )
    [meeting] = found.meetings
    assert (meeting.id, meeting.at, meeting.spans) == ("x", 3, (0, 1))
    assert found.held(0)
    assert not found.held(1)


def test_the_messages_to_a_call_are_those_of_others_that_it_needed() -> None:
    found = chart(
        [("a", 1), ("b", 1)],
        [
            (0, call("send x"), 0, 0, ()),
            (1, call("send x"), 0, 0, ()),
            (0, call("wait-all x"), 1, 1, (0, 1)),
        ],
    )
    assert [(each.sender, each.receiver) for each in found.messages] == [(1, 2)]


def test_of_many_messages_to_one_call_only_the_last_is_told() -> None:
    steps = [(role, call("send x"), role, role, ()) for role in range(20)]
    everyone = (0, call("wait-all x"), 20, 20, tuple(range(20)))
    found = chart([(f"r{role}", 1) for role in range(20)], [*steps, everyone])
    assert [(each.sender, each.receiver) for each in found.messages] == [(19, 20)]


@pytest.mark.parametrize(
    ("missing", "text"),
    [
        (Missing(None, "never"), "never returns: no role sends `ready`"),
        (Missing("server", "never"), "never returns: server never sends `ready`"),
        (Missing("server", "absent"), "never returns: no node has the role `server`"),
        (
            Missing("server", "later", Where("g", 9, 1, "")),
            "never returns: server would send `ready` (g:9) after the call in which it is stuck",
        ),
    ],
)
def test_a_stuck_call_says_why_it_never_returns(missing: Missing, text: str) -> None:
    assert failure(missing) == text


def test_the_reason_speaks_of_what_the_call_waits_for() -> None:
    missing = Missing("server", "never")
    assert failure(missing, written="sync done") == "never returns: server never calls `done`"
    assert failure(missing, written="start x server") == "never returns: server never releases it"


def test_a_call_that_never_returns_without_a_known_reason_is_a_failure_still() -> None:
    found = chart([("client", 1)], [(0, call("wait x"), 0, None, ())])
    assert found.spans[0].failure == "never returns"


def test_a_refused_call_fails_at_once() -> None:
    found = refused()
    assert found.spans[0].failure == "fails at once: `a b` is no key"
    assert not found.held(0)


def test_what_nobody_can_read_is_a_span_without_a_call() -> None:
    unseen = Unseen("./run.sh is not there", Where("group.yaml", 3, 1, "./run.sh"))
    found = chart([("client", 1)], [(0, unseen, 0, 0, ())])
    assert (found.spans[0].call, found.spans[0].label) == (None, "? ./run.sh is not there")


def test_doubts_are_notes() -> None:
    doubt = Doubt("a", "./run.sh is not there", Where("group.yaml", 3, 1, ""))
    found = charting("demo", (), Proof("unknown", Run((), ()), doubts=(doubt,)))
    assert found.notes == ("a: ./run.sh is not there (group.yaml:3)",)
    assert found.outcome == "unknown"


def test_a_doubt_about_a_choice_is_told_once_by_its_ways() -> None:
    choice = Choice("test -e x", Where("group.yaml", 7, 3, ""), ((), ()))
    doubt = Doubt("a", "it depends on `test -e x`", choice.where)
    run = Run((Part("a", 0, ((choice, 0),)),), ())
    found = charting("demo", (), Proof("unknown", run, doubts=(doubt,)))
    assert found.columns[0].taken == ("takes way 1 of `test -e x` (group.yaml:7)",)
    assert found.notes == ()


def test_the_summary_is_what_the_proof_comes_to() -> None:
    assert demo().summary == "every call returns"
    assert stuck().summary == "gets stuck, 2 calls never return"
    assert chart([("a", 1)], []).summary == "no node makes a synchronisation call"
    one = [(0, call("send x"), 0, 0, ())]
    text = "nobody can tell whether every call returns"
    assert chart([("a", 1)], one, outcome="unknown").summary == text


def test_every_text_of_a_chart_is_one_line_on_which_nothing_acts() -> None:
    found = hostile()
    texts = [*labels(found), *found.reasons.values(), *(each.title for each in found.columns)]
    texts += [text for span in found.spans for text in (span.id, *span.keys)]
    assert any("%%{init}%%" in text for text in texts)
    for text in texts:
        assert not set(text) & set("\n\r\t\x1b\u202e\u2028")
    assert Column(HOSTILE).role.isprintable()
