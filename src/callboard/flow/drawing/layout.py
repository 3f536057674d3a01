"""Where the parts of a picture lie, in pixels."""

from collections.abc import Iterator
from itertools import accumulate
from xml.sax.saxutils import escape, quoteattr

from rich.cells import cell_len, set_cell_size

from callboard.flow.drawing.chart import Chart, Span
from callboard.flow.drawing.rows import Row, rows

CELL = 7.6
"""Width of a character of the picture's text, at most: monospaced fonts of 12 pixels need 7.3."""

LINE = 18
"""Height of a line of text."""

_ROW = 34
_STRETCH = 400
"""Pixels by which the rows of a run are pulled apart in proportion to time."""

_MARGIN = 24
_BETWEEN = 34
_NARROWEST = 110
_LONGEST = 34
"""Cells that a text beside a lifeline may have."""


def shortened(text: str, cells: int = _LONGEST) -> str:
    """The text, cut where it is longer."""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1).rstrip() + "…"


def text_at(x: float, y: float, text: str, style: str, cells: int | None = None) -> str:
    """A text; one that is cut says what it is when it is pointed at."""
    shown = shortened(text) if cells is None else shortened(text, cells)
    tip = f"<title>{escape(text)}</title>" if shown != text else ""
    space = ' xml:space="preserve"' if shown != shown.strip() else ""
    return (
        f'<text class={quoteattr(style)} x="{x:.1f}" y="{y:.1f}"{space}>{tip}{escape(shown)}</text>'
    )


def beside(span: Span) -> str:
    """What is written beside the beginning of a span, uncut."""
    return " ".join((span.short, *span.keys))


class Layout:
    """The places of a chart's columns, rows and spans.

    Attributes:
        rows: What happens, from top to bottom.
        x: The lifeline of each column.
        y: The height of each row.
        begins: The height at which each span begins.
        returns: The height at which each span returns; the bottom for one that never does.
        ends: The height at which the job of each column ends; the bottom where none does.
        top: Where the lifelines begin.
        bottom: Where they end.
        width: The width of all.
    """

    def __init__(self, chart: Chart) -> None:
        self.rows = rows(chart)
        clocks = max((cell_len(chart.clock(row.time)) for row in self.rows), default=0)
        widths = list(_widths(chart))
        first = _MARGIN + clocks * CELL + _BETWEEN
        edges = list(accumulate(widths, initial=first))
        self.x = edges[:-1]
        self.width = max(edges[-1], 720.0)
        self.top = 104.0
        self.y = list(_heights(chart, self.rows, self.top + _ROW))
        self.bottom = (self.y[-1] if self.y else self.top) + _ROW
        self.begins: dict[int, float] = {}
        self.returns: dict[int, float] = {}
        self.ends = dict.fromkeys(range(len(chart.columns)), self.bottom)
        for row, height in zip(self.rows, self.y, strict=True):
            self.begins.update(dict.fromkeys(row.begins.values(), height))
            self.returns.update(dict.fromkeys(row.returns.values(), height))
            self.ends.update(dict.fromkeys(row.ends, height))
        for index, height in self.begins.items():
            self.returns.setdefault(index, self.bottom if chart.held(index) else height)

    @property
    def line_cells(self) -> int:
        """The cells that a line of text below the picture may have."""
        return int((self.width - 2 * _MARGIN) / CELL)

    @property
    def left(self) -> float:
        """Where text begins."""
        return float(_MARGIN)


def _widths(chart: Chart) -> Iterator[float]:
    cells = [cell_len(shortened(column.title)) + 2 for column in chart.columns]
    for span in chart.spans:
        cells[span.column] = max(cells[span.column], cell_len(shortened(beside(span))))
    for each in cells:
        yield max(_NARROWEST, each * CELL + _BETWEEN)


def _heights(chart: Chart, found: list[Row], first: float) -> Iterator[float]:
    """Rows of a run keep apart, and the more the more time lies between them."""
    if not found:
        return
    began, took = found[0].time, found[-1].time - found[0].time
    for number, row in enumerate(found):
        share = (row.time - began) / took if chart.unit == "second" and took else 0.0
        yield round(first + number * _ROW + share * min(_STRETCH, _ROW * len(found) / 2), 1)
