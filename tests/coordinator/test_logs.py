"""The log's lines, and that nobody who reads them slowly holds anybody up."""

import io
import json
import os
import threading
import time
from contextlib import suppress

import pytest

from callboard.coordinator.facts import Fact
from callboard.coordinator.logs import LogWriter
from callboard.coordinator.settings import LogFormat

NOW_S = 1_764_230_400.25


def written(*facts: Fact, **options: object) -> list[str]:
    stream = io.StringIO()
    with LogWriter(stream, now_s=lambda: NOW_S, **options) as log:  # type: ignore[arg-type]
        for fact in facts:
            log(fact)
    return stream.getvalue().splitlines()


def test_a_line_for_people_has_its_time_its_weight_and_its_text() -> None:
    lines = written(Fact("made", "a group"), Fact("refused", "a client", "warning"))
    assert lines == [
        "2025-11-27T08:00:00.250Z a group",
        "2025-11-27T08:00:00.250Z warning: a client",
    ]


def test_a_line_for_programs_is_a_document() -> None:
    [line] = written(Fact("group-made", "a group", fields={"group": "g", "size": 2}), form="json")
    assert json.loads(line) == {
        "time": "2025-11-27T08:00:00.250Z",
        "level": "note",
        "event": "group-made",
        "text": "a group",
        "group": "g",
        "size": 2,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_for_the_journal_have_its_priorities(
    monkeypatch: pytest.MonkeyPatch, form: LogFormat
) -> None:
    facts = [Fact("a", "one"), Fact("b", "two", "warning"), Fact("c", "three", "error")]
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    with os.fdopen(reading) as reader:
        with os.fdopen(writing, "w") as stream, LogWriter(stream, form, now_s=lambda: NOW_S) as log:
            for fact in facts:
                log(fact)
        lines = reader.read().splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<4>", "<3>"]
    rest = [line[3:] for line in lines]
    if form == "json":
        assert [json.loads(line)["text"] for line in rest] == ["one", "two", "three"]
    else:
        assert rest == ["one", "warning: two", "error: three"], "the journal has the time"


def test_a_stream_that_is_not_the_journals_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")  # of whoever has started this
    with os.fdopen(reading) as reader:
        with os.fdopen(writing, "w") as stream, LogWriter(stream, now_s=lambda: NOW_S) as log:
            log(Fact("made", "a group"))
        assert reader.read() == "2025-11-27T08:00:00.250Z a group\n"


def test_names_of_clients_can_not_forge_lines_or_colours() -> None:
    text = "group a\n2025-11-27 all is well\x1b[31m\u2028\u202e"
    [line] = written(Fact("made", text))
    assert line.endswith("group a\\n2025-11-27 all is well\\x1b[31m\\u2028\\u202e")
    [line] = written(Fact("made", text), form="json")
    assert json.loads(line)["text"] == text


def test_a_quiet_log_has_warnings_and_errors() -> None:
    facts = [Fact("a", "one"), Fact("b", "two", "warning"), Fact("c", "three", "error")]
    assert [line.split()[-1] for line in written(*facts, quiet=True)] == ["two", "three"]


def test_who_does_not_read_the_log_holds_nobody_up_and_learns_what_is_missing() -> None:
    reading, writing = os.pipe()
    read: list[str] = []
    with os.fdopen(reading) as reader:
        with os.fdopen(writing, "w") as stream, LogWriter(stream) as log:
            began_s = time.monotonic()
            for number in range(20_000):
                log(Fact("made", f"{number} {'x' * 100}"))
            assert time.monotonic() - began_s < 3
            read += (reader.readline() for _ in range(5_000))
            log(Fact("made", "the last one"))
            collecting = threading.Thread(target=lambda: read.extend(reader))
            collecting.start()
        collecting.join()
    assert [line for line in read if "lines of the log are lost" in line]
    assert read[-1].endswith("the last one\n")


def test_a_reader_that_goes_away_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with LogWriter(stream) as log:
        log(Fact("made", "a group"))
        log(Fact("made", "another"))
    with suppress(BrokenPipeError):
        stream.close()
