"""The directory that a verb records a run in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from callboard.cli.execution import NotStarted
from callboard.cli.output import Refusal, refusal
from callboard.events import LOG_NAME
from callboard.running import RUNS, new_directory


@contextlib.contextmanager
def run_directory(named: str | None, job_name: str) -> Iterator[Path]:
    """Make the directory of a run; what was made in vain is removed again.

    Args:
        named: What the user has named, None for a new one below `RUNS`.
        job_name: After which that is called.

    Raises:
        Refusal: It can't be written, or holds a run already; or nothing was started.
    """
    made = _make(Path(named) if named else RUNS)
    if not named:
        made.insert(0, _make_new(job_name))
    try:
        yield Path(named) if named else made[0]
    except NotStarted as error:
        _remove(made)
        raise error.refusal from error
    except KeyboardInterrupt:
        _remove(made)
        raise


def _make_new(name: str) -> Path:
    """Make the default directory of a run."""
    try:
        return new_directory(name)
    except OSError as error:
        raise _unwritable(Path(error.filename or RUNS), error) from error


def _make(directory: Path) -> list[Path]:
    """Make the output directory and see that it can be written; returns the folders made."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        _remove(missing)
        raise _unwritable(directory, error) from error
    if (directory / LOG_NAME).exists():
        hint = "name another with -o, or remove it"
        raise refusal("CB105", f"{directory} holds a run already", hint)
    return missing


def _unwritable(directory: Path, error: OSError) -> Refusal:
    reason = error.strerror or str(error)
    return refusal("CB105", f"{directory} can't be written: {reason}", "name another with -o")


def _remove(folders: list[Path]) -> None:
    """Remove empty folders that were made in vain."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
