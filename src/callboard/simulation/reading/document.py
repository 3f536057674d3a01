"""What the files of a rehearsal have in common: a map at the top, and places of its values."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from callboard.definition.composer import compose
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.findings import Findings
from callboard.definition.model import Place
from callboard.definition.reader import Section
from callboard.definition.source import Source
from callboard.definition.tree import MapNode, Node, kind

T = TypeVar("T")
Diagnostics = tuple[Diagnostic, ...]
Found = tuple[T | None, Diagnostics]
"""What a file holds, None if it has any error, and all that is wrong with it."""


def read_document(
    source: Source | Diagnostic, title: str, example: str, read: Callable[[Section], T]
) -> Found[T]:
    """A file whose top is a map.

    Args:
        source: The file's text, or why there is none.
        title: What the file is, in the user's words: "the model".
        example: A hint for a file that is something else.
        read: Reads the map.
    """
    if isinstance(source, Diagnostic):
        return None, (source,)
    findings = Findings(source)
    root = compose(source, findings)
    found = None
    if isinstance(root, MapNode):
        found = read(Section(root, findings, title))
    elif not findings.errors:
        what = "the file is empty" if root is None else f"the file holds {kind(root)}, not a map"
        findings.error("CB014", root or 0, what, example)
    return (None if findings.errors else found), findings.diagnostics()


def place_of(section: Section, node: Node) -> Place:
    """Where a value of a section's file stands."""
    return section.findings.source.place(node.offset)


def places_of(section: Section) -> Mapping[str, Place]:
    """Where the value of each key of a section stands."""
    return {key.text: place_of(section, value) for key, value in section.node.pairs}
