"""What is told below a drawing: why calls fail, who held whom up, and what took so long."""

import textwrap
from collections.abc import Iterator
from typing import Literal

from attrs import frozen

from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.path import delays

MOST = 20
"""Lines of a paragraph; a JSON document has all of it."""


@frozen
class Paragraph:
    """Lines that belong together.

    Attributes:
        about: What they are about; a failure begins with its number, as in `[1] …`.
        lines: Texts of any length.
    """

    about: Literal["failures", "ways", "notes", "delays", "path"]
    lines: tuple[str, ...]

    def wrapped(self, cells: int) -> Iterator[str]:
        """The lines, none of which is longer than so many cells unless a word is."""
        for line in self.lines:
            yield from textwrap.wrap(line, cells, subsequent_indent="    ", break_on_hyphens=False)


def caption(chart: Chart, then: str = "→") -> Iterator[Paragraph]:
    """The paragraphs below a drawing, none of them empty.

    Args:
        chart: What is drawn.
        then: What stands between the legs of the critical path.
    """
    if reasons := [f"[{n}] {text}" for n, text in enumerate(chart.reasons.values(), start=1)]:
        yield Paragraph("failures", most(reasons))
    if ways := [f"{each.name}: {text}" for each in chart.columns for text in each.taken]:
        yield Paragraph("ways", most(ways))
    if chart.notes:
        yield Paragraph("notes", most(list(chart.notes)))
    if held := list(_delays(chart)):
        yield Paragraph("delays", most(held))
    if chart.path:
        yield Paragraph("path", (f"critical path: {f' {then} '.join(_legs(chart))}",))


def most(lines: list[str]) -> tuple[str, ...]:
    """The first lines of many, and how many more there are."""
    more = len(lines) - MOST
    return tuple(lines) if more <= 0 else (*lines[:MOST], f"and {more} more")


def _delays(chart: Chart) -> Iterator[str]:
    for delay in delays(chart):
        span = chart.spans[delay.span]
        yield (
            f"{chart.columns[span.column].name} waited {chart.clock(delay.waited)} s for "
            f"{chart.columns[delay.column].name} in {span.label}{chart.place(delay.span)}"
        )


def _legs(chart: Chart) -> Iterator[str]:
    for leg in chart.path:
        why = "its end" if leg.by is None else chart.spans[leg.by].label
        yield f"{chart.columns[leg.column].name} until {chart.clock(leg.ended)} s ({why})"
