"""Standard streams and signals in whatever state a user's shell, pipe or terminal leaves them."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import IO

import click
import pexpect
import pyte
import pytest
from tests.commandline import nobody_reads

from callboard.cli.application import application
from callboard.cli.live import Board, Lines
from callboard.cli.output import Output
from callboard.events import Event, JobCreated, JobEnded, read_log
from callboard.running import new_directory

CALLBOARD = [sys.executable, "-m", "callboard"]
SINGLE = Path(str(files("callboard.scenarios"))) / "single.yaml"

WAITING = """\
job_name: waiting
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 1}, connection: {minutes: 1}}
protocols:
  lava-multinode:
    roles:
      server: {device_type: qemu, count: 1}
      client: {device_type: qemu, count: 1}
    timeout: {minutes: 1}
actions:
- deploy: {role: [server, client], to: tmpfs, os: oe, images: {r: {url: "http://files.example/r"}}}
- boot: {role: [server, client], method: qemu, prompts: ['#']}
- test:
    role: [server, client]
    definitions:
    - from: inline
      name: w
      path: w.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: w}
        run: {steps: [lava-test-case before --result pass, lava-wait never]}
"""


def callboard(
    folder: Path, *arguments: str, stdout: int | IO[str] = subprocess.PIPE, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a folder."""
    ran = subprocess.run(
        [*CALLBOARD, *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | {"COLUMNS": "80"} | variables,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return ran


def closed(folder: Path, descriptors: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line with closed descriptors, e.g. `>&- 2>&-`."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {descriptors}', "sh", *CALLBOARD, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe", str(SINGLE)],
        ["describe", str(SINGLE), "--json"],
        ["devices", "--json"],
        ["run", str(SINGLE), "-o", "out"],
        ["run", str(SINGLE), "-o", "out", "--json"],
    ],
)
def test_a_full_standard_output_is_one_clear_error(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = callboard(tmp_path, *arguments, stdout=full)
    assert ran.returncode == 3
    message = f"the output can't be written: {os.strerror(errno.ENOSPC)}"
    assert ran.stderr == f"callboard: error[CB105]: {message}\n"


def test_a_full_standard_output_loses_no_reports(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        callboard(tmp_path, "run", str(SINGLE), "-o", "out", stdout=full)
    assert (tmp_path / "out/results.yaml").exists()


def test_bad_input_keeps_its_exit_code_when_the_output_is_full(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        assert callboard(tmp_path, "run", "none.yaml", "--json", stdout=full).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["describe", "--help"],
        ["describe", str(SINGLE)],
        ["describe", str(SINGLE), "--json"],
        ["check", str(SINGLE)],
        ["flow", str(SINGLE)],
    ],
)
def test_a_reader_that_goes_away_ends_a_verb_as_it_ends_other_programs(
    tmp_path: Path, arguments: list[str]
) -> None:
    with nobody_reads() as pipe:
        ran = callboard(tmp_path, *arguments, stdout=pipe)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("descriptors", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error_and_their_numbers_no_files(
    tmp_path: Path, descriptors: str
) -> None:
    ran = closed(tmp_path, descriptors, "run", str(SINGLE), "-o", "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert all(event.seq for event in read_log(tmp_path / "out/events.jsonl"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_an_encoding_that_lacks_characters_ends_no_run(tmp_path: Path, encoding: str) -> None:
    text = SINGLE.read_text().replace("job_name: single", "job_name: zażółć 漢")
    (tmp_path / "job.yaml").write_text(text, encoding="utf-8")
    ran = callboard(tmp_path, "run", "job.yaml", "-vv", "-o", "out", PYTHONIOENCODING=encoding)
    assert ran.returncode == 0
    raw = subprocess.run(
        [*CALLBOARD, "report", "out", "--json"],
        capture_output=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        timeout=60,
        check=True,
    ).stdout
    assert json.loads(raw.decode(encoding))["name"] == "zażółć 漢"


def test_describe_acts_on_no_escape_of_a_definition(tmp_path: Path) -> None:
    text = SINGLE.read_text().replace("job_name: single", 'job_name: "\\e[2J[bold]x[/y]"')
    (tmp_path / "job.yaml").write_text(text)
    first = callboard(tmp_path, "describe", "job.yaml", "--color", "always").stdout.splitlines()[0]
    assert first == "\N{REPLACEMENT CHARACTER}[2J[bold]x[/y]: a single node, 1 job"


def until_it_reads_a_pipe(pid: int) -> None:
    """A signal just before a process blocks would only be noticed when it has read something."""
    deadline_s = time.monotonic() + 10
    while "pipe_read" not in Path(f"/proc/{pid}/wchan").read_text():
        assert time.monotonic() < deadline_s, "it doesn't read"
        time.sleep(0.001)


_INTERRUPTED_WHILE_LOADING = """
import os, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Interrupting())
sys.argv = ["callboard", "run", "none.yaml", "--json"]
from callboard.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_while_callboard_is_loaded_are_interruptions(number: signal.Signals) -> None:
    program = _INTERRUPTED_WHILE_LOADING.format(number=int(number))
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr.strip()) == (130, "interrupted")
    assert json.loads(ran.stdout)["status"] == "canceled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_before_anything_runs_are_interruptions(
    tmp_path: Path, number: signal.Signals
) -> None:
    os.mkfifo(tmp_path / "slow.yaml")
    process = subprocess.Popen(
        [*CALLBOARD, "run", "slow.yaml", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    # Opening the pipe for writing returns when callboard has opened it for reading.
    with (tmp_path / "slow.yaml").open("w"):
        until_it_reads_a_pipe(process.pid)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(stdout) == {"status": "canceled", "exit_code": 130, "diagnostics": []}
    assert stderr.strip() == "interrupted"


def canceled_because(directory: Path) -> set[str]:
    bodies = [event.body for event in read_log(directory / "events.jsonl")]
    ended = [body for body in bodies if isinstance(body, JobEnded)]
    assert len(ended) == 2
    return {body.error.message for body in ended if body.error is not None}


def test_a_run_under_nohup_outlives_its_terminal(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(WAITING)
    process = subprocess.Popen(
        ["nohup", *CALLBOARD, "run", "job.yaml", "--no-check", "-o", "out"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    waits = (line for line in process.stdout if "lava-wait never waits" in line)
    assert [next(waits), next(waits)]
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert all("SIGTERM" in reason for reason in canceled_because(tmp_path / "out"))


def terminal(folder: Path, arguments: Sequence[str], width: int = 60) -> "pexpect.spawn[str]":
    (folder / "job.yaml").write_text(WAITING)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    return pexpect.spawn(
        CALLBOARD[0],
        [*CALLBOARD[1:], *arguments],
        dimensions=(16, width),
        encoding="utf-8",
        cwd=str(folder),
        env=environment,
        timeout=30,
    )


def test_a_terminal_that_goes_away_ends_the_run_in_order(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(WAITING)
    master, slave = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *CALLBOARD, "run", "job.yaml", "--no-check", "-o", "out"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=tmp_path,
    )
    os.close(slave)
    printed = b""
    while printed.count(b"never") < 2:
        printed += os.read(master, 4096)
    os.close(master)  # hangs up
    assert process.wait(timeout=30) == 130
    assert all("SIGHUP" in reason for reason in canceled_because(tmp_path / "out"))
    assert (tmp_path / "out/results.yaml").exists()


def test_the_table_shows_who_waits_on_sixty_columns_and_vanishes(tmp_path: Path) -> None:
    child = terminal(tmp_path, ["run", "job.yaml", "--no-check", "-o", "out", "--first-id", "101"])
    screen = pyte.Screen(60, 16)
    stream = pyte.Stream(screen)
    rows: list[list[str]] = []
    while [row[-4:-2] for row in rows] != [["wait", "never"]] * 2:
        stream.feed(child.read_nonblocking(4096, timeout=30))
        rows = [line.split() for line in screen.display if line.lstrip().startswith("10")]
    assert [(row[0], row[1], row[2], row[-2:]) for row in rows] == [
        ("101", "server", "0_w", ["1", "0"]),
        ("102", "client", "0_w", ["1", "0"]),
    ]
    child.sendintr()
    with contextlib.suppress(pexpect.EOF):
        while True:
            stream.feed(child.read_nonblocking(4096, timeout=30))
    child.close()
    assert child.exitstatus == 130
    text = "\n".join(line.rstrip() for line in screen.display)
    assert "stopping in order; once more to stop at once" in text
    assert "waits for" not in text
    assert "canceled, exit code 130" in text


@pytest.mark.parametrize(
    ("arguments", "variables", "styled"),
    [
        ([], {}, True),
        ([], {"NO_COLOR": ""}, True),
        ([], {"NO_COLOR": "1"}, False),
        (["--color", "never"], {}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
    ],
)
def test_a_terminal_gets_styles_unless_they_are_unwanted(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], styled: bool
) -> None:
    callboard(tmp_path, "run", str(SINGLE), "-q", "-o", "out")
    child = pexpect.spawn(
        CALLBOARD[0],
        [*CALLBOARD[1:], "report", "out", *arguments],
        encoding="utf-8",
        cwd=str(tmp_path),
        env={**os.environ, "TERM": "xterm-256color", "NO_COLOR": ""} | variables,
        timeout=30,
    )
    child.expect(pexpect.EOF)
    assert child.before is not None
    assert ("\x1b[" in child.before) == styled


def test_json_from_the_configuration_holds_for_errors_too(tmp_path: Path) -> None:
    for verb, *wrong in (["run", "none.yaml"], ["run", "--bogus"], ["devices", "--devices", "x"]):
        (tmp_path / "callboard.toml").write_text(f"[{verb}]\njson = true\n")
        ran = callboard(tmp_path, verb, *wrong)
        assert (ran.returncode, json.loads(ran.stdout)["status"]) == (2, "invalid")


FAULT = """
import sys
from callboard.cli import application, describe
def broken(*_): raise RuntimeError("boom")
describe.definition = broken
sys.exit(application.run(sys.argv[1:]))
"""


@pytest.mark.parametrize("options", [[], ["-v"], ["-vv"]])
def test_a_fault_of_callboard_is_one_document_and_a_traceback_if_asked_for(
    tmp_path: Path, options: list[str]
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FAULT, "describe", "x", "--json", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["status"], found["exit_code"]) == (3, "failed", 3)
    assert found["diagnostics"][0]["code"] == "CB109"
    assert ("Traceback" in ran.stderr) == (options == ["-vv"])


def test_several_problems_are_counted_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("job_name: x\ntimeouts: {}\nactions: []\nfoo: 1\n")
    lines = callboard(tmp_path, "run", "bad.yaml").stderr.splitlines()
    errors = sum(": error[" in line for line in lines)
    assert lines[-1] == f"callboard: {errors} errors, 1 warning"


def test_runs_that_begin_in_the_same_second_get_directories_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("callboard-runs").mkdir()
    together = threading.Barrier(16)

    def make(_: int) -> Path:
        together.wait()
        return new_directory("a/../b: ümlaut")

    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(make, range(16)))
    assert len(set(made)) == 16
    assert {path.parent for path in made} == {Path("callboard-runs")}
    assert all(path.is_dir() and ".." not in path.parts for path in made)


def test_the_list_of_verbs_says_what_their_help_says() -> None:
    """It is written a second time, so that it is printed without loading the verbs."""
    context = click.Context(application)
    for name in application.list_commands(context):
        command = application.get_command(context, name)
        assert command is not None
        listed = application.get_help(context)
        assert f"\n  {name} " in listed
    assert set(application.list_commands(context)) == set(application.commands)


class Gone:
    """A file that can't be written any more."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "gone", text)

    def flush(self) -> None:
        raise OSError(errno.EIO, "gone")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "gone"), ValueError("closed file")])
def test_lines_that_nobody_can_read_end_no_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken(Gone):
        def write(self, text: str) -> int:  # noqa: ARG002 - the signature of a stream
            raise error

    monkeypatch.setattr(sys, "stdout", Broken())
    lines = Lines(Output())
    lines(Event(1, 0.0, "/", JobCreated(1, 0, "a", "local-1", "local", "")))
    for seq in (2, 3):
        lines(Event(seq, 0.0, "/", JobEnded(1, "complete", None, 1.0)))


def test_a_note_shows_names_literally(capsys: pytest.CaptureFixture[str]) -> None:
    Board(Output().console).note("waiting for devices; busy: [red]a[/red], [/b]\x1b[2J")
    text = capsys.readouterr().out
    assert "busy: [red]a[/red], [/b]\N{REPLACEMENT CHARACTER}[2J" in text
