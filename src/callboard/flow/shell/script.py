"""Shell text that remembers where it is written, and its syntax tree."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache

import tree_sitter_bash
from attrs import frozen
from tree_sitter import Language, Node, Parser

from callboard.definition.model import Place, Step
from callboard.definition.source import Source
from callboard.events import Where

_PARSER = Parser(Language(tree_sitter_bash.language()))

_BREAK = "\n"
_MISREAD = re.compile(rb"(?<=[\w\])}.,:/+%@~^-])\$(\d|[A-Za-z_]\w*)")


@frozen
class _Line:
    """Where a line of the text is written: its first character, or the step that it is of."""

    place: Place
    step: str
    verbatim: bool = True


@frozen(eq=False)
class Script:
    """Shell text.

    Attributes:
        text: The text, each line ending with a line break.
        title: What it is, for messages.
    """

    text: str
    title: str
    _lines: tuple[_Line, ...]

    @classmethod
    def of_steps(cls, steps: Sequence[Step], title: str, source: Source | None) -> "Script":
        """The steps of a test definition, which run one after the other in one shell.

        Args:
            steps: In order.
            title: What they are, for messages.
            source: The file that they stand in, to tell the places of their characters.
        """
        lines = [line for step in steps for line in _lines_of(step, source)]
        text = "".join(f"{step.text.rstrip(_BREAK)}\n" for step in steps)
        return cls(text, title, tuple(lines))

    @classmethod
    def of_file(cls, source: Source) -> "Script":
        """A file that is a script as a whole."""
        lines = source.text.split("\n")
        found = (_Line(Place(source.file, n, 1), line.strip()) for n, line in enumerate(lines, 1))
        return cls(source.text, source.file, tuple(found))

    @classmethod
    def of_text(cls, text: str, where: Where) -> "Script":
        """Text that a command at `where` runs, such as the one behind `sh -c`."""
        place = Place(where.file, where.line, where.column)
        line = _Line(place, where.step, verbatim=False)
        return cls(f"{text}\n", text, (line,) * (text.count("\n") + 1))

    @property
    def tree(self) -> Node:
        """The syntax tree; what the grammar doesn't know are nodes of type `ERROR` in it."""
        return _parse(self.text).root

    def where(self, node: Node) -> Where:
        """Where a node of the tree begins."""
        row, column_bytes = node.start_point
        if row >= len(self._lines):
            row, column_bytes = len(self._lines) - 1, 0
        line = self._lines[row]
        column = line.place.column
        if line.verbatim:
            before = _parse(self.text).between(node.start_byte - column_bytes, node.start_byte)
            column += len(before)
        return Where(line.place.file, line.place.line, column, line.step)


@frozen(eq=False)
class _Parsed:
    """A tree, and the text that it is of, in which braces have been put around some names."""

    root: Node
    text: bytes
    braces: tuple[int, ...]

    def between(self, start: int, end: int) -> str:
        """What is written between two bytes of the text."""
        parts: list[bytes] = []
        for brace in self.braces[bisect_left(self.braces, start) : bisect_left(self.braces, end)]:
            parts.append(self.text[start:brace])
            start = brace + 1
        return b"".join([*parts, self.text[start:end]]).decode(errors="replace")


def _lines_of(step: Step, source: Source | None) -> list[_Line]:
    """A line for each one of the step, each where it is written if it is written as it is."""
    first, *rest = step.text.rstrip(_BREAK).split("\n")
    found = [_Line(step.place, step.text, verbatim=_stands_at(source, step.place, first))]
    for number, text in enumerate(rest, 1):
        place = Place(step.place.file, step.place.line + number, step.place.column)
        there = found[0].verbatim and _stands_at(source, place, text)
        found.append(_Line(place if there else step.place, step.text, verbatim=there))
    return found


def _stands_at(source: Source | None, place: Place, text: str) -> bool:
    if source is None or source.file != place.file:
        return False
    return source.has(place, text)


@lru_cache(maxsize=256)
def _parse(text: str) -> _Parsed:
    """The grammar takes the names in `$X-$1` and `$X-$Y-$Z` for other words, but not in `${1}`."""
    parts: list[bytes] = []
    braces: list[int] = []
    size = at = 0
    written = text.encode(errors="replace")
    for match in _MISREAD.finditer(written):
        parts += [written[at : match.start()], b"${", match[1], b"}"]
        size += match.start() - at
        braces += [size + 1, size + 2 + len(match[1])]
        size, at = size + 3 + len(match[1]), match.end()
    whole = b"".join([*parts, written[at:]])
    return _Parsed(_PARSER.parse(whole).root_node, whole, tuple(braces))
