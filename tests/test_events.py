"""The event log: its format, its secrets, and what happens when it can't be written."""

import json
import typing
from pathlib import Path
from types import MappingProxyType

import attrs
import cattrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from callboard.events import (
    FORMAT,
    KINDS,
    Absentee,
    Body,
    CallMade,
    ConsoleOutput,
    Event,
    Failure,
    JobEnded,
    LogError,
    Message,
    RunStarted,
    TestCaseResult,
    WaitHopeless,
    Where,
    decode,
    encode,
    read_log,
)
from callboard.journal import MASK, Journal, LogFile, Mask
from callboard.report import schema

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
st.register_type_strategy(str, TEXT)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def body_of(kind: type[Body]) -> st.SearchStrategy[Body]:
    hints = typing.get_type_hints(kind)
    return st.builds(
        kind, **{field.name: st.from_type(hints[field.name]) for field in attrs.fields(kind)}
    )


BODIES = st.one_of([body_of(kind) for kind in KINDS.values()])
EVENTS = st.builds(
    Event,
    seq=st.integers(1, 10**9),
    time_s=st.floats(0, 10**6),
    actor=TEXT,
    body=BODIES,
    cause=st.none() | st.integers(1, 10**9),
)


@given(EVENTS)
def test_every_event_comes_back_from_its_line(event: Event) -> None:
    line = encode(event)
    assert line.count(b"\n") == 1
    assert decode(line) == event


@given(EVENTS)
def test_a_line_is_what_json_makes_of_the_plain_data_of_the_event(event: Event) -> None:
    entry = {
        "seq": event.seq,
        "time": event.time_s,
        "actor": event.actor,
        "kind": event.kind,
        "cause": event.cause,
        **cattrs.Converter().unstructure(event.body),
    }
    line = json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
    assert encode(event) == line.encode() + b"\n"


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 1e-7, 1e300, 3])
def test_numbers_are_spelt_as_json_spells_them(number: float) -> None:
    line = encode(Event(1, 0.0, "/", JobEnded(1, "complete", None, number)))
    assert line.decode().endswith(f'"error":null,"duration_s":{json.dumps(number)}}}\n')


def test_data_may_be_any_mapping() -> None:
    data = MappingProxyType({"b": "1", "a": "2"})
    line = encode(Event(1, 0.0, "/", CallMade(1, "send", "x", data=data)))
    assert b'"data":{"b":"1","a":"2"}' in line


@given(EVENTS)
def test_every_line_keeps_the_schema(event: Event) -> None:
    Draft202012Validator(schema("event")).validate(json.loads(encode(event)))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"seq":1}',
        b'{"seq":1,"time":0,"actor":"/","kind":"flying-pig","cause":null}',
        b'{"seq":1,"time":0,"actor":"/","kind":"job-started","cause":null}',
        b'{"seq":1,"time":0,"actor":"/","kind":"job-started","cause":null,"job":1,"more":2}',
        b'{"seq":"x","time":0,"actor":"/","kind":"job-started","cause":null,"job":1}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(LogError):
        decode(line)


STARTED = RunStarted(FORMAT, "g", "n", multinode=True, jobs=1, started_at=None)


def written(path: Path, *bodies: Body) -> Path:
    log = LogFile(path)
    for seq, body in enumerate(bodies, start=1):
        log(Event(seq, 0.0, "/", body))
    log.close()
    return path


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "log", STARTED, ConsoleOutput(1, "common", "x"))
    path.write_bytes(path.read_bytes()[:-5])
    assert [event.body for event in read_log(path)] == [STARTED]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "log", STARTED, STARTED, STARTED)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], b"garbage", *lines[2:]]))
    with pytest.raises(LogError, match=r"log:2: not an event"):
        list(read_log(path))


def test_a_log_of_another_format_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "log", attrs.evolve(STARTED, format=FORMAT + 1))
    with pytest.raises(LogError, match=f"has format {FORMAT + 1}, .* reads format {FORMAT}"):
        list(read_log(path))


def test_a_log_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "log", STARTED)
    with pytest.raises(FileExistsError):
        LogFile(path)


# Secrets


@pytest.mark.parametrize(
    "text",
    [
        "open sesame",
        "say open sesame twice: open sesame",
        "key=open\\0040sesame",
        "the first line",
        "  second line  ",
    ],
)
def test_a_secret_is_masked_in_every_spelling(text: str) -> None:
    mask = Mask(["open sesame", "the first line\n  second line  \nx"])
    masked = mask.text(text)
    assert MASK in masked
    assert not any(word in masked for word in ("sesame", "first", "second"))


def test_secrets_are_masked_wherever_a_text_may_stand() -> None:
    mask = Mask(["hunter2!"])
    call = CallMade(1, "send", "hunter2!", data={"hunter2!": "x hunter2! y"})
    assert mask(call) == CallMade(1, "send", MASK, data={MASK: f"x {MASK} y"})
    where = Where("hunter2!", 1, 1, "x hunter2!")
    made = CallMade(1, "send", "x", where=where, roles=("hunter2!",))
    hidden = Where(MASK, 1, 1, f"x {MASK}")
    assert mask(made) == CallMade(1, "send", "x", where=hidden, roles=(MASK,))
    wait = WaitHopeless(1, "wait", "x", None, True, (Absentee(2, "hunter2!", "ended"),), (2,))
    assert "hunter2" not in encode(Event(1, 0.0, "/", mask(wait))).decode()
    ended = JobEnded(1, "incomplete", Failure("JobError", "bad hunter2!"), 1.0)
    assert mask(ended) == JobEnded(1, "incomplete", Failure("JobError", f"bad {MASK}"), 1.0)


def test_fixed_words_are_never_masked() -> None:
    result = TestCaseResult(1, "pass", "pass", "pass", 0.0)
    masked = Mask(["pass"])(result)
    assert masked == TestCaseResult(1, MASK, MASK, "pass", 0.0)


def test_the_longest_of_overlapping_secrets_is_hidden_whole() -> None:
    assert Mask(["open", "open sesame"]).text("open sesame") == MASK


# The journal


def test_events_are_numbered_and_passed_on_in_order() -> None:
    times = iter([10.0, 10.0, 12.5])
    got: list[Event] = []
    journal = Journal(lambda: next(times), sinks=[got.append])
    first = journal.emit("/a", Message(1, "info", "one"))
    journal.emit("/b", Message(1, "info", "two"), cause=first)
    assert [(each.seq, each.time_s, each.actor, each.cause) for each in got] == [
        (1, 0.0, "/a", None),
        (2, 2.5, "/b", 1),
    ]


def test_a_sink_that_fails_is_reported_once_and_the_others_go_on() -> None:
    got: list[Event] = []
    failures: list[OSError] = []

    def full(_event: Event) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(lambda: 0.0, sinks=[full, got.append], failed=failures.append)
    journal.emit("/", Message(1, "info", "one"))
    journal.emit("/", Message(1, "info", "two"))
    assert [each.seq for each in got] == [1, 2]
    assert [str(each) for each in failures] == ["[Errno 28] No space left on device"]


def test_a_journal_knows_whether_anybody_listens() -> None:
    def full(_event: Event) -> None:
        raise OSError(28, "No space left on device")

    assert not Journal(lambda: 0.0).listening
    journal = Journal(lambda: 0.0, sinks=[full])
    assert journal.listening
    journal.emit("/", Message(1, "info", "one"))
    assert not journal.listening


def test_a_journal_hides_secrets_from_its_sinks() -> None:
    got: list[Event] = []
    journal = Journal(lambda: 0.0, mask=Mask(["hunter2!"]), sinks=[got.append])
    journal.emit("/", Message(1, "info", "hunter2!"))
    assert got[0].body == Message(1, "info", MASK)
