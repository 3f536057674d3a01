"""YAML text to a located tree, under limits that hold before anything is built.

PyYAML's own composing recurses, in C, as deep as the document nests, and expands what the
document says. So only its events are used, which cost constant memory each.
"""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import NoneType
from typing import NoReturn, Protocol, cast

import yaml
from attrs import define
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from callboard.definition.findings import Findings
from callboard.definition.model import Scalar
from callboard.definition.source import Source
from callboard.definition.syntax import report_syntax
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode

DEPTH_LIMIT = 64
NODE_LIMIT = 1_000_000
"""Values of a document, aliases written out."""

WRITTEN_LIMIT = 250_000
"""Values that stand in the file itself; reading more would take seconds."""

DIRECTIVE_LIMIT = 100
NUMBER_LIMIT = 1_000
"""Digits of a number; reading one takes time that grows with their square."""

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = {
    f"{_TAG}bool": "a truth value",
    f"{_TAG}float": "a number",
    f"{_TAG}int": "a number",
    f"{_TAG}null": "nothing",
    f"{_TAG}timestamp": "a date",
}
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_EVENTS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolve: Callable[[type, str, tuple[bool, bool]], str] = Resolver().resolve
_IMPLICIT = frozenset(Resolver.yaml_implicit_resolvers)
"""First characters of bare values that may be something other than text."""

_CONSTRUCTOR = SafeConstructor()


class _StopError(Exception):
    """The rest of the document can't be read."""


class _Mark(Protocol):
    index: int


class _Event(Protocol):
    """What parser events hold; each kind has a part of it."""

    start_mark: _Mark
    end_mark: _Mark
    anchor: str | None
    tag: str | None
    implicit: tuple[bool, bool]
    value: str
    style: str | None


@lru_cache(maxsize=1024)
def _read_scalar(tag: str, text: str) -> Scalar:
    value: object = _CONSTRUCTOR.construct_object(yaml.ScalarNode(tag, text))
    return value if isinstance(value, (bool, int, float, NoneType)) else text


@define
class _Open:
    """A list or map whose end has not been seen."""

    offset: int
    anchor: str | None
    is_map: bool
    outer: list[Node]
    nodes_before: int
    height: int = 1


@define
class _Anchor:
    node: Node | None
    size: int = 0
    height: int = 0


def compose(source: Source, findings: Findings) -> Node | None:
    """The document as a tree, None when it is empty or can't be read further.

    Duplicate keys, unknown tags and the like are reported and passed over, so that the rest of
    the file is still checked.
    """
    try:
        _limit_directives(source, findings)
        with _collector_paused():
            return _Composer(source, findings).compose()
    except _StopError:
        return None
    except yaml.YAMLError as error:
        report_syntax(error, source, findings)
        return None


def _limit_directives(source: Source, findings: Findings) -> None:
    """Refuses a flood of directives: their cost in libyaml is the square of their number."""
    if source.text.count("\n%") > DIRECTIVE_LIMIT:
        offset = source.text.index("\n%") + 1
        findings.error("CB004", offset, f"more than {DIRECTIVE_LIMIT} lines begin with `%`")
        raise _StopError


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keeps the garbage collector from walking a growing tree over and over: a third of the time.

    A tree has no cycles, and its size is limited.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Composer:
    """Builds the tree of one document out of parser events."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._anchors: dict[str, _Anchor] = {}
        self._open: list[_Open] = []
        self._items: list[Node] = []
        self._nodes = 0
        self._limit = WRITTEN_LIMIT

    def compose(self) -> Node | None:
        documents = 0
        for event in self._events():
            kind: type = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._start(event, is_map=kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._findings.error(
                        "CB008",
                        event.start_mark.index,
                        "a second document begins here",
                        "a file holds one definition: split it at this line, or remove the `---`",
                    )
                    break
        return self._items[0] if self._items else None

    def _events(self) -> Iterator[_Event]:
        return cast("Iterator[_Event]", yaml.parse(self._source.text, Loader=_EVENTS))

    def _scalar(self, event: _Event) -> None:
        text, tag, anchor = event.value, event.tag, event.anchor
        value: Scalar = text
        if tag is None and anchor is None:
            offset = event.start_mark.index
        else:
            offset = self._after_properties(event)
        if tag is not None and tag != "!":
            value = self._tagged(offset, tag, text)
        elif event.implicit[0] and text[:1] in _IMPLICIT:
            tag = _resolve(yaml.ScalarNode, text, event.implicit)
            if tag in _SCALAR_TAGS:
                value = self._constructed(offset, tag, text)
        node = ScalarNode(offset, event.end_mark.index, text, value, event.style or "")
        if anchor is not None:
            self._anchors[anchor] = _Anchor(node, 1, 0)
        self._items.append(node)
        self._nodes += 1
        if self._nodes > self._limit:
            self._stop_at_limit(offset)

    def _tagged(self, offset: int, tag: str, text: str) -> Scalar:
        if tag == _TAG + "str":
            return text
        if tag in _SCALAR_TAGS:
            return self._constructed(offset, tag, text)
        self._refuse_tag(offset, tag)
        return text

    def _constructed(self, offset: int, tag: str, text: str) -> Scalar:
        name = _SCALAR_TAGS[tag]
        if len(text) > NUMBER_LIMIT:
            message = f"{name} of {len(text):,} characters can't be read"
        else:
            try:
                value = _read_scalar(tag, text)
            except (ValueError, LookupError, ArithmeticError, yaml.YAMLError):
                message = f"the value can't be read as {name}"
            else:
                return value
        self._findings.error("CB013", offset, message, "quote it if it is text")
        return text

    def _start(self, event: _Event, *, is_map: bool) -> None:
        offset, anchor, tag = event.start_mark.index, event.anchor, event.tag
        if tag is not None or anchor is not None:
            offset = self._after_properties(event)
        if tag not in {None, "!", _TAG + ("map" if is_map else "seq")}:
            self._refuse_tag(offset, str(tag))
        if anchor is not None:
            self._anchors[anchor] = _Anchor(None)
        self._open.append(_Open(offset, anchor, is_map, self._items, self._nodes))
        self._items = []
        self._count(1, offset)
        self._check_depth(0, offset)

    def _end(self, event: _Event) -> None:
        opened = self._open.pop()
        end = event.end_mark.index
        node: Node
        if opened.is_map:
            node = MapNode(opened.offset, end, self._pairs(self._items))
        else:
            node = ListNode(opened.offset, end, tuple(self._items))
        if opened.anchor is not None:
            size = self._nodes - opened.nodes_before
            self._anchors[opened.anchor] = _Anchor(node, size, opened.height)
        self._items = opened.outer
        self._items.append(node)
        self._raise_height(opened.height)

    def _alias(self, event: _Event) -> None:
        offset = event.start_mark.index
        anchor = self._anchors.get(event.anchor or "")
        if anchor is None:
            hint = f"write `&{event.anchor}` before the value that is meant, above this line"
            message = f"nothing is called `&{event.anchor}`"
            self._findings.error("CB009", offset, message, hint)
            raise _StopError
        if anchor.node is None:
            message = f"`*{event.anchor}` stands inside `&{event.anchor}` itself"
            self._findings.error("CB009", offset, message, "a value can't contain itself")
            raise _StopError
        self._check_depth(anchor.height, offset)
        self._items.append(anchor.node)
        self._raise_height(anchor.height)
        # What an alias repeats doesn't count as written.
        self._limit = min(self._limit + anchor.size - 1, NODE_LIMIT)
        self._count(anchor.size, offset)

    def _raise_height(self, height: int) -> None:
        if self._open and height >= self._open[-1].height:
            self._open[-1].height = height + 1

    def _count(self, nodes: int, offset: int) -> None:
        self._nodes += nodes
        if self._nodes > self._limit:
            self._stop_at_limit(offset)

    def _stop_at_limit(self, offset: int) -> NoReturn:
        if self._limit < NODE_LIMIT:
            message = f"the file has more than {WRITTEN_LIMIT:,} values"
            hint = "a job definition has some hundreds; was another file meant?"
        else:
            message = f"the file has more than {NODE_LIMIT:,} values, aliases written out"
            hint = "use fewer aliases of aliases"
        self._findings.error("CB007", offset, message, hint)
        raise _StopError

    def _check_depth(self, height: int, offset: int) -> None:
        if len(self._open) + height > DEPTH_LIMIT:
            self._findings.error(
                "CB006",
                offset,
                f"more than {DEPTH_LIMIT} maps and lists inside each other",
                "a job definition needs about ten; check the brackets and dashes",
            )
            raise _StopError

    def _after_properties(self, event: _Event) -> int:
        """Where a value itself begins, after its anchor and tag."""
        offset = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return offset
        properties = _PROPERTIES.match(self._source.text, offset)
        return properties.end() if properties else offset

    def _refuse_tag(self, offset: int, tag: str) -> None:
        shown = f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag
        self._findings.error(
            "CB011",
            offset,
            f"the tag `{shown[:60]}` is not allowed here",
            "write the value without a tag",
        )

    def _pairs(self, items: list[Node]) -> tuple[tuple[ScalarNode, Node], ...]:
        own: dict[object, tuple[ScalarNode, Node]] = {}
        inherited: list[tuple[ScalarNode, Node]] = []
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, ScalarNode):
                self._findings.error(
                    "CB012",
                    key,
                    "a key must be a single value, not a list or map",
                    "quote it if it is text; `{{ }}` of templates must be filled in or quoted",
                )
                continue
            if key.text == "<<" and not key.style:
                inherited.extend(self._inherited(value))
                continue
            identity = _identity(key)
            if identity in own:
                first = self._source.place(own[identity][0].offset)
                self._findings.error(
                    "CB010",
                    key,
                    f"the key `{key.text[:60]}` was given before, in line {first.line}",
                    "keep one of the two",
                )
            else:
                own[identity] = key, value
        if not inherited:
            return tuple(own.values())
        merged = {_identity(key): (key, value) for key, value in inherited}
        return tuple((merged | own).values())

    def _inherited(self, node: Node) -> list[tuple[ScalarNode, Node]]:
        """The entries that `<<` brings in; of several maps the first wins."""
        maps = node.items if isinstance(node, ListNode) else (node,)
        entries: list[tuple[ScalarNode, Node]] = []
        for item in reversed(maps):
            if isinstance(item, MapNode):
                entries.extend(item.pairs)
            else:
                hint = "write `<<: *name`, where `&name` stands before a map"
                self._findings.error("CB016", item, "`<<` needs a map or a list of maps", hint)
        return entries


def _identity(key: ScalarNode) -> object:
    """What makes two keys the same; in Python alone `1`, `1.0` and `true` would be."""
    return key.text if isinstance(key.value, str) else (type(key.value), key.value)
