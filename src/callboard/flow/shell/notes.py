"""What is noted while a script is run, and where it is written."""

import contextlib
from collections.abc import Iterator, Sequence

from attrs import evolve
from tree_sitter import Node

from callboard.definition.source import Source
from callboard.events import Where
from callboard.flow.program import Command, Item, Obscurity, Unseen, Word
from callboard.flow.shell.script import Script
from callboard.flow.shell.syntax import text_of

_MOST_SHOWN = 2_000


class Notes:
    """The items of a script, in the order in which a shell comes to them.

    Args:
        script: What is read first.
        hidden: Texts that are never shown.

    Attributes:
        inside: The helper that runs what is run, e.g. `lava-test-case`; None if none does.
    """

    def __init__(self, script: Script, hidden: frozenset[str]) -> None:
        self.inside: str | None = None
        self._present = script
        self._hide = Source("", "", secrets=hidden).masked
        self._items: list[Item] = []

    def add(self, item: Item) -> None:
        """Note an item."""
        self._items.append(item)

    def add_all(self, items: Sequence[Item]) -> None:
        """Note items that have been collected."""
        self._items += items

    @property
    def ends(self) -> bool:
        """Whether a command that fails here ends the shell."""
        return True

    def note(self, node: Node, *, unknown: bool = False, report: Sequence[Word] = ()) -> None:
        """Note an ordinary command, or a helper with the words of its report."""
        text, where = self.shown(text_of(node)), self.where(node)
        self.add(Command(text, where, unknown, self.ends, tuple(report)))

    def obscure(self, node: Node, reason: str, obscurity: Obscurity = "unseen") -> None:
        """Note that nobody can tell what happens here."""
        self.add(Unseen(self.shown(reason), self.where(node), obscurity))

    def where(self, node: Node) -> Where:
        """Where a node of the present script is written."""
        where = self._present.where(node)
        return evolve(where, step=self.shown(where.step))

    def shown(self, text: str) -> str:
        """A text without what is never shown, and not too long."""
        text = self._hide(text)
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"

    @contextlib.contextmanager
    def collected(self) -> Iterator[list[Item]]:
        """The items that are noted inside, apart from those before."""
        outer, self._items = self._items, []
        try:
            yield self._items
        finally:
            self._items = outer

    @contextlib.contextmanager
    def reading(self, script: Script) -> Iterator[None]:
        """What is run inside is written in another script."""
        before, self._present = self._present, script
        try:
            yield
        finally:
            self._present = before

    @property
    def script(self) -> Script:
        """The script whose nodes are run."""
        return self._present

    @contextlib.contextmanager
    def within(self, helper: str) -> Iterator[None]:
        """What is run inside is run by a helper."""
        before, self.inside = self.inside, helper
        try:
            yield
        finally:
            self.inside = before
