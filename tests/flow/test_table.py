"""The flow as a table: who waits for whom, from when to when, at a glance."""

import pytest
from rich.cells import cell_len
from tests.flow.drawn import Log, big, call, chart, demo, demo_log, hostile, stuck

from callboard.events import Absentee
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.marks import ASCII
from callboard.flow.drawing.table import MOST_COLUMNS, table


def drawn(found: Chart, width: int = 80) -> str:
    return "\n".join(line.plain for line in table(found, width)) + "\n"


DEMO = """\
demo: every call returns

   server                        client ×2
   ────────────────────────────  ────────────────────
1  lava-wait boot                lava-wait ready
2  lava-send ready page path     └ ← server
3  lava-wait-all fetched client
4  └ ← client                    lava-send fetched
5  lava-sync done ← all          lava-sync done ← all
"""

STUCK = """\
demo: gets stuck, 2 calls never return

   server                        client ×2
   ────────────────────────────  ───────────────
1  lava-send ready page          lava-wait raedy
2  lava-wait-all fetched client  │
   └ ✗ [2]                       └ ✗ [1]

[1] client: lava-wait raedy (group.yaml:53) never returns: no role sends `raedy`
[2] server: lava-wait-all fetched client (group.yaml:40) never returns: client
    would send `fetched` (group.yaml:56) after the call in which it is stuck
"""

RUN = """\
demo: complete, 8.000 s

       1 server                      2 client                3 client
       ────────────────────────────  ──────────────────────  ──────────────────────
1.000                                lava-wait ready
1.500                                │                       lava-wait ready
3.000  lava-send ready port          └ ← 1 server            └ ← 1 server
3.500  lava-wait-all fetched client
4.000  │                             lava-send fetched port
4.500  │                             lava-sync done
6.000  └ ← 3 client, last of 2       │                       lava-send fetched port
6.250                                │                       lava-sync done
7.000  lava-sync done ← all          └ ← all                 └ ← all
7.500                                ■ complete              ■ complete
8.000  ■ complete

1 server waited 2.500 s for 3 client in lava-wait-all fetched client (group.yaml:1)
2 client waited 2.500 s for 1 server in lava-sync done (group.yaml:2)
2 client waited 2.000 s for 1 server in lava-wait ready (group.yaml:2)
3 client waited 1.500 s for 1 server in lava-wait ready (group.yaml:3)
3 client waited 0.750 s for 1 server in lava-sync done (group.yaml:3)

critical path: 1 server until 3.000 s (lava-send ready) → 3 client until 6.000 s (lava-send fetched)
    → 1 server until 8.000 s (its end)
"""


def test_a_call_stands_where_it_begins_and_returns_in_the_row_of_who_releases_it() -> None:
    assert drawn(demo()) == DEMO


def test_stuck_calls_never_return_and_say_why_below() -> None:
    assert drawn(stuck()) == STUCK


def test_a_run_has_times_and_tells_who_held_whom_up() -> None:
    assert drawn(demo_log().chart(), 100) == RUN


def test_a_failed_wait_of_a_run_ends_where_it_failed() -> None:
    log = Log("a", "b")
    waiting = log.call(1, 1, "wait-all x b")
    log.end(2, 2)
    log.hopeless(2, waiting, Absentee(2, "b", "ended"))
    log.answer(2.5, waiting, reason="2 (b) ended without it")
    log.end(4, 1)
    rows = drawn(log.chart()).splitlines()[2:8]
    assert [" ".join(row.split()) for row in rows[2:]] == [
        "1.000 lava-wait-all x b",
        "2.000 │ ■ complete",
        "2.500 └ ✗ [1]",
        "4.000 ■ complete",
    ]
    assert "[1] 1 a: lava-wait-all x b (group.yaml:1): 2 (b) ended without it" in drawn(log.chart())


def test_red_is_never_the_only_sign() -> None:
    failing = [
        line for line in table(stuck(), 80) if any("red" in str(s.style) for s in line.spans)
    ]
    assert [line.plain.split()[0] for line in failing] == ["1", "2", "└"]
    assert "✗" in failing[-1].plain


@pytest.mark.parametrize("width", [20, 40, 60, 100, 250])
@pytest.mark.parametrize("found", [demo(), stuck(), big(20, 2), hostile(), demo_log().chart()])
def test_no_row_is_wider_than_the_terminal(found: Chart, width: int) -> None:
    rows = drawn(found, width).split("\n\n")
    for line in "\n".join(rows[1:2]).splitlines():
        assert cell_len(line) <= width


def test_in_a_narrow_terminal_calls_are_shortened_before_they_are_cut() -> None:
    lines = drawn(demo(), 52).splitlines()
    assert lines[4] == "1  wait boot                wait ready"
    assert lines[5] == "2  send ready page path     └ ← server"
    lines = drawn(demo(), 24).splitlines()
    assert [line for line in lines if "…" in line] == ["3  wait-all fetched cli…"]


def test_a_table_that_is_too_wide_becomes_several_without_their_empty_rows() -> None:
    tables = drawn(big(20, 1), 80).split("\n\n")[1:]
    assert len(tables) > 3
    titles = [word for part in tables for word in part.splitlines()[0].split() if "role" in word]
    assert titles == [f"role-{number}" for number in range(20)]
    for part in tables:
        for row in part.splitlines()[2:]:
            assert row.replace("│", "").split()[1:], "a row in which nothing happens"


def test_of_several_tables_only_those_with_stuck_calls_have_a_row_without_a_time() -> None:
    lines = drawn(stuck(), 32).splitlines()
    assert [line for line in lines if "✗" in line] == ["   └ ✗ [2]", "   └ ✗ [1]"]
    alone = chart(
        [("a" * 26, 1), ("b" * 26, 1)],
        [(0, call("send x"), 0, 0, ()), (1, call("wait y"), 0, None, ())],
    )
    first = drawn(alone, 32).split("\n\n")[1]
    assert first.splitlines()[-1] == "1  send x"


def test_a_role_name_of_wide_characters_keeps_its_column_straight() -> None:
    found = chart(
        [("服务器", 1), ("b", 1)],
        [(0, call("send x"), 0, 0, ()), (1, call("wait x"), 0, 0, (0,))],
    )
    _, _, title, rule, row = drawn(found).splitlines()
    assert cell_len(title[: title.index("b")]) == cell_len(row[: row.index("lava-wait")])
    assert rule.startswith("   ───────────  ─")


def test_without_box_characters_it_is_drawn_in_ascii() -> None:
    for found in (demo(), stuck(), demo_log().chart()):
        assert all(line.plain.isascii() for line in table(found, 80, ASCII))


def test_of_many_jobs_those_that_tell_most_are_shown() -> None:
    log = Log(*["a"] * 100)
    log.call(1, 60, "send x")
    failing = log.call(2, 80, "wait x")
    log.answer(3, failing, reason="interrupted")
    for job in range(1, 101):
        log.end(10 + job % 100, job)
    text = drawn(log.chart(), 2000)
    assert f"{100 - MOST_COLUMNS} more jobs are not shown" in text
    titles = text.splitlines()[2].split()[0::2]
    assert len(titles) == MOST_COLUMNS
    assert {"1", "2", "80", "99"} <= set(titles)


def test_a_group_without_calls_is_only_a_line() -> None:
    assert drawn(chart([("a", 1)], [])) == "demo: no node makes a synchronisation call\n"


def test_a_role_without_calls_has_an_empty_column() -> None:
    found = chart([("silent", 1), ("b", 1)], [(1, call("send x"), 0, 0, ())])
    assert drawn(found).splitlines()[2:] == [
        "   silent  b",
        "   ──────  ───────────",
        "1          lava-send x",
    ]
