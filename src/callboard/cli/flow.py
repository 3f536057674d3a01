"""`callboard flow`: draws the flow of a group, before it runs or after it ran."""

import sys
from pathlib import Path
from typing import Literal, get_args

import click
from attrs import evolve

from callboard.cli.application import output, verb
from callboard.cli.fetching import NO_FETCH, fetched, fetching
from callboard.cli.inputs import definition
from callboard.cli.output import Output, as_json, refusal
from callboard.definition import Diagnostic
from callboard.definition.source import Source
from callboard.events import LOG_NAME, LogError, read_log
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.charting import charting
from callboard.flow.drawing.document import document
from callboard.flow.drawing.history import history
from callboard.flow.drawing.marks import ASCII, BOXES
from callboard.flow.drawing.mermaid import mermaid
from callboard.flow.drawing.network import networks
from callboard.flow.drawing.svg import svg
from callboard.flow.drawing.table import table
from callboard.flow.extraction import extract
from callboard.flow.proof import prove
from callboard.sources import Policy

Format = Literal["table", "mermaid", "json", "svg"]


@verb("flow")
@click.argument("source", metavar="FILE|RUN_DIR", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(get_args(Format)),
    default="table",
    show_default=True,
    help="How to draw it; 'json' is the same as --json.",
)
@NO_FETCH
@fetching
def command(
    source: Path,
    form: Format,
    no_fetch: bool,
    allow_local: bool,
    fetch_timeout: float,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Draw who calls what in which order, and who waits for whom.

    For a definition FILE that is what will happen, as far as it can be told; for the directory
    RUN_DIR of a run what has happened, with its times. The exit code is 0 also for a group that
    gets stuck: it is drawn, and not judged.
    """
    said = output(json or form == "json", quiet, verbose, color)
    warnings: tuple[Diagnostic, ...] = ()
    if source.is_dir():
        chart = _ran(source)
    else:
        found, warnings = definition(str(source), said)
        if not no_fetch:
            found = fetched(found, Policy(allow_local, fetch_timeout), said)
        programs = extract(found).programs
        secrets = frozenset({*found.secrets.values(), *found.hidden})
        hide = Source(found.file, "", secrets=secrets).masked
        chart = charting(found.job_name, programs, prove(programs))
        chart = evolve(chart, networks=networks(found)).hiding(hide)
    if said.json:
        said.document({**document(chart), "diagnostics": [as_json(each) for each in warnings]})
    else:
        _draw(chart, form, said)
    return 0


def _ran(directory: Path) -> Chart:
    try:
        return history(read_log(directory / LOG_NAME))
    except FileNotFoundError as error:
        text = f"{directory} has no {LOG_NAME}; name a directory that a run has written"
        raise refusal("CB107", text) from error
    except LogError as error:
        raise refusal("CB107", f"{error}; the log can't be used") from error
    except OSError as error:
        raise refusal("CB107", f"{directory / LOG_NAME} can't be read: {error.strerror}") from error


def _draw(chart: Chart, form: Format, said: Output) -> None:
    if form == "mermaid":
        said.text(mermaid(chart))
    elif form == "svg":
        said.text(svg(chart))
    else:
        for line in table(chart, said.console.width, BOXES if _has_boxes() else ASCII):
            said.console.print(line, soft_wrap=True)


def _has_boxes() -> bool:
    """Whether the encoding of standard output has the characters that a table is drawn with."""
    try:
        BOXES.all.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
