"""Names with wildcards, by which models and faults say what they are about."""

import re
from functools import lru_cache

from attrs import frozen


@frozen
class Pattern:
    """A text in which `*` stands for anything, also nothing, and `?` for one character.

    Any other character stands for itself, brackets too, for commands are full of them; so every
    text is a pattern that matches itself.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    def matches(self, text: str) -> bool:
        """Whether the whole of a text is meant."""
        return text == self.text or _compiled(self.text).fullmatch(text) is not None


ANY = Pattern("*")
"""Whatever there is."""


@lru_cache(maxsize=1024)
def _compiled(text: str) -> "re.Pattern[str]":
    """The pattern as an expression whose time grows with the text, whatever the wildcards.

    What stands between two stars is searched for at its first place, and never again at a later
    one: the atomic groups forbid it, and the rest matches after the first if after any.
    """
    first, *between = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", text))
    if not between:
        return re.compile(first, re.DOTALL)
    *middle, last = between
    sought = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{sought}.*{last}", re.DOTALL)
