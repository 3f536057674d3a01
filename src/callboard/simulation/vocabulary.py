"""What the words of calls may be that only a run knows: one of those that others use."""

from collections.abc import Iterable
from random import Random

from callboard.events import CallName
from callboard.flow.program import Call, Program, Word

GAP = "x"
"""What stands in data where only a run knows what is sent."""


class Vocabulary:
    """The words of a group's calls.

    Args:
        programs: What its roles do.
    """

    def __init__(self, programs: Iterable[Program]) -> None:
        programs = tuple(programs)
        self._roles = tuple(program.role for program in programs)
        ids: dict[str, dict[str, None]] = {}
        for program in programs:
            for call in program.calls():
                if call.id.text is not None:
                    ids.setdefault(_kind(call.call), {})[call.id.text] = None
        self._ids = {kind: tuple(texts) for kind, texts in ids.items()}
        self._fitting: dict[tuple[str, Word], tuple[str, ...]] = {}

    def id(self, call: Call, random: Random) -> str:
        """The ID of a call; where it has gaps, one that it may be, others' or its own."""
        kind = _kind(call.call)
        return call.id.text or self._drawn(kind, call.id, self._ids.get(kind, ()), random)

    def role(self, word: Word, random: Random) -> str:
        """A role that is named; where it has gaps, one of the group that it may be."""
        return word.text or self._drawn("role", word, self._roles, random)

    @staticmethod
    def value(word: Word) -> str:
        """What is sent, gaps filled with something."""
        return "".join(GAP if part is None else part for part in word.parts)

    def _drawn(self, kind: str, word: Word, known: tuple[str, ...], random: Random) -> str:
        key = kind, word
        fitting = self._fitting.get(key)
        if fitting is None:
            fitting = tuple(text for text in known if word.may_be(text)) or (self.value(word),)
            self._fitting[key] = fitting
        return fitting[random.randrange(len(fitting))]


def _kind(call: CallName) -> str:
    """Which IDs it may have: those of syncs are not those of messages."""
    return "sync" if call == "sync" else "message"
