"""Typed reading of a located tree: each reader takes what it can and reports the rest.

A reader never raises. It returns None, or leaves out an item, when the value is missing or
wrong, after it has said so; so one pass over a file finds all its problems.
"""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import TypeVar

from attrs import define, field

from callboard.definition.findings import Findings
from callboard.definition.model import Plain
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind, plain

Choice = TypeVar("Choice")

_COMPARED = 100
"""Names that a misspelt one is compared with, at most: comparing takes a while each."""

_LISTED = 30
"""Names that a sentence lists, at most."""

_ALIKE = 0.7
"""How alike two names are, from 0 to 1, before one may be meant by the other."""

_SPELLED = {"true": True, "false": False}


def did_you_mean(name: str, names: Iterable[str]) -> str | None:
    """A hint with the name that was most likely meant, None when nothing is alike."""
    near = nearest(name, names)
    return near and f"did you mean `{near}`?"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that is most like `name`, None when none is alike; the first hundred are tried."""
    spelled = {other.lower(): other for other in islice(names, _COMPARED)}
    close = get_close_matches(name[:60].lower(), spelled, 1, _ALIKE)
    return spelled[close[0]] if close else None


def listed(names: Iterable[str], conjunction: str = "and") -> str:
    """Names in a sentence: "`a`, `b` and `c`"; of very many only the first."""
    quoted = [f"`{name[:60]}`" for name in islice(names, _LISTED + 1)]
    if len(quoted) > _LISTED:
        quoted[-1] = "others"
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {conjunction} {quoted[-1]}"


@define
class Section:
    """A map of the file, whose keys are asked for one by one.

    Attributes:
        node: The map.
        findings: Where problems go.
        title: What the map is, in the user's words: "role `server`".
        role: The role that problems concern, if any.
    """

    node: MapNode
    findings: Findings
    title: str
    role: str | None = None
    _entries: dict[str, tuple[ScalarNode, Node]] = field(init=False)
    _asked: set[str] = field(factory=set[str], init=False)

    def __attrs_post_init__(self) -> None:
        self._entries = {key.text: (key, value) for key, value in self.node.pairs}

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that the file gives, in its order."""
        return tuple(self._entries)

    def get(self, key: str) -> Node | None:
        """The value of a key, which now counts as known; None when it is absent."""
        self._asked.add(key)
        entry = self._entries.get(key)
        return entry[1] if entry else None

    def key(self, key: str) -> Node:
        """Where a key stands; the map itself when it is absent."""
        entry = self._entries.get(key)
        return entry[0] if entry else self.node

    def required(self, key: str, hint: str | None = None, code: str = "CB020") -> Node | None:
        """The value of a key that must be there."""
        node = self.get(key)
        if node is None:
            hint = self.misspelt(key) or hint
            self.error(code, self.node, f"{self.title} has no `{key}`", hint)
        return node

    def misspelt(self, key: str) -> str | None:
        """A hint with the key that should be called `key`, None when no key is alike.

        The key found then counts as known, so that it isn't reported twice.
        """
        near = nearest(key, (name for name in self._entries if name not in self._asked))
        if near is None:
            return None
        self._asked.add(near)
        return f"rename `{near}` to `{key}`"

    def string(self, key: str, *, required: bool = False, empty: bool = False) -> str | None:
        """Text; numbers and truth values must be quoted."""
        node = self.required(key) if required else self.get(key)
        return None if node is None else self.text_of(node, f"`{key}` of {self.title}", empty=empty)

    def text_of(self, node: Node, what: str, *, empty: bool = False) -> str | None:
        """The node as text, `what` saying what it is for."""
        match node:
            case ScalarNode(value=str() as text):
                if text or empty:
                    return text
                self.error("CB026", node, f"{what} is empty")
            case ScalarNode(value=None):
                self.error("CB026", node, f"{what} is empty")
            case ScalarNode(text=text):
                hint = f'YAML reads it as {_type(node)}; quote it: "{text}"'
                self.error("CB022", node, f"{what} must be text, not {kind(node)}", hint)
            case _:
                self._wrong(node, what, "text")
        return None

    def integer(
        self,
        key: str,
        *,
        minimum: int,
        maximum: int | None = None,
        required: bool = False,
        code: str = "CB023",
    ) -> int | None:
        """A whole number within limits."""
        node = self.required(key, code=code) if required else self.get(key)
        if node is None:
            return None
        what = f"`{key}` of {self.title}"
        if not isinstance(node, ScalarNode) or type(node.value) is not int:
            hint = "remove the quotes" if _is_number(node) else None
            wanted = code if code != "CB023" else "CB021"
            self.error(wanted, node, f"{what} must be a whole number, but is {kind(node)}", hint)
            return None
        if node.value < minimum or (maximum is not None and node.value > maximum):
            limit = f"{minimum} or more" if node.value < minimum else f"at most {maximum}"
            self.error(code, node, f"{what} must be {limit}, but is {kind(node)}")
            return None
        return node.value

    def boolean(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        node = self.get(key)
        if node is None:
            return default
        if isinstance(node, ScalarNode) and isinstance(node.value, bool):
            return node.value
        spelled = isinstance(node, ScalarNode) and node.text.lower() in _SPELLED
        hint = "remove the quotes" if spelled else "write `true` or `false`"
        self._wrong(node, f"`{key}` of {self.title}", "`true` or `false`", hint)
        return default

    def choice(
        self,
        key: str,
        choices: Mapping[str, Choice],
        *,
        required: bool = False,
        code: str = "CB024",
        hint: str | None = None,
    ) -> Choice | None:
        """One of a few words."""
        text = self.string(key, required=required)
        if text is None:
            return None
        if text not in choices:
            what = f"`{key}` of {self.title}"
            hint = hint or did_you_mean(text, choices) or f"it can be {listed(choices, 'or')}"
            self.error(code, self._entries[key][1], f"{what} can't be `{text[:60]}`", hint)
        return choices.get(text)

    def strings(self, key: str, *, one: bool = False) -> tuple[str, ...]:
        """A list of texts; with `one`, a single text stands for a list of it."""
        node = self.get(key)
        if node is None:
            return ()
        what = f"`{key}` of {self.title}"
        if one and isinstance(node, ScalarNode) and isinstance(node.value, str):
            text = self.text_of(node, what)
            return () if text is None else (text,)
        if not isinstance(node, ListNode):
            hint = f"write `[{node.text}]`" if isinstance(node, ScalarNode) and node.text else None
            self._wrong(node, what, "a list", hint)
            return ()
        texts = (self.text_of(item, f"each item of {what}") for item in node.items)
        return tuple(text for text in texts if text is not None)

    def section(self, key: str, title: str, *, required: bool = False) -> "Section | None":
        """A map below this one."""
        node = self.required(key) if required else self.get(key)
        return None if node is None else self.section_of(node, title)

    def section_of(self, node: Node, title: str, role: str | None = None) -> "Section | None":
        """The node as a map, `title` saying what it is."""
        if isinstance(node, MapNode):
            return Section(node, self.findings, title, role or self.role)
        self._wrong(node, title, "a map")
        return None

    def items(self, key: str, *, required: bool = False) -> tuple[Node, ...]:
        """The items of a list."""
        node = self.required(key) if required else self.get(key)
        match node:
            case None:
                return ()
            case ListNode(items=items):
                return items
            case _:
                self._wrong(node, f"`{key}` of {self.title}", "a list")
                return ()

    def data(self, key: str) -> Mapping[str, Plain]:
        """A free-form map as plain data; empty when absent."""
        node = self.get(key)
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return {}
        data = plain(node)
        if isinstance(data, dict):
            return data
        self._wrong(node, f"`{key}` of {self.title}", "a map")
        return {}

    def labels(self, what: str) -> Iterator[tuple[str, ScalarNode, Node]]:
        """The entries of a map whose keys are names that the user chose."""
        for key, value in self.node.pairs:
            name = self.text_of(key, what)
            if name is not None:
                yield name, key, value

    def ignore(self, *keys: str) -> None:
        """Keys that are known, but not read here."""
        self._asked.update(keys)

    def close(self, *, strict: bool = False) -> None:
        """Warns of every key that nobody asked for; with `strict` they are errors."""
        unused = sorted(self._asked - self._entries.keys())
        for key, _ in self.node.pairs:
            if key.text not in self._asked:
                near = None if self.findings.full else did_you_mean(key.text, unused)
                message = f"{self.title} has no use for `{key.text[:60]}`"
                if strict:
                    known = ", ".join(sorted(self._asked)[:_LISTED])
                    self.error("CB025", key, message, near or f"it can have {known}")
                else:
                    self.warning("CB025", key, message, near or "it is ignored")

    def error(self, code: str, at: Node, message: str, hint: str | None = None) -> None:
        """Adds an error about this map."""
        self.findings.error(code, at, message, hint, self.role)

    def warning(self, code: str, at: Node, message: str, hint: str | None = None) -> None:
        """Adds a warning about this map."""
        self.findings.warning(code, at, message, hint, self.role)

    def _wrong(self, node: Node, what: str, wanted: str, hint: str | None = None) -> None:
        self.error("CB021", node, f"{what} must be {wanted}, but is {kind(node)}", hint)


def _type(node: ScalarNode) -> str:
    match node.value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "nothing"


def _is_number(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.text.strip().lstrip("+-").isdecimal()
