"""How a run is shown while it runs."""

import io

import pytest
from rich.console import Console

from callboard.cli.live import Board, Lines, Nothing, view
from callboard.cli.nodes import Nodes
from callboard.cli.output import Output
from callboard.events import (
    Absentee,
    ActionEnded,
    ActionStarted,
    Body,
    CallAnswered,
    CallMade,
    ConsoleOutput,
    Event,
    JobCreated,
    JobEnded,
    Message,
    TestCaseResult,
    TestRunEnded,
    TestRunStarted,
    WaitHopeless,
)


def created(job: int, role: str = "client") -> JobCreated:
    return JobCreated(job, job - 1, role, f"local-{job}", "local", "")


def events(*bodies: Body, causes: dict[int, int] | None = None) -> list[Event]:
    """One event a second."""
    return [
        Event(seq, float(seq), "/", body, (causes or {}).get(seq))
        for seq, body in enumerate(bodies, start=1)
    ]


def shown(bodies: list[Event], width: int, height: int, now_s: float) -> list[str]:
    """The lines of the table."""
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, force_terminal=True, no_color=True)
    board = Board(console)
    for event in bodies:
        board(event)
    console.print(board.table(now_s))
    text = file.getvalue().replace("\x1b[2m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    return [line.rstrip() for line in text.splitlines()]


def test_a_row_says_what_a_node_does_and_waits_for_and_since_when() -> None:
    lines = shown(
        events(
            created(1, "server"),
            created(2),
            ActionStarted(1, "1", "deploy", "common", 60),
            ActionStarted(1, "1.1", "download", "common", 60),
            TestRunStarted(2, "0_use", "2_1"),
            TestCaseResult(2, "0_use", "x", "pass", 0.0),
            TestCaseResult(2, "0_use", "y", "fail", 0.0),
            CallMade(2, "wait-all", "ready", role="server", limit_s=30.0),
        ),
        60,
        20,
        now_s=20.0,
    )
    assert [line.split() for line in lines] == [
        ["job", "role", "doing", "waits", "for", "ok", "bad"],
        ["1", "server", "1.1", "download", "0", "0"],
        ["2", "client", "0_use", "12", "s", "wait-all", "ready", "server", "1", "1"],
    ]
    assert max(map(len, lines)) < 60


def test_a_wait_that_is_answered_and_an_action_that_ended_are_gone() -> None:
    nodes = Nodes()
    for event in events(
        created(1),
        ActionStarted(1, "1", "deploy", "common", 60),
        CallMade(1, "sync", "done", limit_s=30.0),
        CallMade(1, "wait", "ready", limit_s=30.0),
        CallAnswered(1, "sync", "done", "pass", 1.0),
        ActionEnded(1, "1", "deploy", "common", 1.0, "pass"),
        causes={5: 3},
    ):
        nodes(event)
    assert nodes.nodes[1].wait == ("wait ready", 4.0)
    assert nodes.nodes[1].doing == "-"
    nodes(Event(9, 9.0, "/", JobEnded(1, "complete", None, 9.0)))
    ended = nodes.nodes[1]
    assert (ended.wait, ended.doing) == (None, "complete")


def test_a_definition_that_ends_early_is_bad() -> None:
    nodes = Nodes()
    for event in events(
        created(1), TestRunStarted(1, "0_x", "1"), TestRunEnded(1, "0_x", "1", "c", "fail", 1.0)
    ):
        nodes(event)
    assert (nodes.nodes[1].passed, nodes.nodes[1].failed, nodes.nodes[1].suite) == (0, 1, None)


def test_two_hundred_nodes_fit_a_small_screen_and_the_telling_ones_are_shown() -> None:
    bodies: list[Body] = [created(job) for job in range(1, 201)]
    bodies += [CallMade(150, "wait", "early", limit_s=30.0)]
    bodies += [CallMade(job, "sync", "late", limit_s=30.0) for job in range(1, 150)]
    bodies += [TestCaseResult(200, "0_x", "y", "fail", 0.0)]
    bodies += [JobEnded(199, "complete", None, 1.0)]
    lines = shown(events(*bodies), 60, 24, now_s=400.0)
    assert len(lines) <= 23
    jobs = [line.split()[0] for line in lines[1:-1]]
    assert {"150", "200", "1", "2"} <= set(jobs)
    assert lines[-1] == f"and {200 - len(jobs)} more: {150 - len(jobs) + 1} waiting, 1 ended"


def test_what_devices_say_is_shown_literally() -> None:
    lines = shown(
        events(created(1, "[red]r[/red]"), TestRunStarted(1, "0_\x1b[2J[bold]", "1")), 80, 20, 3.0
    )
    assert "[red]r[/red]" in lines[1]
    assert "0_\N{REPLACEMENT CHARACTER}[2J[bold]" in lines[1]


def printed(capsys: pytest.CaptureFixture[str], verbosity: int, *bodies: Body) -> list[str]:
    lines = Lines(Output(verbosity=verbosity))
    for event in events(created(7), *bodies):
        lines(event)
    return [line[10:] for line in capsys.readouterr().out.splitlines()]


PRINTED: list[tuple[Body, int, str]] = [
    (ActionStarted(7, "1", "deploy", "common", 60), 0, "1 deploy"),
    (ActionStarted(7, "1.1", "download", "common", 60), 1, "1.1 download"),
    (ActionEnded(7, "1.1", "x", "c", 0.0, "skip", reason="no"), 1, "1.1 x skipped: no"),
    (TestRunStarted(7, "0_x", "7"), 0, "0_x begins"),
    (TestCaseResult(7, "0_x", "y", "fail", 0.0), 0, "0_x/y: fail"),
    (CallMade(7, "wait", "z", limit_s=2.5), 0, "lava-wait z waits, at most 2.5 s"),
    (CallAnswered(7, "wait", "z", "fail", 2.5, "late"), 0, "late"),
    (CallMade(7, "start", "lava_start", "y", 9.0), 0, "the start waits for y, at most 9 s"),
    (
        WaitHopeless(7, "wait", "z", None, False, (Absentee(8, "b", "ended"),), (8,)),
        0,
        "hopeless: lava-wait z presumably can never be satisfied: 8 (b) ended without it",
    ),
    (Message(7, "warning", "hm"), 0, "warning: hm"),
    (ConsoleOutput(7, "common", "hello\x1b[1m"), 2, "| hello\N{REPLACEMENT CHARACTER}[1m"),
    (JobEnded(7, "complete", None, 1.0), 0, "complete"),
]


@pytest.mark.parametrize(("body", "verbosity", "text"), PRINTED)
def test_lines_say_what_happens(
    capsys: pytest.CaptureFixture[str], body: Body, verbosity: int, text: str
) -> None:
    assert printed(capsys, verbosity, body) == [f"7 client: {text}"]
    if verbosity:
        assert printed(capsys, verbosity - 1, body) == []


def test_only_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(view(Output(color="always")), Board)
    monkeypatch.setenv("TERM", "dumb")  # it can't be drawn on
    assert isinstance(view(Output(color="always")), Lines)
    assert isinstance(view(Output()), Lines)
    assert isinstance(view(Output(quiet=True)), Nothing)
    assert isinstance(view(Output(json=True)), Nothing)
