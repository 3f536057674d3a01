"""Decides `test`, `[` and `[[` as far as their words are known."""

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from callboard.flow.program import Word
from callboard.flow.shell.state import Status

_NUMERIC: Mapping[str, Callable[[int, int], bool]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
_EQUAL = {"=", "=="}
_BINARY = {*_NUMERIC, *_EQUAL, "!=", "=~", "<", ">", "-nt", "-ot", "-ef"}
_NUMBER = re.compile(r"\s*[-+]?(?:0|[1-9]\d{0,8})\s*")
_ODD = re.compile(r"\[\^|\[:|[?*+@!]\(")  # patterns that Python reads in another way
_UNARY = re.compile(r"-[a-zA-Z]")


def decide(words: Sequence[Word], *, patterns: bool = False) -> Status:
    """Whether the test of these words succeeds.

    Args:
        words: The arguments of `test`.
        patterns: Whether it is `[[`, where `==` compares with a pattern.
    """
    test = _Test(words, patterns)
    found = test.either()
    return found if test.at == len(words) else None


def matches(word: Word, pattern: Word) -> Status:
    """Whether a word matches a pattern of `case`."""
    if pattern.text is None:
        return None
    if _ODD.search(pattern.text):
        return None
    if word.text is not None:
        return fnmatchcase(word.text, pattern.text)
    if pattern.text == "*":
        return True
    if not any(character in pattern.text for character in "*?["):
        return None if word.may_be(pattern.text) else False
    return None


def _same(left: Word, right: Word) -> Status:
    if left.text is not None and right.text is not None:
        return left.text == right.text
    if left.text is not None:
        return None if right.may_be(left.text) else False
    if right.text is not None:
        return None if left.may_be(right.text) else False
    return None


def opposite(status: Status) -> Status:
    """The status of `!` before a command."""
    return None if status is None else not status


class _Test:
    """Reads the words from left to right; `at` is the next one."""

    def __init__(self, words: Sequence[Word], patterns: bool) -> None:
        self._words = words
        self._patterns = patterns
        self.at = 0

    def either(self) -> Status:
        found = self._both()
        while self._take("-o", "||"):
            other = self._both()
            found = True if True in (found, other) else None if None in (found, other) else False
        return found

    def _both(self) -> Status:
        found = self._one()
        while self._take("-a", "&&"):
            other = self._one()
            found = False if False in (found, other) else None if None in (found, other) else True
        return found

    def _one(self) -> Status:
        words, at = self._words, self.at
        left = len(words) - at
        if left == 0:
            return False
        if left >= 3 and words[at + 1].text in _BINARY:
            self.at += 3
            return self._compare(words[at], words[at + 1].text or "", words[at + 2])
        if left >= 2 and self._take("!"):
            return opposite(self._one())
        if left >= 3 and self._take("("):
            found = self.either()
            return found if self._take(")") else None
        text = words[at].text
        if left >= 2 and text is not None and _UNARY.fullmatch(text):
            self.at += 2
            return self._examine(text, words[at + 1])
        self.at += 1
        return _is_filled(words[at])

    def _compare(self, left: Word, operator: str, right: Word) -> Status:
        if operator in _EQUAL:
            return matches(left, right) if self._patterns else _same(left, right)
        if operator == "!=":
            return opposite(self._compare(left, "=", right))
        compare = _NUMERIC.get(operator)
        if compare is None or left.text is None or right.text is None:
            return None
        if not (_NUMBER.fullmatch(left.text) and _NUMBER.fullmatch(right.text)):
            return None
        return compare(int(left.text), int(right.text))

    @staticmethod
    def _examine(operator: str, word: Word) -> Status:
        if operator == "-n":
            return _is_filled(word)
        return opposite(_is_filled(word)) if operator == "-z" else None

    def _take(self, *texts: str) -> bool:
        found = self.at < len(self._words) and self._words[self.at].text in texts
        self.at += found
        return found


def _is_filled(word: Word) -> Status:
    if word.text is not None:
        return bool(word.text)
    return True if word.filled or any(word.parts) else None
