"""The chart of a run: who released whom, who held whom up, and the critical path."""

import pytest
from tests.flow.drawn import Log, demo_log

from callboard.events import Absentee
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.path import delays


def released_by(found: Chart, index: int) -> list[str]:
    return [
        f"{found.columns[found.spans[each].column].name} at {found.spans[each].began:g}"
        for each in found.spans[index].released_by
    ]


def path(found: Chart) -> list[tuple[str, float, float]]:
    return [(found.columns[leg.column].name, leg.began, leg.ended) for leg in found.path]


def test_a_column_is_a_job_and_knows_how_it_ended() -> None:
    found = demo_log().chart()
    assert [column.title for column in found.columns] == ["1 server", "2 client", "3 client"]
    assert [column.ended for column in found.columns] == [8.0, 7.5, 7.5]
    assert found.summary == "complete, 8.000 s"


def test_a_wait_is_released_by_the_first_send_of_its_id() -> None:
    log = Log("a", "b", "b")
    waiting = log.call(1, 1, "wait x")
    log.call(2, 3, "send y")
    log.call(3, 2, "send x")
    log.answer(3, waiting)
    log.call(4, 3, "send x")
    assert released_by(log.chart(), 0) == ["2 b at 3"]


def test_a_wait_for_what_was_sent_before_is_not_held() -> None:
    log = Log("a", "b")
    log.call(1, 2, "send x")
    log.answer(2, log.call(2, 1, "wait x"))
    found = log.chart()
    assert released_by(found, 1) == ["2 b at 1"]
    assert not found.held(1)


def test_a_wait_all_needs_the_first_send_of_every_node_of_its_role() -> None:
    log = Log("a", "b", "b")
    waiting = log.call(1, 1, "wait-all x b")
    for time_s, job in ((2, 1), (3, 2), (4, 2), (5, 3)):
        log.call(time_s, job, "send x")
    log.answer(5, waiting)
    found = log.chart()
    assert released_by(found, 0) == ["2 b at 3", "3 b at 5"]
    assert found.spans[found.last[0] or 0].began == 5


def test_a_sync_is_released_by_its_last_caller() -> None:
    log = Log("a", "b")
    early, late = log.call(1, 1, "sync x"), log.call(4, 2, "sync x")
    log.answer(4, early, late)
    log.answer(5, log.call(5, 1, "sync x"))
    found = log.chart()
    assert [found.held(index) for index in range(3)] == [True, False, False]
    assert [meeting.spans for meeting in found.meetings] == [(0, 1)]


def test_a_delayed_start_needs_a_release_of_its_own_role_by_every_node() -> None:
    log = Log("server", "client")
    waiting = log.call(0.5, 2, "start lava_start server")
    log.call(1, 1, "send lava_start", roles=("other",))
    log.call(2, 1, "send lava_start", roles=("client",))
    log.call(3, 1, "send lava_start")
    log.answer(2, waiting)
    found = log.chart()
    assert released_by(found, 0) == ["1 server at 2"]
    assert [span.label for span in found.spans[:2]] == ["lava-start by server", "lava-start other"]


def test_a_send_that_failed_releases_nobody() -> None:
    log = Log("a", "b")
    waiting = log.call(1, 1, "wait x")
    failing = log.call(1.5, 2, "send x")
    log.answer(1.5, failing, reason="refused")
    log.call(2, 2, "send x")
    log.answer(2, waiting)
    assert released_by(log.chart(), 0) == ["2 b at 2"]


def test_calls_of_a_job_at_the_same_time_stand_beside_each_other() -> None:
    log = Log("a")
    first = log.call(1, 1, "wait x")
    log.call(2, 1, "send x")
    log.answer(2, first)
    log.call(3, 1, "send y")
    found = log.chart()
    assert [column.name for column in found.columns] == ["1 a", "1 a (background 1)"]
    assert [span.column for span in found.spans] == [0, 1, 0]


def test_a_hopeless_wait_fails_with_the_reason_and_names_whose_end_it_was() -> None:
    log = Log("a", "b")
    waiting = log.call(1, 1, "wait-all x b")
    log.end(2, 2)
    log.hopeless(2, waiting, Absentee(2, "b", "ended"))
    reason = "lava-wait-all x b can never be satisfied: 2 (b) ended without it"
    log.answer(2.5, waiting, reason=reason)
    log.end(4, 1)
    found = log.chart()
    assert found.reasons == {0: f"1 a (group.yaml:1): {reason}"}
    assert found.summary == "complete, 4.000 s, 1 call failed"
    assert path(found) == [("2 b", 0, 2), ("1 a", 2, 4)]
    assert [(each.column, each.waited) for each in delays(found)] == [(1, 1.5)]


def test_a_wait_found_hopeless_that_is_satisfied_after_all_is_no_failure() -> None:
    log = Log("a", "b")
    waiting = log.call(1, 1, "wait x")
    log.hopeless(2, waiting, Absentee(2, "b", "ended"))
    log.call(3, 2, "send x")
    log.answer(3, waiting)
    assert log.chart().reasons == {}


def test_a_call_that_the_log_leaves_open_has_no_answer() -> None:
    log = Log("a")
    log.call(1, 1, "wait x")
    found = log.cut_off()
    assert found.outcome == "cut off"
    assert found.reasons == {0: "1 a: lava-wait x (group.yaml:1): no answer: the log ends before"}
    assert found.path == ()


def test_the_critical_path_leads_back_from_the_last_end_to_the_beginning() -> None:
    found = demo_log().chart()
    assert path(found) == [("1 server", 0, 3), ("3 client", 3, 6), ("1 server", 6, 8)]
    handed_over = [(found.spans[leg.by].label, leg.to) for leg in found.path if leg.by is not None]
    assert handed_over == [("lava-send ready", 1), ("lava-send fetched", 3)]
    assert [index for index in range(len(found.spans)) if found.critical(index)] == [1, 2, 3, 6]


def test_the_critical_path_follows_the_last_of_those_needed() -> None:
    log = Log("a", "b", "b")
    waiting = log.call(0, 1, "wait-all x b")
    log.call(1, 3, "send x")
    log.call(9, 2, "send x")
    log.answer(9, waiting)
    log.end(9.5, 2, 3)
    log.end(10, 1)
    assert path(log.chart()) == [("2 b", 0, 9), ("1 a", 9, 10)]


def test_without_waits_the_critical_path_is_the_longest_job() -> None:
    log = Log("a", "b")
    log.end(3, 1)
    log.end(2, 2)
    assert path(log.chart()) == [("1 a", 0, 3)]


def test_it_is_told_who_held_whom_up_the_longest_first() -> None:
    found = demo_log().chart()
    told = [
        (found.columns[found.spans[each.span].column].name, found.columns[each.column].name,
         each.waited)
        for each in delays(found)
    ]  # fmt: skip
    assert told == [
        ("1 server", "3 client", 2.5),
        ("2 client", "1 server", 2.5),
        ("2 client", "1 server", 2.0),
        ("3 client", "1 server", 1.5),
        ("3 client", "1 server", 0.75),
    ]


@pytest.mark.parametrize(("end_s", "printed"), [(9, "8.000"), (99, "8.00"), (999, "8.0")])
def test_times_are_as_exact_as_the_run_is_short(end_s: float, printed: str) -> None:
    log = Log("a")
    log.end(end_s, 1)
    assert log.chart().clock(8.0) == printed
