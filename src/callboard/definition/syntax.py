"""What PyYAML's parser says of a broken file, in the user's words."""

import re

import yaml

from callboard.definition.findings import Findings
from callboard.definition.source import Source

_INDENTATION = re.compile(r"[ ]*\t")
_INDENT_HINT = "compare its indentation with the lines around it, and look for an open quote above"
_QUOTE_HINT = "quote the value if the character belongs to it"
_CLOSE_HINT = "close the quote or bracket that was opened"

# Fragments of the parser's messages, of libyaml and of PyYAML alike.
_WORDS = (
    (
        "mapping values are not allowed",
        "a `:` can't stand here: the value before it is already complete",
        "quote a value that contains `: `, or mend the indentation",
    ),
    (
        "expected ':'",
        "this is neither `key: value` nor part of the value above",
        _INDENT_HINT,
    ),
    ("expected key", "this line doesn't line up with the keys above it", _INDENT_HINT),
    (
        "expected <block end>",
        "this line doesn't line up with the lines above it",
        _INDENT_HINT,
    ),
    (
        "expected '-' indicator",
        "this line doesn't line up with the `-` items above it",
        _INDENT_HINT,
    ),
    (
        "block sequence entries are not allowed",
        "a `-` item can't begin here",
        "begin the list on a line of its own",
    ),
    ("expected ',' or ']'", "a `,` or `]` is missing before this", _CLOSE_HINT),
    ("expected ',' or '}'", "a `,` or `}` is missing before this", _CLOSE_HINT),
    ("unexpected end of stream", "the file ends inside a quoted text", _CLOSE_HINT),
    ("unexpected document separator", "`---` stands inside a quoted text", _CLOSE_HINT),
    ("expected node content", "a value is missing here", _CLOSE_HINT),
    ("cannot start any token", "a value can't begin with this character", _QUOTE_HINT),
    ("unknown escape character", "this escape doesn't exist", "write `\\\\` for a backslash"),
    (
        "expected <document start>",
        "the definition has ended before this line",
        _INDENT_HINT,
    ),
)


def report_syntax(error: yaml.YAMLError, source: Source, findings: Findings) -> None:
    """Adds the parser's complaint: a tab as CB005, everything else as CB004."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    offset = min(mark.index, len(source.text)) if mark else 0
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    start = source.text.rfind("\n", 0, offset) + 1
    if tab := _INDENTATION.match(source.text, start):
        findings.error(
            "CB005",
            tab.end() - 1,
            "a tab can't indent a line",
            "replace it by spaces",
        )
        return
    message, hint = _words(problem)
    findings.error("CB004", offset, message + _origin(error, source), hint)


def _words(problem: str) -> tuple[str, str | None]:
    for fragment, message, hint in _WORDS:
        if fragment in problem:
            return message, hint
    return f"this is not valid YAML: {problem}", None


def _origin(error: yaml.YAMLError, source: Source) -> str:
    """Where the thing began that the parser was reading, if that is another line."""
    context, problem = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if context is None or problem is None or context.line == problem.line:
        return ""
    return f" (read as part of what begins in line {source.place(context.index).line})"
