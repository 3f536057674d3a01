"""The critical path of a run: the chain of calls because of which it ended no earlier."""

from attrs import frozen

from callboard.flow.drawing.chart import Chart, Leg


def critical_path(chart: Chart) -> tuple[Leg, ...]:
    """Walk back from the end of the job that ended last.

    Before any time, a job was held up last by the wait that returned last, and that by the call
    which satisfied it, or by the end of the job because of which it failed: there the walk goes on.

    Returns:
        The legs from the beginning of the run to its end; none while no job has ended.
    """
    ends = [
        (column.ended, -number)
        for number, column in enumerate(chart.columns)
        if column.ended is not None and column.lane == 0
    ]
    if not ends:
        return ()
    time, negated = max(ends)
    column = -negated
    waits = _waits(chart)
    legs: list[Leg] = []
    seen: set[int] = set()
    by: int | None = None
    to: int | None = None
    while True:
        held = next(
            (
                each
                for each in reversed(waits.get(chart.columns[column].job, []))
                if (chart.spans[each].ended or 0.0) <= time and each not in seen
            ),
            None,
        )
        if held is None:
            legs.append(Leg(column, 0.0, time, by, to))
            return tuple(reversed(legs))
        seen.add(held)
        source, next_by, released = _release(chart, held)
        legs.append(Leg(column, released, time, by, to))
        column, time, by, to = source, released, next_by, held


def _waits(chart: Chart) -> dict[int | None, list[int]]:
    """The spans that had to wait for another job, by their own, in the order of their returns."""
    found: dict[int | None, list[int]] = {}
    for index, span in enumerate(chart.spans):
        if span.ended is None or not chart.held(index):
            continue
        own = chart.columns[span.column].job
        last = chart.last[index]
        source = chart.spans[last].column if last is not None else span.ended_by
        if source is not None and chart.columns[source].job != own:
            found.setdefault(own, []).append(index)
    for indices in found.values():
        indices.sort(key=lambda each: (chart.spans[each].ended or 0.0, each))
    return found


def _release(chart: Chart, index: int) -> tuple[int, int | None, float]:
    """What ended a wait: the column, the span unless it was the end of a job, and when."""
    last, span = chart.last[index], chart.spans[index]
    if last is not None:
        return chart.spans[last].column, last, chart.spans[last].began
    assert span.ended_by is not None
    ended = chart.columns[span.ended_by].ended
    assert ended is not None
    return span.ended_by, None, min(ended, span.ended or ended)


@frozen
class Delay:
    """A wait for another column: index of the span, of that column, and how long it took."""

    span: int
    column: int
    waited: float


def delays(chart: Chart) -> list[Delay]:
    """Who held whom up in a run, the longest first.

    Waits that are too short to be seen in the printed times are left out.
    """
    if chart.unit == "step":
        return []
    found: list[Delay] = []
    for indices in _waits(chart).values():
        for index in indices:
            span = chart.spans[index]
            waited = (span.ended or 0.0) - span.began
            if chart.clock(waited) != chart.clock(0.0):
                found.append(Delay(index, _release(chart, index)[0], waited))
    return sorted(found, key=lambda delay: (-delay.waited, delay.span))
