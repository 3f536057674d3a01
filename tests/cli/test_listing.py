"""Rows of cells fit terminals of any width, and pipes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from callboard.cli.listing import Listing
from callboard.cli.output import Output

WIDTHS = st.integers(20, 200)


def groups() -> Listing:
    listing = Listing("id", "name", "nodes", "submitted", "verdict", folds=("name", "verdict"))
    listing.add("379afe20", "a group with quite a long name", "2", "2026-11-27 11:54", "-")
    verdict = "waiting for worker rack-1, last heard of 7 s ago"
    listing.add("a81fbdbf", "another group", "1,000", "2026-11-27 11:55", verdict)
    return listing


def shown(listing: Listing, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(listing)
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_wide_terminal_has_a_row_a_line() -> None:
    head, *rows = shown(groups(), 120)
    assert head.split() == ["id", "name", "nodes", "submitted", "verdict"]
    assert [row.split()[0] for row in rows] == ["379afe20", "a81fbdbf"]


def test_a_usual_terminal_folds_what_is_long() -> None:
    head, first, second, *_ = shown(groups(), 80)
    assert head.split() == ["id", "name", "nodes", "submitted", "verdict"]
    assert first.startswith("379afe20  a group with quite a  2 ")
    assert second.strip() == "long name"


def test_a_narrow_terminal_has_a_few_lines_a_row_with_what_they_say() -> None:
    assert shown(groups(), 50) == [
        "379afe20",
        "  name: a group with quite a long name, nodes: 2,",
        "  submitted: 2026-11-27 11:54",
        "a81fbdbf",
        "  name: another group, nodes: 1,000, submitted:",
        "  2026-11-27 11:55, verdict: waiting for worker",
        "  rack-1, last heard of 7 s ago",
    ]


@given(WIDTHS)
def test_no_line_is_longer_than_the_terminal_and_no_title_is_broken(width: int) -> None:
    lines = shown(groups(), width)
    assert max(map(len, lines)) <= width
    assert "submitted" in "\n".join(lines)


@given(st.lists(st.text("ab ", min_size=1, max_size=40), min_size=3, max_size=3), WIDTHS)
def test_nothing_of_a_cell_is_lost(cells: list[str], width: int) -> None:
    listing = Listing("x", "y", "z", folds=("x", "y", "z"))
    listing.add(*cells)
    said = "".join(shown(listing, width))
    for letter in "ab":
        assert said.count(letter) == "".join(cells).count(letter)


def test_a_listing_of_nothing_has_titles() -> None:
    assert shown(Listing("x", "y", folds=("y",)), 50) == ["x  y"]


def test_a_row_that_says_nothing_more_has_one_line() -> None:
    listing = Listing("id", "name", "verdict")
    listing.add("379afe20", "-", "-")
    listing.add("a81fbdbf", "a group with a name", "-")
    assert shown(listing, 30) == ["379afe20", "a81fbdbf", "  name: a group with a name"]


def test_what_a_terminal_would_act_on_is_replaced() -> None:
    listing = Listing("x", "y")
    listing.add("\x1b[2J", "a\x07b")
    assert shown(listing, 50)[1] == "\N{REPLACEMENT CHARACTER}[2J  a\N{REPLACEMENT CHARACTER}b"


def test_a_pipe_gets_each_row_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    Output().listing(groups())
    assert len(capsys.readouterr().out.splitlines()) == 3
