"""What the nodes of the shell's grammar say."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from tree_sitter import Node

_SHOWN = 80


def text_of(node: Node) -> str:
    """The text of a node as it is written."""
    return (node.text or b"").decode(errors="replace")


def short(node: Node) -> str:
    """The text of a node for messages: its first line, and not too much of it."""
    first, *rest = text_of(node).split("\n")
    return f"{first[:_SHOWN]}…" if rest or len(first) > _SHOWN else first


def texts(nodes: Sequence[Node]) -> str:
    """Statements as one line."""
    return " ".join(text_of(each) for each in nodes if each.is_named)


def statements(nodes: Sequence[Node]) -> Iterator[tuple[Node, bool]]:
    """The statements among the children of a node, and whether each runs in the background."""
    for number, node in enumerate(nodes):
        if node.is_named and node.type != "comment":
            after = nodes[number + 1].type if number + 1 < len(nodes) else ""
            yield node, after == "&"


def chain(node: Node) -> list[tuple[str, Node]]:
    """The commands of a list, each with the operator before it."""
    left, operator, right = (each for each in node.children if each.type != "comment")
    before = chain(left) if left.type == "list" else [("", left)]
    return [*before, (text_of(operator), right)]


def parts(node: Node) -> Iterator[Node]:
    """The words of a test, in order: the leaves of its expressions."""
    for child in node.children:
        if child.type.endswith("_expression") and child.type != "brace_expression":
            yield from parts(child)
        else:
            yield child


def body_of(item: Node) -> Sequence[Node]:
    """What stands behind the patterns of one item of a `case`."""
    at = next((n for n, each in enumerate(item.children) if each.type == ")"), 0)
    return item.children[at + 1 :]


def documents(node: Node) -> list[Node]:
    """The here-documents of a redirected statement."""
    return [each for each in node.children if each.type == "heredoc_redirect"]


def document_of(heredoc: Node) -> str:
    """The text of a here-document."""
    return "".join(text_of(each) for each in heredoc.children if each.type == "heredoc_body")


def is_quoted(heredoc: Node) -> bool:
    """Whether a here-document is taken to the letter: its end is quoted."""
    start = next((text_of(c) for c in heredoc.children if c.type == "heredoc_start"), "")
    return any(character in start for character in "'\"\\")


def ends_alone(heredoc: Node, text: str) -> bool:
    """Whether the end of a here-document has a line of its own; the grammar lets spaces follow."""
    end = next((each for each in heredoc.children if each.type == "heredoc_end"), None)
    if end is None:
        return True
    lines = text.split("\n")
    return end.end_point.row >= len(lines) or not lines[end.end_point.row].endswith(" ")


def stages_of(heredoc: Node) -> list[Node]:
    """The commands that stand behind `<<END |`; the grammar has them in the redirection."""
    found: list[Node] = []
    for child in heredoc.named_children:
        if child.type == "pipeline":
            inner = child.named_children
            found += inner[0].named_children if inner[0].type == "pipeline" else inner
    return found


def chain_behind(heredoc: Node) -> list[tuple[str, Node]]:
    """The commands that stand behind `<<END &&`, each with its operator."""
    right = heredoc.child_by_field_name("right")
    operator = next((text_of(c) for c in heredoc.children if c.type in {"&&", "||"}), "")
    return [(operator, right)] if right is not None else []


def name_of(node: Node) -> str:
    """The name of a command as it is written; empty for anything else."""
    name = node.child_by_field_name("name") if node.type == "command" else None
    return text_of(name) if name is not None else ""


def words_of(command: Node) -> list[Node]:
    """The name and the arguments of a command; nothing if it only assigns."""
    name = command.child_by_field_name("name")
    return [] if name is None else [name, *command.children_by_field_name("argument")]


def assignments_of(node: Node) -> list[Node]:
    """The assignments before a command, or of a declaration."""
    return [each for each in node.children if each.type == "variable_assignment"]


def are_misread(nodes: Sequence[Node]) -> bool:
    """Whether the grammar takes parts of a word for words: there is nothing between them."""
    return any(left.end_byte == right.start_byte for left, right in pairwise(nodes))


def assigned(node: Node) -> Iterator[str]:
    """The variables that something in a node may change."""
    if node.type in {"variable_assignment", "for_statement"}:
        name = node.child_by_field_name("name") or node.child_by_field_name("variable")
        if name is not None:
            yield text_of(name)
    if name_of(node) in {"read", "getopts"}:
        yield from (text_of(each) for each in node.children_by_field_name("argument"))
    for child in node.named_children:
        yield from assigned(child)
