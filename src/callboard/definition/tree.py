"""A YAML document as values that know where they stand."""

from typing import NamedTuple

from attrs import frozen

from callboard.definition.model import Plain, Scalar


class ScalarNode(NamedTuple):
    """A single value; a tuple, since a file may hold a million of them.

    Attributes:
        offset: Where it begins in the text, after its anchor and tag.
        end: Where it ends.
        text: As written, without quotes.
        value: As YAML 1.1 reads it; dates stay text.
        style: The quote character, `|`, `>`, or "" for a bare value.
    """

    offset: int
    end: int
    text: str
    value: Scalar
    style: str


@frozen(eq=False)
class ListNode:
    """A list."""

    offset: int
    end: int
    items: tuple["Node", ...]


@frozen(eq=False)
class MapNode:
    """A map; entries that `<<` brings in come first, as in PyYAML."""

    offset: int
    end: int
    pairs: tuple[tuple[ScalarNode, "Node"], ...]


Node = ScalarNode | ListNode | MapNode


def plain(node: Node) -> Plain:
    """The node as plain data; keys become text as written."""
    match node:
        case ScalarNode():
            return node.value
        case ListNode():
            return [plain(item) for item in node.items]
        case MapNode():
            return {key.text: plain(value) for key, value in node.pairs}


def kind(node: Node) -> str:
    """What the node is, in the user's words."""
    match node:
        case MapNode():
            return "a map"
        case ListNode():
            return "a list"
        case ScalarNode(value=None):
            return "empty"
        case ScalarNode(value=bool()):
            return f"the truth value `{node.text}`"
        case ScalarNode(value=int() | float()):
            return f"the number `{_brief(node.text)}`"
        case ScalarNode():
            return f"the text `{_brief(node.text)}`"


def _brief(text: str) -> str:
    line = text.split("\n", 1)[0]
    return text if len(text) <= 40 and line == text else f"{line[:39]}…"
