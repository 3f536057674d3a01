"""Diagnostics as annotations of GitHub's actions: a workflow command a line."""

from collections.abc import Sequence

from callboard.definition import CODES, Diagnostic

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def annotations(diagnostics: Sequence[Diagnostic]) -> str:
    """A line for each diagnostic, e.g. `::error file=a.yaml,line=3,col=5,title=CB160: …::…`."""
    return "".join(f"{_command(each)}\n" for each in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    place = diagnostic.place
    code = CODES.get(diagnostic.code)
    properties: list[tuple[str, object]] = []
    if place is not None:
        properties += [("file", place.file), ("line", place.line), ("col", place.column)]
    title = f"{diagnostic.code}: {code.title}" if code else diagnostic.code
    properties.append(("title", title))
    given = ",".join(f"{key}={str(value).translate(_PROPERTY)}" for key, value in properties)
    text = diagnostic.message + (f"\n{diagnostic.hint}" if diagnostic.hint else "")
    return f"::{diagnostic.severity} {given}::{text.translate(_DATA)}"
