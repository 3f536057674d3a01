"""Quotes the lines of findings that were made without the text of their file."""

from collections.abc import Iterable
from pathlib import Path

from attrs import evolve

from callboard.definition.composer import compose
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.findings import Findings
from callboard.definition.masking import hide_secrets
from callboard.definition.model import Place
from callboard.definition.source import Source, read_source


def with_lines(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The same findings, each with the line at its place.

    A line that has a secret of its file is not shown, and neither is one of what is no file, or
    has changed so that the place isn't there any more.

    Args:
        diagnostics: Findings of definitions, devices files and the like; not of test definitions,
            in which secrets of another file may stand.
    """
    sources: dict[str, Source | None] = {}

    def with_line(found: Diagnostic) -> Diagnostic:
        if found.place is None or found.source is not None:
            return found
        file = found.place.file
        if file not in sources:
            sources[file] = _source(file)
        return _with_line(found, found.place, sources[file])

    return tuple(map(with_line, diagnostics))


def _source(file: str) -> Source | None:
    # what comes through a pipe was read already, and a terminal would be waited for
    source = read_source(file) if Path(file).is_file() else None
    if not isinstance(source, Source):
        return None
    hide_secrets(compose(source, Findings(source)), source)
    return source


def _with_line(found: Diagnostic, place: Place, source: Source | None) -> Diagnostic:
    if source is None or not source.has(place, ""):
        return found
    excerpt = source.excerpt(source.offset(place))
    if excerpt is None:
        return found
    return evolve(found, source=excerpt.line, caret=excerpt.caret)
