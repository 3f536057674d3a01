"""What drawings in a terminal are made of."""

from attrs import astuple, frozen
from rich.cells import cell_len, set_cell_size


@frozen
class Marks:
    """What is drawn besides words."""

    line: str = "│"
    corner: str = "└"
    rule: str = "─"
    arrow: str = "←"
    then: str = "→"
    cross: str = "✗"
    end: str = "■"
    cut: str = "…"
    plug: str = "●"
    times: str = "×"

    @property
    def all(self) -> str:
        """All of them, one after the other."""
        return "".join(astuple(self))

    def spelt(self, text: str) -> str:
        """A text of the chart with these marks for its own."""
        return text.replace("…", self.cut).replace("×", self.times)


BOXES = Marks()
ASCII = Marks("|", "`", "-", "<-", "->", "X", "#", "~", "*", "x")
"""For encodings that have no box characters."""


def fitted(text: str, cells: int, cut: str) -> str:
    """The text in exactly so many cells, cut where it is longer."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(set_cell_size(text, cells - cell_len(cut)) + cut, cells)
