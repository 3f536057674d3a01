"""`callboard attach`: follows a group of a cluster."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import click

from callboard.cli.application import output, verb
from callboard.cli.cluster_options import cluster_options, named
from callboard.cli.clustered import attached
from callboard.cli.execution import Course, Execution, NotStarted
from callboard.cli.group_options import JUNIT
from callboard.cli.live import view
from callboard.cli.output import refusal
from callboard.cli.run_directory import run_directory
from callboard.cluster.errors import Left
from callboard.events import Event
from callboard.report.record import Recorder

if TYPE_CHECKING:
    from callboard.cluster.access import Access


@verb("attach")
@click.argument("group", metavar="ID")
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(),
    help="Where to record the run.  [default: nowhere]",
)
@JUNIT
@cluster_options
def command(
    group: str,
    directory: str | None,
    junit: str | None,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Show the group of a cluster whose id begins with ID, to its end, as `callboard run` does.

    Ctrl-C leaves it, and it goes on. Exit codes are those of `callboard run`.
    """
    said = output(json, quiet, verbose, color)
    cluster = named(access)
    if junit is not None and directory is None:
        raise refusal("CB104", "--junit needs a run directory", "name one with -o")
    with contextlib.ExitStack() as stack:
        where: Path | None = None
        if directory is not None:
            where = stack.enter_context(run_directory(directory, group))
        shown, recorder = view(said), Recorder()
        sinks: list[Callable[[Event], None]] = [shown]
        if where is None:
            sinks.append(recorder.add)
        opened = attached(cluster, group, sinks, shown.note, where)
        leaving = "leaving the group, which goes on"
        course = Course(opened, where, recorder, first=leaving)
        execution = Execution(course, said, shown, Path(junit) if junit else None)
        try:
            return anyio.run(execution.run)
        except Left as error:
            said.note(f"`callboard attach {group}` shows it again")
            raise KeyboardInterrupt from error
        except NotStarted as error:
            if where is None:
                raise error.refusal from error
            raise
