"""The log of a coordinator: one line an event, for people or for programs.

Lines are written by a thread of their own, so that nobody who reads them slowly, or not at all,
holds the coordinator up: what can't be written meanwhile is counted, and left out.

Where the stream is the journal's (systemd: sd-daemon), a line begins with its priority.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TextIO

from callboard.coordinator.facts import Fact, Weight
from callboard.coordinator.settings import LogFormat
from callboard.coordinator.wording import one_line

_LINES = 10_000
_LEAVING_S = 2.0
_MOMENT = "%Y-%m-%dT%H:%M:%S"
_PRIORITIES: Mapping[Weight, int] = {"error": 3, "warning": 4, "note": 6}


class LogWriter(AbstractContextManager["LogWriter"]):
    """Writes the log on a stream, until left.

    Args:
        stream: Where to.
        form: Whether lines are text, or JSON documents.
        quiet: Whether what doesn't matter much is left out.
        now_s: The time, in seconds since 1970.
    """

    def __init__(
        self,
        stream: TextIO,
        form: LogFormat = "text",
        *,
        quiet: bool = False,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._form = form
        self._quiet = quiet
        self._journal = _is_journal(stream)
        self._now_s = now_s
        self._lines: queue.Queue[str | None] = queue.Queue(_LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __call__(self, fact: Fact) -> None:
        """Say it, as soon as the stream takes it; neither waits nor raises."""
        if self._quiet and fact.weight == "note":
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            text = f"{lost} lines of the log are lost, for it could not be written fast enough"
            self._put(Fact("log-lost", text, "warning", {"lines": lost}))
        self._put(fact)

    def __enter__(self) -> "LogWriter":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(queue.Full):
            self._lines.put(None, timeout=_LEAVING_S)
        self._thread.join(_LEAVING_S)

    def _put(self, fact: Fact) -> None:
        line = self._line(fact)
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def _line(self, fact: Fact) -> str:
        priority = f"<{_PRIORITIES[fact.weight]}>" if self._journal else ""
        if self._form == "json":
            head = {"level": fact.weight, "event": fact.kind, "text": fact.text}
            return priority + json.dumps({"time": self._moment()} | head | dict(fact.fields))
        moment = "" if self._journal else f"{self._moment()} "  # it has the time of each line
        mark = "" if fact.weight == "note" else f"{fact.weight}: "
        return f"{priority}{moment}{mark}{one_line(fact.text)}"

    def _moment(self) -> str:
        now_s = self._now_s()
        return f"{time.strftime(_MOMENT, time.gmtime(now_s))}.{int(now_s % 1 * 1000):03}Z"

    def _write(self) -> None:
        write = _writer(self._stream)
        while (line := self._lines.get()) is not None:
            with suppress(OSError, ValueError):  # the stream is closed, or nobody reads it
                write(f"{line}\n")


def _is_journal(stream: TextIO) -> bool:
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _writer(stream: TextIO) -> Callable[[str], object]:
    """What writes a text at once, past the buffer of a stream that is a file's.

    A thread that is left behind in the middle of a write would else hold the buffer's lock, which
    the end of the program needs.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return stream.write
    encoding = stream.encoding

    def write(text: str) -> None:
        data = text.encode(encoding, "backslashreplace")
        while data:
            data = data[os.write(descriptor, data) :]

    return write
