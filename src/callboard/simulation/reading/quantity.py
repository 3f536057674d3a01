"""Reads numbers that mean something: times, probabilities, factors, patterns."""

import math
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from callboard.definition.reader import Section, did_you_mean, listed
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode, kind
from callboard.simulation.distribution import (
    Distribution,
    Exponential,
    Fixed,
    Normal,
    Triangular,
    Uniform,
)
from callboard.simulation.pattern import Pattern

LONGEST_S = 1_000_000_000
"""The longest time that can be written, in seconds: some 32 years."""

_EXAMPLE = "write seconds such as `30`, or a distribution such as `{uniform: [10, 20]}`"


@frozen
class _Shape:
    """A distribution: what its numbers mean, and which of them must not be smaller than before."""

    numbers: tuple[str, ...]
    make: Callable[..., Distribution]
    ascending: bool = False

    @property
    def needs(self) -> str:
        one = len(self.numbers) == 1
        return f"one number, the {self.numbers[0]}" if one else f"[{', '.join(self.numbers)}]"


_SHAPES: Mapping[str, _Shape] = {
    "uniform": _Shape(("low", "high"), Uniform, ascending=True),
    "normal": _Shape(("mean", "deviation"), Normal),
    "exponential": _Shape(("mean",), Exponential),
    "triangular": _Shape(("low", "mode", "high"), Triangular, ascending=True),
}


def read_distribution(section: Section, key: str, *, required: bool = False) -> Distribution | None:
    """A time: a number of seconds, or a distribution."""
    node = section.required(key, _EXAMPLE) if required else section.get(key)
    return None if node is None else distribution_of(section, node, key)


def distribution_of(section: Section, node: Node, key: str) -> Distribution | None:
    """A node as a time; `key` names it in messages."""
    what = f"`{key}` of {section.title}"
    if not isinstance(node, MapNode):
        value = _seconds_of(section, node, what)
        return None if value is None else Fixed(value)
    shapes = section.section_of(node, what)
    if shapes is None or len(shapes.names) != 1:
        message = f"{what} names {len(node.pairs)} distributions, not one"
        section.error("CB200", node, message, _EXAMPLE)
        return None
    name = shapes.names[0]
    shape = _SHAPES.get(name)
    if shape is None:
        hint = did_you_mean(name, _SHAPES) or f"there are {listed(_SHAPES)}"
        message = f"{what} can't be the distribution `{name[:60]}`"
        section.error("CB200", shapes.key(name), message, hint)
        return None
    return _made(section, shape, node.pairs[0][1], f"`{name}` in {what}", name)


def read_seconds(section: Section, key: str, *, required: bool = False) -> float | None:
    """A fixed number of seconds."""
    node = section.required(key) if required else section.get(key)
    return None if node is None else _seconds_of(section, node, f"`{key}` of {section.title}")


def read_probability(section: Section, key: str, *, required: bool = False) -> float | None:
    """A number from 0 to 1."""
    node = section.required(key) if required else section.get(key)
    if node is None:
        return None
    what = f"`{key}` of {section.title}"
    value = number(node)
    if value is None or not 0 <= value <= 1:
        message = f"{what} must be a probability from 0 to 1, but is {kind(node)}"
        section.error("CB203", node, message, _as_fraction(node))
        return None
    return float(value)


def read_pattern(section: Section, key: str, *, required: bool = False) -> Pattern | None:
    """A name or command, in which `*` and `?` stand for others."""
    text = section.string(key, required=required)
    if text is None:
        return None
    if not text.strip():
        node = section.get(key) or section.node
        section.error("CB026", node, f"`{key}` of {section.title} is empty")
        return None
    return Pattern(text.strip())


def number(node: Node) -> int | float | None:
    """A finite number; None for anything else."""
    match node:
        case ScalarNode(value=bool()):
            return None
        case ScalarNode(value=int() as value):
            return value
        case ScalarNode(value=float() as value) if math.isfinite(value):
            return value
        case _:
            return None


def _seconds_of(section: Section, node: Node, what: str) -> float | None:
    value = number(node)
    if value is None:
        message = f"{what} must be a number of seconds or a distribution, but is {kind(node)}"
        section.error("CB200", node, message, _as_seconds(node))
        return None
    return _in_range(section, node, value, what)


def _in_range(section: Section, node: Node, value: float, what: str) -> float | None:
    if value < 0:
        section.error("CB201", node, f"{what} is negative: {kind(node)}", "times begin at 0")
        return None
    if value > LONGEST_S:
        message = f"{what} is too long: {kind(node)}"
        section.error("CB201", node, message, f"the limit is {LONGEST_S:,} seconds")
        return None
    return abs(float(value))  # `-0.0` is written, but never meant


def _made(section: Section, shape: _Shape, node: Node, what: str, name: str) -> Distribution | None:
    items = node.items if isinstance(node, ListNode) else (node,)
    hint = f"`{name}` takes {shape.needs}"
    if isinstance(node, MapNode) or len(items) != len(shape.numbers) or _is_empty(node):
        section.error("CB202", node, f"{what} {_given(node)}", hint)
        return None
    values = [_parameter(section, item, what, hint) for item in items]
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return None
    if shape.ascending and (wrong := _descent(numbers)):
        low, high = shape.numbers[wrong - 1 : wrong + 1]
        message = f"{what} has a {low} above its {high}"
        section.error("CB202", items[wrong], message, hint)
        return None
    return shape.make(*numbers)


def _parameter(section: Section, node: Node, what: str, hint: str) -> float | None:
    value = number(node)
    if value is None:
        section.error("CB202", node, f"{what} needs numbers, but has {kind(node)}", hint)
        return None
    return _in_range(section, node, value, what)


def _descent(numbers: Sequence[float]) -> int:
    """The place of the first number that is smaller than the one before it, 0 if none is."""
    return next((at for at in range(1, len(numbers)) if numbers[at] < numbers[at - 1]), 0)


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.value is None


def _given(node: Node) -> str:
    """What there is in place of the numbers that a distribution needs."""
    if isinstance(node, ListNode):
        return f"has {len(node.items)} value{'' if len(node.items) == 1 else 's'}"
    return "is empty" if _is_empty(node) else f"has {kind(node)}"


def _as_seconds(node: Node) -> str:
    """A hint for a text that somebody has meant as a time."""
    text = node.text.strip() if isinstance(node, ScalarNode) else ""
    bare = text.removesuffix("s").rstrip()
    if bare and len(bare) < 20 and bare.replace(".", "", 1).isdecimal() and bare.isascii():
        return f"seconds are written as a plain number: `{bare}`"
    return _EXAMPLE


def _as_fraction(node: Node) -> str:
    """A hint for a percentage."""
    text = node.text.strip() if isinstance(node, ScalarNode) else ""
    bare = text.removesuffix("%").rstrip()
    if (
        bare.isdecimal()
        and bare.isascii()
        and len(text) > 1
        and int(bare[:4]) <= 100
        and len(bare) < 4
    ):
        return f"for {bare} % write `{int(bare) / 100:g}`"
    return "0 is never, 1 is always"
