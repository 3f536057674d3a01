"""The log of a job in LAVA's form: a YAML list with one flow-style map a line."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from attrs import field, frozen

from callboard.events import (
    ActionEnded,
    ActionStarted,
    CallAnswered,
    ConsoleInput,
    ConsoleOutput,
    Event,
    Failure,
    JobEnded,
    JobResult,
    LinksChanged,
    Message,
    PortMoved,
    PortRestored,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    VlanCreated,
    VlanDeleted,
    WaitHopeless,
)
from callboard.report.links import links_text

LONGEST_MESSAGE = 100_000
"""Characters from which a message is replaced by a note (LAVA: log)."""

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_json = json.JSONEncoder(ensure_ascii=False)

Fields = Mapping[str, str | int | float]


@frozen
class Entry:
    """A line of a log: when in seconds since the run began, its level, and what it says."""

    time_s: float
    level: str
    message: str | Fields
    namespace: str | None = field(default=None)


def line(entry: Entry, date: datetime) -> str:
    """The entry as a line of output.yaml, its end included."""
    parts = [f'"dt": "{date.isoformat(timespec="microseconds")}"', f'"lvl": "{entry.level}"']
    if entry.namespace is not None:
        parts.append(f'"ns": {quoted(entry.namespace)}')
    match entry.message:
        case str(text) if len(text) < LONGEST_MESSAGE:
            parts.append(f'"msg": {quoted(text)}')
        case str(text):
            parts.append(f'"msg": "<a line of {len(text)} characters is left out>"')
        case fields:
            pairs = ", ".join(f'"{name}": {_value(value)}' for name, value in fields.items())
            parts.append(f'"msg": {{{pairs}}}')
    return f"- {{{', '.join(parts)}}}\n"


def quoted(text: str) -> str:
    """`text` as a double-quoted scalar that stays on one line, in YAML and in JSON."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", _json.encode(text))


def _value(value: str | float) -> str:
    # As LAVA writes numbers; readers of YAML take them for numbers.
    return quoted(value) if isinstance(value, str) else f'! "{value}"'


def entries(event: Event, first: int | None, last: int | None) -> Iterator[Entry]:
    """The lines that an event makes in the log of its job; none for most kinds.

    Args:
        event: What happened.
        first: Line of the log on which a test case's output begins, if it is known.
        last: Line on which it ends.
    """
    time_s, body = event.time_s, event.body
    match body:
        case ConsoleOutput():
            yield Entry(time_s, "target", body.text)
        case ConsoleInput():
            yield Entry(time_s, "input", body.text)
        case Message(level="feedback"):
            yield Entry(time_s, "feedback", body.text, body.namespace)
        case Message():
            yield Entry(time_s, body.level, body.text)
        case ActionStarted():
            limit = _clock(body.timeout_s)
            text = f"start: {body.level} {body.name} (timeout {limit}) [{body.namespace}]"
            yield Entry(time_s, _importance(body.level), text)
        case ActionEnded():
            yield from _action_ended(time_s, body)
        case TestRunStarted():
            yield Entry(time_s, "debug", f"test definition {body.suite} {body.uuid} begins")
        case TestRunEnded():
            yield Entry(time_s, "results", _run_result(body))
        case TestCaseResult():
            yield Entry(time_s, "results", _case_result(body, first, last))
        case WaitHopeless():
            yield Entry(time_s, "warning", body.text)
        case LinksChanged():
            yield Entry(time_s, "info", links_text(body))
        case VlanCreated() | PortMoved() | PortRestored() | VlanDeleted():
            yield Entry(time_s, "info", body.text)
        case CallAnswered(result="fail" | "unknown"):
            yield Entry(time_s, "error", body.reason or "the call failed")
        case JobResult():
            result = {"definition": "lava", "case": body.case, "result": body.result}
            yield Entry(time_s, "results", result | _error(body.error))
        case JobEnded():
            passed = body.health == "complete"
            result = {"definition": "lava", "case": "job", "result": "pass" if passed else "fail"}
            yield Entry(time_s, "results", result | _error(body.error))
        case _:
            pass


def _importance(level: str) -> str:
    return "debug" if "." in level else "info"


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02}"


def _action_ended(time_s: float, body: ActionEnded) -> Iterator[Entry]:
    if body.reason is not None:
        yield Entry(time_s, "info", f"skipped {body.level} {body.name}: {body.reason}")
    if body.error is not None and body.error.action == f"{body.level} {body.name}":
        yield Entry(time_s, "error", f"{body.level} {body.name} failed: {body.error.message}")
    took = _clock(body.duration_s)
    text = f"end: {body.level} {body.name} (duration {took}) [{body.namespace}]"
    yield Entry(time_s, _importance(body.level), text)
    if body.recorded:
        result: dict[str, str | int | float] = {
            "definition": "lava",
            "case": body.name,
            "result": body.result,
            "namespace": body.namespace,
            "level": body.level,
            "duration": body.duration_s,
        }
        reason = {"extra": body.reason} if body.reason is not None else {}
        yield Entry(time_s, "results", result | reason | _error(body.error))


def _run_result(body: TestRunEnded) -> Fields:
    result: dict[str, str | int | float] = {
        "definition": "lava",
        "case": body.suite,
        "result": body.result,
        "uuid": body.uuid,
        "namespace": body.namespace,
        "duration": body.duration_s,
        "revision": body.revision or "unspecified",
    }
    more = {"repository": body.repository, "path": body.path, "commit_id": body.commit}
    return result | {name: value for name, value in more.items() if value is not None}


def _case_result(body: TestCaseResult, first: int | None, last: int | None) -> Fields:
    result: dict[str, str | int | float] = {
        "definition": body.suite,
        "case": body.case,
        "result": body.result,
    }
    more = {
        "set": body.set,
        "measurement": body.measurement,
        "units": body.units,
        "reference": body.reference,
        "starttc": first,
        "endtc": last,
    }
    return result | {name: value for name, value in more.items() if value is not None}


def _error(error: Failure | None) -> dict[str, str]:
    """LAVA's words for a failure: its types are the classes' names without their ending."""
    if error is None:
        return {}
    kind = error.type.removesuffix("Error")
    return {"error_msg": error.message, "error_type": kind}
