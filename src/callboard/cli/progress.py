"""A bar that shows how far something has come, for those who wait at a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from callboard.cli.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress

_PATIENCE_S = 0.5
_REDRAWN_S = 0.1
_WIDTH = 30
"""Columns of the bar itself: the line leaves room for the terminal's own ^C."""


class Bar:
    """Appears on standard error when something takes long; vanishes when it is over.

    Args:
        said: Whether there is a terminal, and a wish to see it.
        text: What is counted.
        total: How much there is to do, None if nobody knows.
    """

    def __init__(self, said: Output, text: str, total: int | None = None) -> None:
        self._wanted = not said.quiet and not said.json
        self._said = said
        self._text = text
        self._total = total
        self._progress: Progress | None = None
        self._done = 0
        self._due_s = time.monotonic() + _PATIENCE_S

    def advance(self) -> None:
        """One more is done."""
        self.reach(self._done + 1)

    def reach(self, done: int) -> None:
        """So many are done."""
        self._done = done
        now_s = time.monotonic()
        if now_s < self._due_s or not self._wanted:
            return
        self._due_s = now_s + _REDRAWN_S
        with suppress(OSError):
            self._draw()

    def close(self) -> None:
        """Remove it from the screen."""
        if self._progress is not None:
            with suppress(OSError):
                self._progress.stop()

    def _draw(self) -> None:
        if not self._said.log.is_terminal:
            self._wanted = False
            return
        if self._progress is None:
            self._progress = self._made()
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=self._done, refresh=True)

    def _made(self) -> "Progress":
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        count = MofNCompleteColumn() if self._total else TextColumn("{task.completed:,.0f}")
        progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(_WIDTH),
            count,
            Remaining(),
            console=self._said.log,
            transient=True,
            auto_refresh=False,
        )
        progress.add_task(self._text, total=self._total)
        return progress


@contextmanager
def bar(said: Output, text: str, total: int | None = None) -> Iterator[Bar]:
    """A bar while the context is open; see `Bar`."""
    shown = Bar(said, text, total)
    try:
        yield shown
    finally:
        shown.close()
