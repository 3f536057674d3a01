"""The rows of a drawing in which time runs downwards."""

from collections.abc import Iterator

from attrs import define, field

from callboard.flow.drawing.chart import Chart


@define
class Row:
    """What happens at one time; no column has more than one of it.

    Attributes:
        time: The time of the first thing in it.
        begins: The spans that begin, by their column.
        returns: The spans that had to wait and return or fail now, by their column.
        ends: The columns whose jobs end.
    """

    time: float
    begins: dict[int, int] = field(factory=dict[int, int])
    returns: dict[int, int] = field(factory=dict[int, int])
    ends: set[int] = field(factory=set[int])

    @property
    def columns(self) -> set[int]:
        """The columns in which something happens."""
        return {*self.begins, *self.returns, *self.ends}

    def take(self, other: "Row") -> None:
        """Add what happens in another row."""
        self.begins.update(other.begins)
        self.returns.update(other.returns)
        self.ends.update(other.ends)


def rows(chart: Chart) -> list[Row]:
    """The rows of a chart, in the order of time.

    A wait returns in the row of the call that satisfies it, so that a reader sees both at a glance.
    What has the same printed time stands in one row, unless it is in the same column.
    """
    found: list[Row] = []
    for row in sorted(_happenings(chart), key=lambda each: each.time):
        last = found[-1] if found else None
        if (
            last is not None
            and chart.clock(last.time) == chart.clock(row.time)
            and last.columns.isdisjoint(row.columns)
        ):
            last.take(row)
        else:
            found.append(row)
    return found


def _happenings(chart: Chart) -> Iterator[Row]:
    released: dict[int, list[int]] = {}
    for index, last in enumerate(chart.last):
        if last is not None and chart.held(index):
            released.setdefault(last, []).append(index)
    for index, span in enumerate(chart.spans):
        returns = {chart.spans[each].column: each for each in released.get(index, ())}
        yield Row(span.began, {span.column: index}, returns)
        if span.failure is not None and span.ended is not None and chart.held(index):
            yield Row(span.ended, returns={span.column: index})
    for number, column in enumerate(chart.columns):
        if column.ended is not None and column.lane == 0:
            yield Row(column.ended, ends={number})
