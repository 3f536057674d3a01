"""The flow as a picture that stands alone: an SVG without scripts and references."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from rich.cells import cell_len

from callboard.flow.drawing.caption import MOST, caption
from callboard.flow.drawing.chart import Chart, Message
from callboard.flow.drawing.layout import CELL, LINE, Layout, beside, shortened, text_at
from callboard.flow.drawing.wires import wires

_LIGHT = {
    "paper": "#ffffff", "ink": "#1f2328", "faint": "#6a737d", "line": "#d0d7de", "head": "#f6f8fa",
    "send": "#0969da", "wait": "#fff1b8", "edge": "#bf8700", "sync": "#8250df", "stuck": "#cf222e",
    "blush": "#ffdcd7", "path": "#ffd19a", "vlan": "#1a7f37",
}  # fmt: skip
_DARK = {
    "paper": "#0d1117", "ink": "#e6edf3", "faint": "#8d96a0", "line": "#3d444d", "head": "#161b22",
    "send": "#58a6ff", "wait": "#4b3a0d", "edge": "#d29922", "sync": "#b392f0", "stuck": "#ff7b72",
    "blush": "#5c1a1b", "path": "#7a4516", "vlan": "#3fb950",
}  # fmt: skip


def svg(chart: Chart) -> str:
    """The picture as text, line break included; all ASCII, which no encoding spoils."""
    text = "\n".join(_Picture(chart).lines()) + "\n"
    return text.encode("ascii", "xmlcharrefreplace").decode()


class _Picture:
    """A chart on its way to a picture."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._at = Layout(chart)
        self._numbers = {index: n for n, index in enumerate(chart.reasons, start=1)}

    def lines(self) -> Iterator[str]:
        """The lines of the file."""
        told = list(self._caption(self._at.bottom + 2 * LINE))
        lowest = told[-1][0] if told else self._at.bottom
        wired = list(
            wires(self._chart.networks, self._at.left, lowest + 2.5 * LINE, self._at.width)
        )
        lowest = wired[-1][0] + LINE if wired else lowest
        width, height = self._at.width, lowest + 3 * LINE
        size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="callboard" {size} role="img" '
            'aria-labelledby="flow-title flow-desc">'
        )
        yield f'<title id="flow-title">{escape(self._chart.name)}</title>'
        reasons = list(self._chart.reasons.values())[:MOST]
        reached = list(map(str, self._chart.networks))[:MOST]
        described = "; ".join((self._chart.summary, *reasons, *reached))
        yield f'<desc id="flow-desc">{escape(described)}</desc>'
        yield f"<style>{_style()}</style>"
        yield from _arrowheads()
        yield '<rect class="paper" width="100%" height="100%"/>'
        yield from self._clocks()
        yield from self._lifelines()
        yield from self._path()
        yield from self._meetings()
        yield from self._waits()
        yield from self._arrows()
        yield from self._calls()
        yield from self._heads()
        yield from self._legend(height - 1.2 * LINE)
        yield from (text for _, text in (*told, *wired))
        yield "</svg>"

    def _lifelines(self) -> Iterator[str]:
        for number, x in enumerate(self._at.x):
            end = self._at.ends[number]
            yield f'<path class="life" d="M{x:.1f} {self._at.top}V{end:.1f}"/>'

    def _heads(self) -> Iterator[str]:
        yield text_at(self._at.left, 34, self._chart.name, "name", self._at.line_cells * 2 // 3)
        yield text_at(self._at.left, 56, self._chart.summary, self._outcome(), self._at.line_cells)
        for column, x in zip(self._chart.columns, self._at.x, strict=True):
            width = (cell_len(shortened(column.title)) + 2) * CELL
            yield (
                f'<rect class="head" x="{x - CELL:.1f}" y="{self._at.top - 28}" '
                f'width="{width:.1f}" height="28" rx="5"/>'
            )
            yield text_at(x, self._at.top - 9.5, column.title, "role")

    def _outcome(self) -> str:
        return "stuck" if self._chart.reasons else "faint"

    def _clocks(self) -> Iterator[str]:
        for row, y in zip(self._at.rows, self._at.y, strict=True):
            yield text_at(self._at.left, y + 4, self._chart.clock(row.time), "faint")
            left, right = self._at.x[0] - 22, self._at.width - self._at.left
            yield f'<path class="rung" d="M{left:.1f} {y}H{right:.1f}"/>'

    def _waits(self) -> Iterator[str]:
        for index, span in enumerate(self._chart.spans):
            if self._chart.held(index):
                x, y, end = self._at.x[span.column], self._at.begins[index], self._at.returns[index]
                style = "wait" if span.failure is None else "never"
                yield (
                    f'<rect class="{style}" x="{x - 5:.1f}" y="{y:.1f}" width="10" '
                    f'height="{end - y:.1f}" rx="3"><title>{escape(span.label)}</title></rect>'
                )

    def _calls(self) -> Iterator[str]:
        for index, span in enumerate(self._chart.spans):
            x, y = self._at.x[span.column], self._at.begins[index]
            failed = span.failure is not None
            style = "stuck" if failed else "unseen" if span.call is None else "call"
            dot = "never" if failed else (span.call or "unseen")
            yield f'<circle class="dot {dot}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
            yield text_at(x + 10, y - 10, beside(span), style)
            if failed:
                mark = f"✗ [{self._numbers[index]}]"
                yield text_at(x + 10, self._at.returns[index] + 11, mark, "stuck")
        for number, column in enumerate(self._chart.columns):
            if column.ended is not None and column.lane == 0:
                x, y = self._at.x[number], self._at.ends[number]
                yield f'<rect class="end" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>'
                yield text_at(x + 10, y - 10, column.outcome or "ended", "faint")

    def _meetings(self) -> Iterator[str]:
        for meeting in self._chart.meetings:
            y = self._at.begins[meeting.spans[-1]]
            xs = [self._at.x[self._chart.spans[each].column] for each in meeting.spans]
            yield (
                f'<rect class="sync" x="{min(xs) - 8:.1f}" y="{y - 3:.1f}" '
                f'width="{max(xs) - min(xs) + 16:.1f}" height="6" rx="3">'
                f"<title>{escape(meeting.id)}</title></rect>"
            )

    def _arrows(self) -> Iterator[str]:
        for message in self._chart.messages:
            yield self._arrow(message)

    def _arrow(self, message: Message) -> str:
        sender, receiver = (self._chart.spans[each] for each in (message.sender, message.receiver))
        x1, x2 = self._at.x[sender.column], self._at.x[receiver.column]
        y1, y2 = self._at.begins[message.sender], self._at.returns[message.receiver]
        x2 += -7 if x2 > x1 else 7
        return (
            f'<path class="arrow" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" '
            f'marker-end="url(#flow-arrow)"><title>{escape(sender.message)}</title></path>'
        )

    def _path(self) -> Iterator[str]:
        """The critical path as one line, from the top to the end of the job that ended last."""
        if not self._chart.path:
            return
        points = [f"M{self._at.x[self._chart.path[0].column]:.1f} {self._at.top}"]
        for leg in self._chart.path:
            if leg.by is not None:
                y = self._at.begins[leg.by]
            elif leg.to is not None:
                y = self._at.returns[leg.to]
            else:
                y = self._at.ends[leg.column]
            points.append(f"V{y:.1f}")
            if leg.to is not None:
                points.append(f"H{self._at.x[self._chart.spans[leg.to].column]:.1f}")
        yield f'<path class="path" d="{"".join(points)}"><title>critical path</title></path>'

    def _legend(self, y: float) -> Iterator[str]:
        """What the shapes mean."""
        x = self._at.left
        yield f'<rect class="wait" x="{x}" y="{y - 10}" width="10" height="12" rx="3"/>'
        yield text_at(x + 16, y, "waits", "faint")
        x += 80
        yield (f'<path class="arrow" d="M{x} {y - 4}H{x + 24}" marker-end="url(#flow-arrow)"/>')
        yield text_at(x + 34, y, "message", "faint")
        x += 114
        yield f'<rect class="sync" x="{x}" y="{y - 7}" width="26" height="6" rx="3"/>'
        yield text_at(x + 34, y, "sync", "faint")
        if self._chart.path:
            x += 90
            yield f'<path class="path" d="M{x} {y - 4}h26"/>'
            yield text_at(x + 36, y, "critical path", "faint")

    def _caption(self, y: float) -> Iterator[tuple[float, str]]:
        """What is told below the picture, each line with its height."""
        for paragraph in caption(self._chart):
            style = "reason" if paragraph.about == "failures" else "call"
            for line in paragraph.wrapped(self._at.line_cells):
                yield y, text_at(self._at.left, y, line, style, self._at.line_cells)
                y += LINE
            y += LINE / 2


def _arrowheads() -> Iterator[str]:
    yield (
        '<defs><marker id="flow-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
    )


def _style() -> str:
    light, dark = (" ".join(_rules(colours)) for colours in (_LIGHT, _DARK))
    fonts = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
    shape = (
        f".callboard text{{font:12px {fonts};paint-order:stroke;stroke-width:4px;"
        "stroke-linejoin:round}"
        " .callboard .name{font-size:18px;font-weight:600}"
        " .callboard .role,.callboard .stuck{font-weight:600}"
        " .callboard .life{stroke-width:1.5;fill:none}"
        " .callboard .rung{stroke-width:.5;stroke-dasharray:1 5;fill:none}"
        " .callboard .arrow{stroke-width:1.5;fill:none}"
        " .callboard .shared,.callboard .vlan{stroke-width:3;fill:none}"
        " .callboard .path{stroke-width:10;fill:none;stroke-linejoin:round;stroke-linecap:round}"
    )
    return f"{shape} {light} @media (prefers-color-scheme:dark){{{dark}}}"


def _rules(of: dict[str, str]) -> Iterator[str]:
    yield f".callboard .paper{{fill:{of['paper']}}}"
    yield f".callboard text{{fill:{of['ink']};stroke:{of['paper']}}}"
    yield f".callboard .faint{{fill:{of['faint']}}}"
    yield ".callboard text.role{stroke:none}"
    yield f".callboard .head{{fill:{of['head']};stroke:{of['line']}}}"
    yield f".callboard .life,.callboard .rung{{stroke:{of['line']}}}"
    yield f".callboard .arrow{{stroke:{of['send']}}} .callboard .tip{{fill:{of['send']}}}"
    yield f".callboard .wait{{fill:{of['wait']};stroke:{of['edge']}}}"
    yield f".callboard .sync{{fill:{of['sync']}}}"
    yield f".callboard .path{{stroke:{of['path']}}}"
    yield f".callboard .end{{fill:{of['faint']}}}"
    yield f".callboard .dot{{fill:{of['send']};stroke:{of['paper']};stroke-width:1}}"
    waits = ",".join(f".callboard .dot.{call}" for call in ("wait", "wait-all", "start", "unseen"))
    yield f"{waits},.callboard text.unseen{{fill:{of['edge']}}}"
    yield f".callboard .dot.sync{{fill:{of['sync']}}}"
    yield f".callboard .shared{{stroke:{of['line']}}} .callboard .vlan{{stroke:{of['vlan']}}}"
    yield f".callboard .plug{{fill:{of['vlan']};stroke:{of['paper']};stroke-width:1}}"
    yield f".callboard .plug.all{{fill:{of['faint']}}}"
    yield f".callboard .never{{fill:{of['blush']};stroke:{of['stuck']}}}"
    yield f".callboard .stuck,.callboard .reason,.callboard .dot.never{{fill:{of['stuck']}}}"
