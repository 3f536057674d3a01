"""What is derived from the log of a run."""

import io
import json
import tracemalloc
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rich.console import Console

from callboard.events import (
    FORMAT,
    LOG_NAME,
    ActionEnded,
    ActionStarted,
    Body,
    CallAnswered,
    CallMade,
    ConsoleInput,
    ConsoleOutput,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    JobResult,
    JobStarted,
    Message,
    RunEnded,
    RunStarted,
    TestCaseEnded,
    TestCaseResult,
    TestCaseStarted,
    TestRunEnded,
    TestRunStarted,
    encode,
)
from callboard.journal import LogFile
from callboard.report import ReportError, derive, document, fold, schema
from callboard.report.record import Case, Job
from callboard.report.text import MOST_ROWS, summary

BEGAN = "2026-02-11T10:00:00+00:00"
STARTED = RunStarted(FORMAT, "group", "demo", multinode=True, jobs=1, started_at=BEGAN)
CREATED = JobCreated(7, 0, "server", "local-1", "local", "job_name: demo\n")
RESULT = TestCaseResult(7, "0_x", "speed", "pass", 0.5, measurement=4.25, units="MB/s")


def log(folder: Path, *bodies: Body, causes: dict[int, int] | None = None) -> Path:
    """A run directory whose log has these events, one a second."""
    folder.mkdir(exist_ok=True)
    file = LogFile(folder / LOG_NAME)
    for seq, body in enumerate(bodies, start=1):
        file(Event(seq, seq - 1.0, "/", body, (causes or {}).get(seq)))
    file.close()
    return folder


def output(folder: Path) -> list[dict[str, object]]:
    loaded: list[dict[str, object]] = yaml.safe_load((folder / "jobs/7/output.yaml").read_text())
    return loaded


WHOLE = (
    STARTED,
    CREATED,
    JobResult(7, "validate", "pass"),
    JobStarted(7),
    ActionStarted(7, "1", "deploy", "common", 3_725),
    ActionStarted(7, "1.1", "download", "common", 60),
    ActionEnded(7, "1.1", "download", "common", 0.0, "skip", recorded=True, reason="no images"),
    ActionEnded(7, "1", "deploy", "common", 61.0, "pass"),
    ConsoleInput(7, "common", "run"),
    TestRunStarted(7, "0_x", "7_1.1"),
    ConsoleOutput(7, "common", "<LAVA_SIGNAL_STARTTC speed>"),
    ConsoleOutput(7, "common", "fast"),
    ConsoleOutput(7, "common", "<LAVA_SIGNAL_ENDTC speed>"),
    TestCaseStarted(7, "0_x", "speed"),
    TestCaseEnded(7, "0_x", "speed"),
    RESULT,
    CallMade(7, "wait", "never", limit_s=2.0),
    CallAnswered(7, "wait", "never", "fail", 2.0, reason="8 (client) did not send it"),
    TestCaseResult(7, "0_x", "multinode-wait-never", "fail", 2.0, set="first"),
    Message(7, "feedback", "from the other", "other"),
    TestRunEnded(7, "0_x", "7_1.1", "common", "fail", 6.0, path="x.yaml"),
    JobEnded(7, "incomplete", Failure("TestError", "it broke", "3 multinode-test"), 21.0),
    RunEnded("incomplete", 3, 22.0),
)
CAUSES = {14: 11, 15: 13}


def test_the_log_of_a_job_is_lavas(tmp_path: Path) -> None:
    derive(log(tmp_path, *WHOLE, causes=CAUSES))
    entries = [(each["lvl"], each["msg"]) for each in output(tmp_path)]
    lava = {"definition": "lava"}
    assert entries == [
        ("results", lava | {"case": "validate", "result": "pass"}),
        ("info", "start: 1 deploy (timeout 01:02:05) [common]"),
        ("debug", "start: 1.1 download (timeout 00:01:00) [common]"),
        ("info", "skipped 1.1 download: no images"),
        ("debug", "end: 1.1 download (duration 00:00:00) [common]"),
        (
            "results",
            lava
            | {"case": "download", "result": "skip", "namespace": "common", "level": "1.1"}
            | {"duration": 0.0, "extra": "no images"},
        ),
        ("info", "end: 1 deploy (duration 00:01:01) [common]"),
        ("input", "run"),
        ("debug", "test definition 0_x 7_1.1 begins"),
        ("target", "<LAVA_SIGNAL_STARTTC speed>"),
        ("target", "fast"),
        ("target", "<LAVA_SIGNAL_ENDTC speed>"),
        (
            "results",
            {"definition": "0_x", "case": "speed", "result": "pass"}
            | {"measurement": 4.25, "units": "MB/s", "starttc": 10, "endtc": 12},
        ),
        ("error", "8 (client) did not send it"),
        (
            "results",
            {"definition": "0_x", "case": "multinode-wait-never", "result": "fail"}
            | {"set": "first"},
        ),
        ("feedback", "from the other"),
        (
            "results",
            lava
            | {"case": "0_x", "result": "fail", "uuid": "7_1.1", "namespace": "common"}
            | {"duration": 6.0, "revision": "unspecified", "path": "x.yaml"},
        ),
        (
            "results",
            lava | {"case": "job", "result": "fail", "error_msg": "it broke", "error_type": "Test"},
        ),
    ]
    assert output(tmp_path)[0]["dt"] == "2026-02-11T10:00:02.000000+00:00"
    assert output(tmp_path)[15]["ns"] == "other"


def test_results_name_their_lines(tmp_path: Path) -> None:
    derive(log(tmp_path, *WHOLE, causes=CAUSES))
    results = yaml.safe_load((tmp_path / "results.yaml").read_text())
    lines = (tmp_path / "jobs/7/output.yaml").read_text().splitlines()
    for each in results:
        assert '"lvl": "results"' in lines[each["log_line"] - 1]
        assert f'"case": "{each["name"]}"' in lines[each["log_line"] - 1]
    [speed] = [each for each in results if each["name"] == "speed"]
    assert (speed["suite"], speed["measurement"], speed["unit"]) == ("0_x", 4.25, "MB/s")
    assert (speed["log_start_line"], speed["log_end_line"]) == (10, 12)
    assert [each["name"] for each in results] == [
        "validate",
        "download",
        "speed",
        "multinode-wait-never",
        "0_x",
        "job",
    ]


def test_the_document_keeps_its_schema(tmp_path: Path) -> None:
    run = derive(log(tmp_path, *WHOLE, causes=CAUSES))
    found = document(run, tmp_path)
    Draft202012Validator(schema("run")).validate(json.loads(json.dumps(found)))
    assert (found["status"], found["exit_code"], found["duration"]) == ("incomplete", 3, 22.0)
    [job] = run.jobs
    assert (job.started_s, job.finished_s) == (3.0, 21.0)
    assert [each.reason for each in job.cases if each.result == "fail"] == [
        "8 (client) did not send it",
        None,
        None,
    ]


def test_junit_has_a_suite_a_definition_and_the_node_in_the_class(tmp_path: Path) -> None:
    derive(log(tmp_path, *WHOLE), junit_file=tmp_path / "other.xml")
    assert not (tmp_path / "junit.xml").exists()
    root = ET.parse(tmp_path / "other.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {"0_x", "lava"}
    cases = {case.get("name"): case for case in suites["0_x"]}
    assert {case.get("classname") for case in cases.values()} == {"server.7-local-1"}
    [failure] = cases["first/multinode-wait-never"]
    assert (failure.tag, failure.get("message")) == ("failure", "8 (client) did not send it")
    assert suites["0_x"].get("failures") == "1"
    assert suites["lava"].get("skipped") == "1"


def test_deriving_again_gives_the_same_bytes(tmp_path: Path) -> None:
    def content() -> dict[str, bytes]:
        files = [each for each in tmp_path.rglob("*") if each.is_file()]
        return {str(each): each.read_bytes() for each in files}

    derive(log(tmp_path, *WHOLE))
    first = content()
    derive(tmp_path)
    assert content() == first
    assert len(first) == 5


def test_a_run_that_was_cut_off_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    run = derive(log(tmp_path, *WHOLE[:16]))
    assert (run.ended, run.status, run.exit_code) == (False, "incomplete", 3)
    [job] = run.jobs
    assert job.health == "incomplete"
    assert job.error is not None
    assert "cut off" in job.error.message
    assert [case.case for case in job.cases] == ["validate", "download", "speed"]
    Draft202012Validator(schema("run")).validate(json.loads(json.dumps(document(run, tmp_path))))


def test_a_directory_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"has no events\.jsonl"):
        derive(tmp_path)


def test_a_damaged_log_is_refused_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    log(tmp_path, *WHOLE)
    with (tmp_path / LOG_NAME).open("ab") as file:
        file.write(b"garbage\n")
    with pytest.raises(ReportError, match=r"events\.jsonl:24: not an event"):
        derive(tmp_path)
    assert not (tmp_path / "results.yaml").exists()
    assert [each.name for each in (tmp_path / "jobs/7").iterdir()] == ["definition.yaml"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(TEXT, min_size=1, max_size=5), TEXT)
def test_any_text_stays_one_line_that_yaml_reads_back(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], name: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    derive(
        log(
            folder,
            STARTED,
            CREATED,
            *(ConsoleOutput(7, "common", text) for text in texts),
            TestCaseResult(7, "0_x", name, "pass", 0.0),
        )
    )
    assert [each["msg"] for each in output(folder)][:-1] == texts
    assert (folder / "jobs/7/output.yaml").read_text().count("\n") == len(texts) + 1
    [result] = yaml.safe_load((folder / "results.yaml").read_text())
    assert result["name"] == name
    ET.parse(folder / "junit.xml")


def test_a_line_that_is_too_long_is_replaced_by_a_note(tmp_path: Path) -> None:
    derive(log(tmp_path, STARTED, CREATED, ConsoleOutput(7, "common", "x" * 100_000)))
    assert output(tmp_path)[0]["msg"] == "<a line of 100000 characters is left out>"


def test_memory_does_not_grow_with_the_console(tmp_path: Path) -> None:
    log(tmp_path, STARTED, CREATED)
    line = encode(Event(3, 1.0, "/", ConsoleOutput(7, "common", "a line of output" * 8)))
    with (tmp_path / LOG_NAME).open("ab") as file:
        file.writelines([line] * 20_000)
    tracemalloc.start()
    try:
        derive(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(line) * 20_000 > 4_000_000
    assert peak < 1_000_000


def test_folding_needs_no_files() -> None:
    bodies: tuple[Body, ...] = WHOLE
    run = fold(Event(seq, 0.0, "/", body) for seq, body in enumerate(bodies, start=1))
    assert run.name == "demo"
    assert len(run.jobs) == 1


def shown(jobs: list[tuple[str, str]], width: int) -> list[str]:
    """The lines of a summary on a terminal of a width; jobs are given by role and device."""
    cases = (Case("0_x", "a", "pass", 1), Case("0_x", "b", "fail", 2))
    made = tuple(
        Job(number, number, role, device, "local", "complete", None, 0.0, 1.25, cases)
        for number, (role, device) in enumerate(jobs, start=1)
    )
    run = evolve(fold([Event(1, 0.0, "/", STARTED)]), jobs=made, ended=True)
    file = io.StringIO()
    summary(run, None, Console(file=file, width=width))
    return file.getvalue().splitlines()


NAMES = st.text("abcdefghij-", min_size=1, max_size=12)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=30), st.integers(32, 120))
def test_names_are_whole_on_a_terminal_of_any_width(
    jobs: list[tuple[str, str]], width: int
) -> None:
    lines = shown(jobs, width)
    assert max(map(len, lines)) <= width
    for number, (role, device) in enumerate(jobs, start=1):
        named = {str(number), role, device} if len(jobs) <= MOST_ROWS else {role}
        assert any(named <= {*line.replace(",", "").split()} for line in lines)


def test_a_terminal_that_is_too_narrow_for_the_table_has_two_lines_a_job() -> None:
    def table(width: int) -> list[str]:
        lines = shown([("server", "w1/local-1"), ("client", "w1/local-2")], width)
        return lines[lines.index("") + 1 :]

    assert table(58)[:3] == [
        "job  role    device      health    pass  fail  skip   time",
        "  1  server  w1/local-1  complete     1     1     0  1.2 s",
        "  2  client  w1/local-2  complete     1     1     0  1.2 s",
    ]
    assert table(57)[:4] == [
        "1 server on w1/local-1",
        "  complete, 1 pass, 1 fail, 1.2 s",
        "2 client on w1/local-2",
        "  complete, 1 pass, 1 fail, 1.2 s",
    ]


def test_a_terminal_that_is_too_narrow_for_the_table_has_two_lines_a_role() -> None:
    lines = shown([("client", "local")] * (MOST_ROWS + 1), 40)
    assert lines[-3:-1] == ["client, 21 nodes", "  complete, 21 pass, 21 fail, 1.2 s"]
