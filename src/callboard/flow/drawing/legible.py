"""Strangers' texts, as they may stand in a drawing."""

import re
from collections.abc import Iterable

_ILLEGIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def legible(text: str) -> str:
    """Text on one line, without controls, marks of direction and halves of characters."""
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))


def all_legible(texts: Iterable[str]) -> tuple[str, ...]:
    """The same for each of several texts."""
    return tuple(map(legible, texts))
