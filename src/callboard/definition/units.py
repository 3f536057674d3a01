"""Reads quantities with a unit: durations, shares, rates and sizes."""

import math
import re
from collections.abc import Mapping

from attrs import frozen

from callboard.definition.reader import Section, did_you_mean
from callboard.definition.tree import Node, ScalarNode, kind

_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?|\.\d{1,9}) ?([A-Za-z%]+(?:/s)?)", re.ASCII)


@frozen
class _Measure:
    """What is measured: its units, and which of them a bare number has.

    Attributes:
        what: In a message: "must be ... such as `20ms`".
        example: How one writes it.
        units: What a number is multiplied with, by the unit's name.
        bare: What a number without a unit is multiplied with; None where it needs one.
        least: The smallest value.
        most: The largest value.
        limits: Both in words.
    """

    what: str
    example: str
    units: Mapping[str, float]
    bare: float | None
    least: float
    most: float
    limits: str


_DURATION = _Measure(
    "a duration",
    "20ms",
    {"us": 1e-6, "ms": 1e-3, "s": 1.0},
    1.0,
    0.0,
    60.0,
    "from 0 to 60 seconds",
)
_SHARE = _Measure("a share", "1%", {"%": 1e-2}, 1.0, 0.0, 1.0, "from 0 to 100 %, or from 0 to 1")
_RATE = _Measure(
    "a rate",
    "10Mbit",
    {"bit": 1.0, "kbit": 1e3, "Mbit": 1e6, "Gbit": 1e9},
    None,
    1e3,
    1e12,
    "from 1kbit to 1000Gbit",
)
_SIZE = _Measure(
    "a size",
    "10MB",
    {
        "B": 1.0,
        "kB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "TB": 1e12,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
        "TiB": 2.0**40,
    },
    1.0,
    1.0,
    2.0**50,
    "from 1 byte to 1024TiB",
)


def read_duration(section: Section, key: str) -> float | None:
    """A duration such as `20ms`, in seconds, which a bare number has too."""
    return _read(section, key, _DURATION)


def read_share(section: Section, key: str) -> float | None:
    """A share such as `1%`, from 0 to 1, as which a bare number is read."""
    return _read(section, key, _SHARE)


def read_rate(section: Section, key: str) -> int | None:
    """A rate such as `10Mbit`, in bits a second; the unit must be there."""
    value = _read(section, key, _RATE)
    return None if value is None else round(value)


def read_size(section: Section, key: str, *, required: bool = False) -> int | None:
    """A size such as `10MB`, in bytes, which a bare number has too."""
    if required and section.required(key, f"write for instance `{key}: {_SIZE.example}`") is None:
        return None
    value = _read(section, key, _SIZE)
    return None if value is None else round(value)


def _read(section: Section, key: str, measure: _Measure) -> float | None:
    node = section.get(key)
    if node is None:
        return None
    what = f"`{key}` of {section.title}"
    value = _value(node, measure)
    if value is None:
        message = f"{what} must be {measure.what} such as `{measure.example}`, but is {kind(node)}"
        section.error("CB260", node, message, _hint(node, measure))
        return None
    if not measure.least <= value <= measure.most:
        section.error("CB260", node, f"{what} must be {measure.limits}, but is {kind(node)}")
        return None
    return value


def _value(node: Node, measure: _Measure) -> float | None:
    """The value in the measure's own unit; None for what isn't one."""
    match node:
        case ScalarNode(value=bool()):
            return None
        case ScalarNode(value=int() | float() as number):
            bare = measure.bare
            return number * bare if bare is not None and math.isfinite(number) else None
        case ScalarNode(value=str(), text=text) if found := _QUANTITY.fullmatch(text.strip()):
            unit = _unit(found[2], measure)
            # Divided, for 1 % is 1/100 and no product of 1 with what 0.01 is in binary.
            return None if unit is None else _times(float(found[1]), measure.units[unit])
        case _:
            return None


def _times(number: float, unit: float) -> float:
    return number * unit if unit >= 1 else number / round(1 / unit)


def _unit(text: str, measure: _Measure) -> str | None:
    """A unit as it is spelled here; where case tells none apart, any does."""
    name = text.removesuffix("/s") if measure is _RATE else text
    if name in measure.units:
        return name
    return next((each for each in measure.units if each.lower() == name.lower()), None)


def _hint(node: Node, measure: _Measure) -> str:
    text = node.text.strip() if isinstance(node, ScalarNode) else ""
    if measure.bare is None and text.isdecimal():
        return f"write the unit: `{text[:20]}bit`, or {_listed(measure)}"
    found = _QUANTITY.fullmatch(text)
    near = did_you_mean(found[2], measure.units) if found else None
    return near or f"units are {_listed(measure)}"


def _listed(measure: _Measure) -> str:
    *names, last = measure.units
    return f"{', '.join(names)} and {last}" if names else last
