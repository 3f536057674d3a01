"""Derives the files of a run directory from its event log."""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO

from callboard.events import LOG_NAME, Event, JobCreated, LogError, RunStarted, read_log
from callboard.report.junit import junit
from callboard.report.log import Entry, line
from callboard.report.record import Recorder, Run, moment, started_at
from callboard.report.results import results

_MOST_OPEN_FILES = 100


class ReportError(Exception):
    """A run directory can't be reported on; the text names the path and what to do."""


def derive(directory: Path, *, junit_file: Path | None = None) -> Run:
    """Write everything that is derived from the log in `directory`, anew and whole.

    Args:
        directory: The run directory.
        junit_file: Where to put the JUnit file, None for `junit.xml` in the directory.

    Returns:
        The run that the log tells of.

    Raises:
        ReportError: There is no log, or it can't be read.
        OSError: A file can't be written.
    """
    log = directory / LOG_NAME
    if not log.is_file():
        raise ReportError(f"{directory} has no {LOG_NAME}; name a directory that a run has written")
    with _JobLogs(directory) as logs:
        recorder = Recorder(logs.write)
        try:
            for event in read_log(log):
                logs.follow(event)
                recorder.add(event)
        except LogError as error:
            raise ReportError(f"{error}; the log can't be used") from error
    run = recorder.run()
    _write(directory / "results.yaml", (text.encode() for text in results(run)))
    _write(junit_file or directory / "junit.xml", [junit(run)])
    return run


class _JobLogs:
    """The logs of all jobs while they are written, few of them open at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._began = started_at(RunStarted(0, "", "", multinode=False, jobs=0, started_at=None))
        self._open: OrderedDict[int, TextIO] = OrderedDict()
        self._partial: dict[int, Path] = {}

    def __enter__(self) -> "_JobLogs":
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        while self._open:
            self._open.popitem()[1].close()
        for path in self._partial.values():
            if error is None:
                path.replace(path.with_name("output.yaml"))
            else:
                path.unlink(missing_ok=True)

    def follow(self, event: Event) -> None:
        """Note when the run began, and make the folder of a new job."""
        match event.body:
            case RunStarted():
                self._began = started_at(event.body)
            case JobCreated(job=job, definition=definition):
                folder = self._directory / "jobs" / str(job)
                folder.mkdir(parents=True, exist_ok=True)
                _write(folder / "definition.yaml", [definition.encode()])
                self._partial[job] = folder / ".output.yaml"
                self._partial[job].unlink(missing_ok=True)
                self._file(job)
            case _:
                pass

    def write(self, job: int, entry: Entry) -> None:
        """Append an entry to the log of a job."""
        self._file(job).write(line(entry, self._date(entry)))

    def _date(self, entry: Entry) -> datetime:
        return moment(self._began, entry.time_s)

    def _file(self, job: int) -> TextIO:
        file = self._open.pop(job, None)
        if file is None:
            if len(self._open) >= _MOST_OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = self._partial[job].open("a", encoding="utf-8")
        self._open[job] = file
        return file


def _write(path: Path, content: Iterable[bytes]) -> None:
    """Write a file so that no reader sees half of it."""
    partial = path.with_name(f".{path.name}")
    try:
        with partial.open("wb") as file:
            file.writelines(content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
