"""The flow as a JSON document, for programs; its schema is `flow` in `callboard.report`."""

from callboard.flow.drawing.chart import Chart, Column, Leg, Span
from callboard.flow.drawing.network import Network
from callboard.flow.drawing.path import delays

FORMAT = 1
"""Version of the document; a change that an older reader would misread raises it."""

Json = dict[str, object]


def document(chart: Chart) -> Json:
    """What `flow --json` prints. Columns and spans are named by their index in it."""
    return {
        "format": FORMAT,
        "name": chart.name,
        "outcome": chart.outcome,
        "summary": chart.summary,
        "unit": chart.unit,
        "columns": [_column(column) for column in chart.columns],
        "spans": [_span(chart, index, span) for index, span in enumerate(chart.spans)],
        "messages": [
            {
                "from": message.sender,
                "to": message.receiver,
                "id": chart.spans[message.sender].id,
                "keys": list(chart.spans[message.sender].keys),
            }
            for message in chart.messages
        ],
        "syncs": [
            {"id": meeting.id, "at": meeting.at, "spans": list(meeting.spans)}
            for meeting in chart.meetings
        ],
        "stuck": [
            {"span": index, "reason": span.failure, "returns": span.ended is not None}
            for index, span in chart.failures()
        ],
        "delays": [
            {"span": delay.span, "column": delay.column, "waited": delay.waited}
            for delay in delays(chart)
        ],
        "critical_path": [_leg(leg) for leg in chart.path],
        "notes": list(chart.notes),
        "networks": [_network(each) for each in chart.networks],
    }


def _column(column: Column) -> Json:
    return {
        "title": column.title,
        "role": column.role,
        "count": column.count,
        "job": column.job,
        "way": column.way,
        "lane": column.lane,
        "taken": list(column.taken),
        "ended": column.ended,
        "outcome": column.outcome,
    }


def _network(network: Network) -> Json:
    return {
        "name": network.name,
        "vlan": network.is_vlan,
        "members": [
            {"role": each.role, "count": each.count, "job": each.job, "tags": list(each.tags)}
            for each in network.members
        ],
    }


def _span(chart: Chart, index: int, span: Span) -> Json:
    where = span.where
    return {
        "column": span.column,
        "call": span.call,
        "id": span.id,
        "label": span.label,
        "keys": list(span.keys),
        "begin": span.began,
        "end": span.ended,
        "held": chart.held(index),
        "released_by": list(span.released_by) if span.call != "sync" else [],
        "last": chart.last[index],
        "failure": span.failure,
        "vlan": span.deploys,
        "critical": chart.critical(index),
        "where": {
            "file": where.file,
            "line": where.line,
            "column": where.column,
            "step": where.step,
        }
        if where
        else None,
    }


def _leg(leg: Leg) -> Json:
    return {
        "column": leg.column,
        "begin": leg.began,
        "end": leg.ended,
        "by": leg.by,
        "to": leg.to,
    }
