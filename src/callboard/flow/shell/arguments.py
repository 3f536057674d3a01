"""The positional parameters of a shell or of one of its functions."""

from collections.abc import Sequence

from attrs import evolve, frozen

from callboard.flow.program import UNKNOWN, Word

_MOST = 1_000


@frozen
class Several(Word):
    """A word that becomes any number of words, as an unquoted `$X` of which nothing is known."""

    @classmethod
    def any(cls) -> "Several":
        """Words of which nothing is known."""
        return cls((None,))


@frozen
class Arguments:
    """`$1` and so on, as far as they are known.

    Attributes:
        words: The first ones.
        more: Whether others may follow that nobody knows.
        name: `$0`.
    """

    words: tuple[Word, ...] = ()
    more: bool = False
    name: Word = UNKNOWN

    @classmethod
    def of(cls, words: Sequence[Word], name: Word = UNKNOWN) -> "Arguments":
        """What these words become; behind one that may be several nothing is known."""
        known: list[Word] = []
        for word in words[:_MOST]:
            known.append(Word(word.parts, word.filled))
            if isinstance(word, Several):
                return cls(tuple(known), more=True, name=name)
        return cls(tuple(known), more=len(words) > _MOST, name=name)

    def number(self, number: int) -> Word:
        """The argument of a number, 0 being the script itself; empty if there are fewer."""
        if number == 0:
            return self.name
        if number <= len(self.words):
            return self.words[number - 1]
        return UNKNOWN if self.more else Word.of("")

    @property
    def count(self) -> Word:
        """`$#`."""
        return Word((None,), filled=True) if self.more else Word.of(str(len(self.words)))

    def fields(self) -> list[Word]:
        """`"$@"`; the last one may be several when more may follow."""
        if not self.more:
            return list(self.words)
        *known, last = self.words or [UNKNOWN]
        return [*known, Several(last.parts, last.filled)]

    def without(self, count: int) -> "Arguments":
        """What `shift` leaves of them."""
        if self.more and count > 0:  # the last known one may have been none, or several
            return evolve(self, words=self.words[count:-1] if self.words else ())
        return self if count > len(self.words) else evolve(self, words=self.words[count:])
