"""The file into which `callboard simulate --trace` writes the event log of a rehearsal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from callboard.cli.output import Refusal, refusal
from callboard.events import Event
from callboard.simulation.simulator import Trace


class Log(Trace):
    """A trace that remembers why it can't be written."""

    def __init__(self, file: BinaryIO | None) -> None:
        super().__init__(file)
        self.error: OSError | None = None

    def __call__(self, event: Event) -> None:
        """Write the next event."""
        try:
            super().__call__(event)
        except OSError as error:
            self.error = error
            raise


@contextmanager
def opened(name: str) -> Iterator[BinaryIO]:
    """A file to write a log into; what goes wrong with it while the context is open is told, too.

    Raises:
        Refusal: It can't be opened or written.
    """
    try:
        file = open(name, "wb")  # noqa: PTH123, SIM115 - it may be `/dev/stdout`
    except OSError as error:
        raise _unwritable(name, error) from error
    try:
        with file:
            yield file
    except OSError as error:
        raise _unwritable(name, error, exit_code=3) from error


def _unwritable(name: str, error: OSError, exit_code: int = 2) -> Refusal:
    text = f"{name} can't be written: {error.strerror or error}"
    return refusal("CB105", text, "name another with --trace", exit_code=exit_code)
