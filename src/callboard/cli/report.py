"""`callboard report`: derives the reports of a run again."""

from pathlib import Path

import click

from callboard.cli.application import output, verb
from callboard.cli.output import refusal
from callboard.report import ReportError, derive, document
from callboard.report.text import summary


@verb("report")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--junit",
    type=click.Path(path_type=Path),
    envvar="CALLBOARD_JUNIT",
    help="Where to write the JUnit file.",
)
def command(
    directory: Path, junit: Path | None, json: bool, quiet: bool, verbose: int, color: str
) -> int:
    """Derive all reports in the run directory DIRECTORY again, from its event log."""
    said = output(json, quiet, verbose, color)
    try:
        run = derive(directory, junit_file=junit)
    except ReportError as error:
        raise refusal("CB107", str(error)) from error
    except OSError as error:
        raise refusal("CB105", f"the reports can't be written: {error}", exit_code=3) from error
    if said.json:
        said.document(document(run, directory))
    elif not said.quiet:
        summary(run, directory, said.console)
    return 0
