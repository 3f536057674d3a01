"""A group from its start to its summary, wherever it runs."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import anyio
from attrs import field, frozen

from callboard.cli.application import INTERRUPTED
from callboard.cli.live import View
from callboard.cli.output import Output, Refusal, refusal
from callboard.cli.streams import abandon_output
from callboard.cluster.errors import Left
from callboard.events import LOG_NAME, RunEnded, read_log
from callboard.report import Run, derive, document, fold
from callboard.report.record import Recorder
from callboard.report.text import summary

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotStarted(Exception):
    """The group could not be started, or not be followed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def not_started(code: str, text: str, hint: str | None = None, *, exit_code: int = 2) -> NotStarted:
    """That a group could not be started, for one reason that has no place in a file."""
    return NotStarted(refusal(code, text, hint, exit_code=exit_code))


class Running(Protocol):
    """A group that runs, on this machine or elsewhere."""

    @property
    def log_error(self) -> OSError | None:
        """Why it can't be recorded any more, None as long as it can."""

    @property
    def time_s(self) -> float:
        """Seconds since it began."""

    def interrupt(self, reason: str) -> None:
        """End it in order."""

    def kill(self) -> None:
        """Wait for its orderly end no longer."""

    async def wait(self) -> RunEnded:
        """How it ended; waits until it has, or raises Left when it was left before."""


@frozen
class Course:
    """How a group is run.

    Attributes:
        opened: The context in which it runs; entering it raises NotStarted where it can't be
            started, and so does `wait` where that is seen later.
        directory: Where it is recorded; None for nowhere.
        recorder: Has been given every event at the end, where it isn't recorded.
        first: What a first interruption says, which ends the group in order.
        second: What a second one says.
    """

    opened: AbstractAsyncContextManager[Running]
    directory: Path | None
    recorder: Recorder = field(factory=Recorder)
    first: str = "stopping in order; once more to stop at once"
    second: str = "stopping at once"


class Execution:
    """A group that is run and shown, from its start to its summary.

    Args:
        course: How it is run.
        said: Where the summary goes.
        view: Shows it meanwhile.
        junit: Where the JUnit file goes that is asked for.
    """

    def __init__(self, course: Course, said: Output, view: View, junit: Path | None = None) -> None:
        self._course = course
        self._said = said
        self._view = view
        self._junit = junit
        self._group: Running | None = None

    async def run(self) -> int:
        """Run the group; returns the exit code.

        Raises:
            NotStarted: It could not be started.
            Left: It runs elsewhere, and was left there.
            KeyboardInterrupt: It was interrupted before it was started.
        """
        heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*heard) as signals:
            code, log_error = await self._run_group(signals)
            if log_error is not None:
                self._error(f"the run can't be recorded any more: {log_error}")
            # Here signals wait, for an impatient one must not cost the reports.
            return self._report(code, failed=log_error is not None)

    async def _run_group(self, signals: AsyncIterator[signal.Signals]) -> tuple[int, object]:
        failure: NotStarted | Left | None = None
        code = INTERRUPTED
        log_error: OSError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._interrupt, signals, tasks.cancel_scope)
            try:
                async with self._course.opened as group:
                    self._group = group
                    with self._view.shown():
                        tasks.start_soon(self._view.refresh, lambda: group.time_s)
                        code = (await group.wait()).exit_code
                        log_error = group.log_error
                        tasks.cancel_scope.cancel()
            except (NotStarted, Left) as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if self._group is None:
            raise KeyboardInterrupt
        return code, log_error

    async def _interrupt(
        self, signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
    ) -> None:
        count = 0
        async for number in signals:
            count += 1
            if self._group is None:
                scope.cancel()
            elif count == 1:
                self._view.note(self._course.first)
                self._group.interrupt(f"interrupted by {number.name}")
            elif count == 2:
                self._view.note(self._course.second)
                self._group.kill()
            else:
                self._group.kill()
                os._exit(INTERRUPTED)

    def _report(self, code: int, *, failed: bool) -> int:
        directory = self._course.directory
        try:
            if directory is None:
                run = self._course.recorder.run()
            else:
                run = derive(directory, junit_file=self._junit)
        except OSError as error:
            assert directory is not None, "nothing is written without one"
            if not failed:
                self._error(f"the reports can't be written: {error}")
            run = fold(read_log(directory / LOG_NAME))
            code = code if code == INTERRUPTED else 3
        try:
            self._show(run, code)
        except BrokenPipeError:  # who reads no more of the summary may still want the exit code
            abandon_output()
        except OSError:
            if code != INTERRUPTED:  # the terminal may have gone, which is why
                raise
            abandon_output()
        return code

    def _show(self, run: Run, code: int) -> None:
        directory = self._course.directory
        if self._said.json:
            self._said.document(document(run, directory) | {"exit_code": code})
        else:
            summary(run, directory, self._said.console)

    def _error(self, text: str) -> None:
        self._said.note(f"callboard: error: {text}", style="red")
