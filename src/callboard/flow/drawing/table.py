"""The flow as a table for the terminal: a column a role, a row a step in time."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import frozen
from rich.cells import cell_len
from rich.text import Text

from callboard.flow.drawing.caption import caption
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.marks import BOXES, Marks, fitted
from callboard.flow.drawing.rows import Row, rows
from callboard.flow.drawing.wiring import wiring

_GAP = 2
_CAP = 26
"""Cells that a column may have where there is not room for all that stands in it."""

MOST_COLUMNS = 24
"""Jobs of a run that are shown; the roles of a proof are all shown."""

_STYLES = {"complete": "green", "incomplete": "red", "canceled": "yellow"}
_CAPTIONS = {"failures": "red", "notes": "yellow"}


@frozen
class _Cell:
    text: str
    style: str = ""


_BLANK = _Cell("")


def table(chart: Chart, width: int, marks: Marks = BOXES) -> Iterator[Text]:
    """The lines of the table and of what is told below it.

    A call stands in the row in which it begins. Below a call that waits a line runs down to the
    row of the call that satisfies it, where it says whose that is. What does not fit is cut, and
    a table with too many columns becomes several.

    Args:
        chart: What to draw.
        width: The cells that a line may have.
        marks: What is drawn besides words.
    """
    yield Text(f"{chart.name}: {chart.summary}", style="bold")
    if chart.spans:
        drawing = _Drawing(chart, marks)
        for part in drawing.parts(width):
            yield Text("")
            yield from drawing.lines(part)
    left_out = len(chart.columns) - len(chart.foremost(MOST_COLUMNS))
    if left_out:
        yield Text("")
        yield Text(f"{left_out} more jobs are not shown", style="dim")
    for paragraph in caption(chart, marks.then):
        yield Text("")
        style = _CAPTIONS.get(paragraph.about, "")
        for line in paragraph.wrapped(max(20, width)):
            yield Text(marks.spelt(line), style=style)
    if chart.networks:
        yield Text("")
        yield from wiring(chart.networks, max(20, width), marks)


class _Drawing:
    """The cells of a chart, and how wide they are."""

    def __init__(self, chart: Chart, marks: Marks) -> None:
        self._chart = chart
        self._marks = marks
        self._numbers = {index: n for n, index in enumerate(chart.reasons, start=1)}
        self._met = {each for meeting in chart.meetings for each in meeting.spans}
        self._shown = dict.fromkeys(chart.foremost(MOST_COLUMNS))
        self._rows = [row for row in rows(chart) if not row.columns.isdisjoint(self._shown)]
        self._clocks = [chart.clock(row.time) for row in self._rows]
        if never := {span.column: at for at, span in enumerate(chart.spans) if span.ended is None}:
            self._rows.append(Row(float("inf"), returns=never))
            self._clocks.append("")
        self._left = max(map(cell_len, self._clocks))
        self._short = False
        self._cells = self._filled()

    def parts(self, width: int) -> list[dict[int, int]]:
        """The columns of each table that is drawn, with their widths."""
        room = max(width - self._left - _GAP, 8)
        natural = self._natural()
        if _total(natural.values()) > room:
            self._short = True
            self._cells = self._filled()
            natural = self._natural()
        parts: list[dict[int, int]] = [{}]
        for column, cells in natural.items():
            capped = min(cells, _CAP, room)
            if parts[-1] and _total((*parts[-1].values(), capped)) > room:
                parts.append({})
            parts[-1][column] = capped
        return [_widened(part, natural, room) for part in parts]

    def lines(self, part: dict[int, int]) -> Iterator[Text]:
        """The table of some columns; rows in which nothing happens in any of them are left out."""
        titles = [(_Cell(self._title(column), "bold"), cells) for column, cells in part.items()]
        yield self._line("", titles)
        rules = [(_Cell(self._marks.rule * cells, "dim"), cells) for cells in part.values()]
        yield self._line("", rules)
        partly = len(part) < len(self._chart.columns)
        for row, clock, cells in zip(self._rows, self._clocks, self._cells, strict=True):
            if not (partly and row.columns.isdisjoint(part)):
                shown = [(cells.get(column, _BLANK), room) for column, room in part.items()]
                yield self._line(clock, shown)

    def _line(self, clock: str, cells: Iterable[tuple[_Cell, int]]) -> Text:
        line = Text(clock.rjust(self._left), style="", end="", no_wrap=True)
        line.stylize("dim")
        for cell, room in cells:
            line.append(" " * _GAP)
            line.append(fitted(cell.text, room, self._marks.cut), cell.style or "default")
        line.rstrip()
        return line

    def _title(self, column: int) -> str:
        return self._marks.spelt(self._chart.columns[column].title)

    def _natural(self) -> dict[int, int]:
        """The cells that each column would need for all that stands in it."""
        needed = {column: cell_len(self._title(column)) for column in self._shown}
        for row in self._cells:
            for column, cell in row.items():
                needed[column] = max(needed[column], cell_len(cell.text))
        return needed

    def _filled(self) -> list[dict[int, _Cell]]:
        """The cells of each row by their column, those of waiting columns included."""
        waiting: dict[int, int] = {}
        filled: list[dict[int, _Cell]] = []
        for row in self._rows:
            cells = {column: self._waiting(span) for column, span in waiting.items()}
            for column, span in _of(self._shown, row.returns):
                cells[column] = self._returns(span)
                waiting.pop(column, None)
            for column, span in _of(self._shown, row.begins):
                cells[column] = self._begins(span)
                if self._chart.held(span):
                    waiting[column] = span
            for column in row.ends & self._shown.keys():
                outcome = self._chart.columns[column].outcome or "ended"
                cells[column] = _Cell(f"{self._marks.end} {outcome}", _STYLES.get(outcome, ""))
            filled.append(cells)
        return filled

    def _begins(self, index: int) -> _Cell:
        span = self._chart.spans[index]
        text = span.short if self._short else span.label
        text = self._marks.spelt(" ".join((text, *span.keys)))
        if span.call is None:
            return _Cell(text, "yellow")
        if span.failure is not None:
            at_once = not self._chart.held(index)
            return _Cell(f"{text} {self._failed(index)}" if at_once else text, "bold red")
        if self._chart.held(index):
            return _Cell(text, "yellow")
        return _Cell(f"{text} {self._from(index)}".rstrip())

    def _waiting(self, index: int) -> _Cell:
        failed = self._chart.spans[index].failure is not None
        return _Cell(self._marks.line, "red" if failed else "yellow")

    def _returns(self, index: int) -> _Cell:
        if self._chart.spans[index].failure is not None:
            return _Cell(f"{self._marks.corner} {self._failed(index)}", "bold red")
        return _Cell(f"{self._marks.corner} {self._from(index)}", "green")

    def _failed(self, index: int) -> str:
        return f"{self._marks.cross} [{self._numbers[index]}]"

    def _from(self, index: int) -> str:
        """Whose calls a call needed; the last of them where there are many."""
        chart, last = self._chart, self._chart.last[index]
        names = chart.senders(index)
        if last is None or not names:
            return ""
        if chart.spans[index].call == "sync":
            if index not in self._met:
                return ""
            text = "all"
        elif len(names) > 1 and chart.unit == "second":
            text = f"{chart.columns[chart.spans[last].column].name}, last of {len(names)}"
        else:
            text = ", ".join(names)
        return f"{self._marks.arrow} {text}"


def _of(shown: Mapping[int, None], found: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    return ((column, span) for column, span in found.items() if column in shown)


def _total(widths: Collection[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _widened(part: dict[int, int], natural: Mapping[int, int], room: int) -> dict[int, int]:
    """Give the room that is left to the columns that need it, from left to right."""
    left = room - _total(part.values())
    widened = {}
    for column, cells in part.items():
        more = min(left, natural[column] - cells)
        widened[column] = cells + more
        left -= more
    return widened
