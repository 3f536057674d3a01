"""Whatever a log tells, it can be drawn: also what no coordinator would have done."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.flow.drawn import Log
from tests.flow.test_mermaid import activations_end

from callboard.events import Absentee
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.document import document
from callboard.flow.drawing.mermaid import mermaid
from callboard.flow.drawing.path import delays
from callboard.flow.drawing.rows import rows
from callboard.flow.drawing.svg import svg
from callboard.flow.drawing.table import table

CALLS = ("send x", "send y", "wait x", "wait-all x", "wait-all y b", "sync s", "start lava_start a")


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """The chart of a log in which calls return, fail and are forgotten as they like."""
    log = Log("a", "b", "b")
    waiting: list[int] = []
    time_s = 0.0
    for _ in range(draw(st.integers(0, 25))):
        time_s += draw(st.sampled_from((0.0, 0.0004, 1.0)))
        job = draw(st.integers(1, 3))
        match draw(st.sampled_from(("call", "call", "answer", "fail", "hopeless", "end"))):
            case "call":
                written = draw(st.sampled_from(CALLS))
                seq = log.call(time_s, job, written)
                waiting += [] if written.startswith("send") else [seq]
            case "answer" if waiting:
                log.answer(time_s, waiting.pop(draw(st.integers(0, len(waiting) - 1))))
            case "fail" if waiting:
                log.answer(time_s, waiting.pop(), reason="no answer after 30 s")
            case "hopeless" if waiting:
                log.hopeless(time_s, waiting[-1], Absentee(job, "b", "ended"))
            case "end":
                log.end(time_s, job)
            case _:
                pass
    return draw(st.sampled_from((log.chart, log.cut_off)))()


@given(charts())
def test_every_drawing_of_any_log_comes_about(found: Chart) -> None:
    assert list(table(found, 60))
    assert svg(found).endswith("</svg>\n")
    assert activations_end(mermaid(found))
    assert document(found)["format"] == 1


@given(charts())
def test_the_legs_of_a_critical_path_follow_each_other_without_gaps(found: Chart) -> None:
    if found.path:
        assert found.path[0].began == 0
        assert found.path[-1].ended == max(each.ended or 0 for each in found.columns)
    for leg, following in pairwise(found.path):
        assert leg.ended == following.began
        assert leg.began <= leg.ended


@given(charts())
def test_every_call_begins_in_one_row_and_rows_are_in_the_order_of_time(found: Chart) -> None:
    begun = [span for row in rows(found) for span in row.begins.values()]
    assert sorted(begun) == list(range(len(found.spans)))
    times = [row.time for row in rows(found)]
    assert times == sorted(times)


@given(charts())
def test_nobody_is_held_up_by_himself_or_for_less_than_no_time(found: Chart) -> None:
    for delay in delays(found):
        assert delay.waited > 0
        assert found.columns[delay.column].job != found.columns[found.spans[delay.span].column].job
