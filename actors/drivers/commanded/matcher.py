"""Finds what a console is waited for, in bytes that come in pieces of any size."""

import codecs
import re
from collections.abc import Sequence

from attrs import frozen

SPAN = 4_096
"""Characters that one match may have."""

_LAST_LINE = 256
"""The same for one that looks at what follows, and is searched for after each character."""

_MOST_UNREAD = 262_144
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"
    r"|[\]PX^_][^\x07\x1b]{0,256}(?:\x07|\x1b\\)"
    r"|[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
)
_ESCAPE_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]{0,256}\x1b?|[ -/]*)\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MEANT_AS_IT_IS = re.compile(r"\\[^bBZ]|\[\^?\]?[^\]]*\]")
_LOOKS_AHEAD = re.compile(r"\$|\\[bBZ]|\(\?!")


@frozen
class Pattern:
    """A regular expression as LAVA writes it: `.` is any character, `^` the start of a line.

    Attributes:
        compiled: The expression.
        growing: Whether text that it is found in can't lose it by what follows.
    """

    compiled: re.Pattern[str]
    growing: bool


@frozen
class Found:
    """What was found first.

    Attributes:
        index: Which of the patterns.
        match: The match.
        before: The text up to its end.
    """

    index: int
    match: re.Match[str]
    before: str


def pattern(written: str) -> Pattern:
    """A pattern as it is written. Raises re.error."""
    compiled = re.compile(written, re.DOTALL | re.MULTILINE)
    return Pattern(compiled, not _LOOKS_AHEAD.search(_MEANT_AS_IT_IS.sub("", written)))


class Cleaner:
    """Turns a console's bytes into text without colours, cursor movements and other controls.

    What it gives doesn't depend on where the bytes are divided.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        """The text that `data` completes."""
        text = self._held + self._decoder.decode(data)
        self._held = ""
        if "\x1b" in text:
            text = _ESCAPE.sub("", text)
            if begun := _ESCAPE_BEGUN.search(text):
                self._held = begun.group()
                text = text[: begun.start()]
        return _CONTROL.sub("", text)


class Matcher:
    """Text of a console, in which the first match of several patterns is found.

    The first match is the one that ends first, had the text come character by character; of
    two that end together the pattern that stands first counts. What is before its end is
    behind then, and not looked at again.
    """

    def __init__(self) -> None:
        self._text = ""
        self._searched = 0
        self._patterns: Sequence[Pattern] = ()

    def feed(self, text: str) -> None:
        """Add what has come; of very much that nobody looks at the beginning is dropped."""
        self._text += text
        self._drop(len(self._text) - _MOST_UNREAD)

    def clear(self) -> None:
        """Forget what has come so far."""
        self._text = ""
        self._searched = 0

    def find(self, patterns: Sequence[Pattern]) -> Found | None:
        """The first match, None as long as there is none."""
        if patterns is not self._patterns:
            self._patterns, self._searched = patterns, 0
        ends = [(self._end(each), index) for index, each in enumerate(patterns)]
        found = min(((end, index) for end, index in ends if end is not None), default=None)
        if found is None:
            self._searched = len(self._text)
            if self._searched > 4 * SPAN:
                self._drop(self._searched - SPAN)
            return None
        end, index = found
        before = self._text[:end]
        match = patterns[index].compiled.search(before, max(0, self._searched - SPAN))
        assert match is not None, "it has been found up to there"
        self._text, self._searched = self._text[end:], 0
        return Found(index, match, before)

    def _end(self, wanted: Pattern) -> int | None:
        """The length of the shortest beginning in which a pattern is found, None for none."""
        search, start, size = wanted.compiled.search, self._searched, len(self._text)
        if not wanted.growing:
            ends = range(start, size + 1)
            lines = (end for end in ends if search(self._text, max(0, end - _LAST_LINE), end))
            return next(lines, None)
        low = max(0, start - SPAN)
        if not search(self._text, low, size):
            return None
        none, end = start - 1, size
        while end - none > 1:
            middle = (none + end) // 2
            if search(self._text, low, middle):
                end = middle
            else:
                none = middle
        return end

    def _drop(self, size: int) -> None:
        if size > 0:
            self._text = self._text[size:]
            self._searched = max(0, self._searched - size)
