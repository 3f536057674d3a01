"""The command line as a user types it: in this process, or in one of its own.

Both go through `callboard.__main__.main`. To load callboard takes most of the time of a short
command; a process of its own is for what is about processes: signals, descriptors, terminals, time.
"""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from callboard.__main__ import main

CALLBOARD = [sys.executable, "-m", "callboard"]
SCENARIOS = Path(str(files("callboard.scenarios")))


@frozen
class Ran:
    """What a command has come to."""

    returncode: int
    stdout: str
    stderr: str


def callboard(folder: Path, *arguments: str | Path, **variables: str) -> Ran:
    """Run a command in a folder, in this process."""
    stdout, stderr = _stream(), _stream()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.chdir(folder)
        for name, value in ({"COLUMNS": "80"} | variables).items():
            patch.setenv(name, value)
        patch.setattr(tempfile, "tempdir", None)  # else TMPDIR would be looked at once a process
        patch.setattr(sys, "argv", ["callboard", *map(str, arguments)])
        patch.setattr(sys, "stdin", stack.enter_context(open(os.devnull)))  # noqa: PTH123 - no path
        stack.enter_context(redirect_stdout(stdout))
        stack.enter_context(redirect_stderr(stderr))
        stack.enter_context(_same_signals())
        ended = stack.enter_context(pytest.raises(SystemExit))
        main()
    code = ended.value.code
    assert isinstance(code, int)
    ran = Ran(code, _text(stdout), _text(stderr))
    assert "Traceback" not in ran.stderr
    return ran


def process(
    folder: Path, *arguments: str | Path, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, in a process of its own."""
    ran = subprocess.run(
        [*CALLBOARD, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"COLUMNS": "80"} | variables,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return ran


@contextmanager
def nobody_reads() -> Iterator[int]:
    """A pipe's end for writing, whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    try:
        yield write
    finally:
        os.close(write)


def document(ran: "Ran | subprocess.CompletedProcess[str]") -> Any:
    """The one JSON document on standard output."""
    return json.loads(ran.stdout)


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


@contextmanager
def _same_signals() -> Iterator[None]:
    """What the command has done with signals ends with it, as with a process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
