"""The flow as a Mermaid sequence diagram, for Markdown pages."""

import re
import textwrap
from collections.abc import Iterator

from callboard.flow.drawing.caption import most
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.rows import Row, rows

_RED = "rgba(220, 38, 38, 0.25)"
_NOTE = 48
"""Characters of a line of a note that gives a reason."""

_SPECIAL = re.compile(r"[^\w .,()/=\[\]+*?!'`…✗×-]")


def mermaid(chart: Chart) -> str:
    """The diagram as text, line break included.

    A message is an arrow to who needed it, in the row in which that goes on; a call that waits is
    an activation; a sync a note over all; a call that fails a note in a red rectangle. Where there
    are VLANs, a note at the top says who is in which network.
    """
    return "\n".join(_Diagram(chart).lines()) + "\n"


class _Diagram:
    """A chart on its way to text."""

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._meetings = {meeting.spans[-1]: meeting for meeting in chart.meetings}
        self._met = {span for meeting in chart.meetings for span in meeting.spans}
        self._received: dict[int, list[int]] = {}
        self._needed: set[int] = set()
        for message in chart.messages:
            self._received.setdefault(message.receiver, []).append(message.sender)
            self._needed.add(message.sender)

    def lines(self) -> Iterator[str]:
        """The lines of the diagram."""
        chart = self._chart
        yield "sequenceDiagram"
        yield f"accTitle: {_escaped(chart.name)}"
        yield f"accDescr: {_escaped(chart.summary)}"
        for number, column in enumerate(chart.columns):
            yield f"participant c{number} as {_escaped(column.title)}"
        if chart.networks and chart.columns:
            lines = most(list(map(str, chart.networks)))
            yield f"Note over {self._all()}: {'<br/>'.join(map(_escaped, lines))}"
        for row in rows(chart):
            yield from self._row(row)
        for index, span in enumerate(chart.spans):
            if span.ended is None:
                yield from self._failure(index)
                yield f"deactivate c{span.column}"
        if chart.columns:
            for note in chart.notes:
                yield f"Note over {self._all()}: {_escaped(note)}"

    def _row(self, row: Row) -> Iterator[str]:
        for index in row.begins.values():
            yield from self._begin(index)
        for index in row.returns.values():
            yield from self._return(index)

    def _begin(self, index: int) -> Iterator[str]:
        span = self._chart.spans[index]
        who = f"c{span.column}"
        held = self._chart.held(index)
        if span.failure is not None and not held:
            yield from self._failure(index)
        elif held or span.call is None or (span.call == "send" and index not in self._needed):
            yield f"Note over {who}: {_escaped(' '.join((span.label, *span.keys)))}"
        if held:
            yield f"activate {who}"
        else:
            yield from self._received_by(index)
        if index in self._meetings:
            yield f"Note over {self._all()}: {_escaped(span.label)}"
        elif span.call == "sync" and index not in self._met and not held and span.failure is None:
            yield f"Note over {who}: {_escaped(span.label)}"

    def _return(self, index: int) -> Iterator[str]:
        span = self._chart.spans[index]
        if span.failure is not None:
            yield from self._failure(index)
        yield from self._received_by(index)
        yield f"deactivate c{span.column}"

    def _received_by(self, index: int) -> Iterator[str]:
        column = self._chart.spans[index].column
        for sender in self._received.get(index, ()):
            span = self._chart.spans[sender]
            yield f"c{span.column}->>c{column}: {_escaped(span.message)}"

    def _failure(self, index: int) -> Iterator[str]:
        span = self._chart.spans[index]
        yield f"rect {_RED}"
        lines = textwrap.wrap(f"✗ {self._chart.reasons[index]}", _NOTE, break_on_hyphens=False)
        yield f"Note over c{span.column}: {'<br/>'.join(map(_escaped, lines))}"
        yield "end"

    def _all(self) -> str:
        last = len(self._chart.columns) - 1
        return f"c0,c{last}" if last else "c0"


def _escaped(text: str) -> str:
    """Text as Mermaid takes it: what its grammar might read as more than text by its number."""
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text) or "#8203;"
