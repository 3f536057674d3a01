"""Expands the words of a script with what is known before it runs."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import define
from tree_sitter import Node

from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.arguments import Several
from callboard.flow.shell.arithmetic import evaluate
from callboard.flow.shell.state import SEPARATORS, State
from callboard.flow.shell.syntax import text_of

EMPTY = Word.of("")
_EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_substitution"})
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DEFAULT = re.compile(r"\$\{(\w+)(?:(:?[-=]).*)?\}", re.DOTALL)
_NAME = re.compile(r"\$(\w+)|\$\{(\w+)\}|\b([A-Za-z_]\w*)\b")
_GLOB = re.compile(r"[*?\[]")
_ALL = re.compile(r"\$(?:@|\{@)|\[[@*]\]")  # `$@` and all of an array
_ASSIGNED = re.compile(
    r"(?:\+\+|--)\s*([A-Za-z_]\w*)|([A-Za-z_]\w*)\s*(?:\+\+|--|(?:<<|>>|[-+*/%&^|])?=(?!=))"
)
_MOST_CHARACTERS = 2**16
_MOST_PARTS = 64


@define
class Words:
    """Expands words in one shell.

    Attributes:
        state: What is known of it.
        substitute: Runs what stands in `$( )`, and says what it prints.
    """

    state: State
    substitute: Callable[[Node], Word]

    def word(self, node: Node) -> Word:
        """A word after expansion and the removal of quotes."""
        match node.type:
            case "string":
                return self._string(node)
            case "concatenation" | "command_name":
                return _joined(map(self.word, node.children))
            case "raw_string":
                return Word.of(text_of(node)[1:-1])
            case "simple_expansion":
                return self._variable(text_of(node)[1:])
            case "expansion":
                return self._expansion(node)
            case "command_substitution" | "process_substitution":
                return self.substitute(node)
            case "arithmetic_expansion":
                return self._arithmetic(node)
            case "word" | "number" | "variable_name" | "extglob_pattern" | "test_operator":
                text = text_of(node)
                return UNKNOWN if text.startswith("~") else Word.of(_ESCAPE.sub(r"\1", text))
            case "regex":
                return Word.of(text_of(node))
            case _ if not node.is_named and "$$" not in text_of(node):
                return Word.of(text_of(node))
            case _:
                return UNKNOWN

    def all(self, nodes: Sequence[Node]) -> list[Word]:
        """The words that several become, as the arguments of a command."""
        return [field for node in nodes for field in self.fields(node)]

    def fields(self, node: Node) -> list[Word]:
        """The words that one becomes; where their number is not known, `Several` stands there."""
        if node.type == "command_name" and node.child_count == 1 and node.children[0].is_named:
            return self.fields(node.children[0])
        text = text_of(node)
        if text in {'"$@"', "$@", "$*", '"${@}"'}:
            return self.state.arguments.fields()
        if node.type == "word":
            return [Several.any() if _is_pattern(text) else self.word(node)]
        if node.type == "brace_expression":
            return [Several.any()]
        if node.type == "concatenation" or node.type in _EXPANSIONS:
            return self._split(node)
        word = self.word(node)
        return [Several(word.parts) if _ALL.search(text) else word]

    def _split(self, node: Node) -> list[Word]:
        """The fields of a word with expansions; white space in them divides it.

        A gap between other parts is taken for one that holds no white space.
        """
        nodes = node.children if node.type == "concatenation" else [node]
        if any(each.type == "brace_expression" or text_of(each) == "{" for each in nodes):
            return [Several.any()]
        found: list[Word] = []
        last: list[Word] = []
        is_open = _ALL.search(text_of(node)) is not None
        for each in nodes:
            word = self.word(each)
            text = word.text
            is_open |= each.type == "word" and _is_pattern(text_of(each))
            if each.type not in _EXPANSIONS or text is None:
                last.append(word)
                is_open |= text is None and len(nodes) == 1
                continue
            is_open |= self.state.value("IFS") != SEPARATORS or _is_pattern(text)
            first, *others = re.split(r"[ \t\n]+", text)
            last += [Word.of(first)] if first else []
            for other in others:
                found += [_joined(last)] if last else []
                last = [Word.of(other)] if other else []
        found += [_joined(last)] if last else []
        if not is_open:
            return found
        return [
            Several(found[0].parts, found[0].filled)
            if len(nodes) == 1 and found and found[0].text is None
            else Several.any()
        ]

    def patterns(self, item: Node) -> Iterator[Word]:
        """The patterns of one item of a `case`; what is quoted in them stands for itself."""
        pattern = EMPTY
        for child in item.children:
            if child.type in {"|", ")"}:
                yield pattern
                pattern = EMPTY
            elif child.type != "(":
                pattern += self.pattern(child)
            if child.type == ")":
                return

    def pattern(self, node: Node) -> Word:
        """A word that is compared with; what is quoted in it stands for itself."""
        if node.type == "concatenation":
            return _joined(map(self.pattern, node.children))
        word = self.word(node)
        if node.type in {"string", "raw_string"} and word.text is not None:
            return Word.of(_GLOB.sub(r"[\g<0>]", word.text))
        return UNKNOWN if "\\" in text_of(node) and _GLOB.search(text_of(node)) else word

    def _string(self, node: Node) -> Word:
        """What is in double quotes: between the expansions the text is as it is written."""
        raw = node.text or b""
        parts: list[Word] = []
        at = 1
        for child in node.children:
            if child.type not in {*_EXPANSIONS, "arithmetic_expansion"}:
                continue
            begin = child.start_byte - node.start_byte
            parts.append(_quoted(raw[at:begin]))
            parts.append(self.word(child))
            at = child.end_byte - node.start_byte
        parts.append(_quoted(raw[at:-1]))
        return _joined(parts)

    def _variable(self, name: str) -> Word:
        arguments = self.state.arguments
        if name in {"@", "*"}:
            known = not arguments.more and self.state.value("IFS") == SEPARATORS
            return spaced(arguments.words) if known else UNKNOWN
        if name == "#":
            return arguments.count
        if name == "?":
            return Word.of("0") if self.state.last else Word((None,), filled=True)
        if re.fullmatch("[0-9]{1,4}", name):
            return arguments.number(int(name))
        return self.state.value(name)

    def _expansion(self, node: Node) -> Word:
        match = _DEFAULT.fullmatch(text_of(node))
        if match is None:
            return UNKNOWN
        value, operator = self._variable(match[1]), match[2]
        if operator is None or value.text:
            return value
        named = [child for child in node.named_children if child.type != "variable_name"]
        if operator == ":-" and value.text is not None:
            return _joined(map(self.word, named))
        if operator.endswith("="):
            self.state.assign(match[1], UNKNOWN)
        return UNKNOWN

    def _arithmetic(self, node: Node) -> Word:
        missing = False

        def value(match: re.Match[str]) -> str:
            nonlocal missing
            text = self._variable(match[1] or match[2] or match[3]).text
            missing |= text is None
            return text or "0"

        inside = text_of(node)[3:-2] if text_of(node).startswith("$((") else ""
        number = evaluate(_NAME.sub(value, inside))
        for name in changed_by(text_of(node)):
            self.state.assign(name, UNKNOWN)
        known = number is not None and not missing
        return Word.of(str(number)) if known else Word((None,), filled=True)


def changed_by(arithmetic: str) -> Iterator[str]:
    """The variables that arithmetic such as `i++` assigns."""
    yield from (match[1] or match[2] for match in _ASSIGNED.finditer(arithmetic))


def _is_pattern(text: str) -> bool:
    """Whether an unquoted text may stand for files."""
    return text not in {"[", "]"} and _GLOB.search(text) is not None


def _quoted(raw: bytes) -> Word:
    text = raw.decode(errors="replace").replace("\\\n", "")
    return Word.of(re.sub(r'\\([$`"\\])', r"\1", text))


def joined(*words: Word) -> Word:
    """Words one behind the other, as one word."""
    return _joined(words)


def _joined(words: Iterable[Word]) -> Word:
    found = EMPTY
    for number, word in enumerate(words):
        found = word if number == 0 else found + word
        if len(found.parts) > _MOST_PARTS:
            found = _tidied(found)
    return _tidied(found)


def _tidied(word: Word) -> Word:
    """The same with as few parts as can be; unknown if it is far too long."""
    size = sum(len(part) for part in word.parts if part)
    text = word.text
    parts = (text,) if text is not None else tuple(part for part in word.parts if part != "")
    if size > _MOST_CHARACTERS or len(parts) > _MOST_PARTS:
        return UNKNOWN
    return Word(parts, word.filled)


def spaced(words: Sequence[Word]) -> Word:
    """Words with spaces between them, as `echo` prints them and `eval` reads them."""
    parts: list[str | None] = []
    for word in words:
        parts += [" ", *word.parts] if parts else word.parts
    if None in parts:
        return Word(tuple(parts))
    return Word.of("".join(part for part in parts if part is not None))
