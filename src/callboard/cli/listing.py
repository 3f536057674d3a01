"""Rows of cells on a terminal of any width: a table, or a few lines a row."""

from collections.abc import Collection, Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from callboard.cli.output import plain

_LEAST = 14
"""Cells below which a column that folds is harder to read than lines."""

_GAP = 2
_INDENT = 2


class Listing:
    """A table; where the terminal is too narrow for one, each row is a few lines.

    Args:
        columns: Their titles.
        folds: Those whose cells may go on in the next line.
        right: Those that are flush right.
    """

    def __init__(
        self, *columns: str, folds: Collection[str] = (), right: Collection[str] = ()
    ) -> None:
        self._columns = columns
        self._folds = folds
        self._right = right
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: str, style: str = "") -> None:
        """Add a row, a cell for each column; control characters are replaced."""
        self.add_styled(*(Text(plain(cell), style=style) for cell in cells))

    def add_styled(self, *cells: Text) -> None:
        """Add a row of texts that have no control characters."""
        self._rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._least_width() <= options.max_width:
            yield self._table()
        else:
            yield from self._lines(console, options.max_width)

    def _least_width(self) -> int:
        widths = []
        for place, title in enumerate(self._columns):
            width = max(cell_len(title), *(row[place].cell_len for row in self._rows), 0)
            least = max(cell_len(title), _LEAST)
            widths.append(min(width, least) if title in self._folds else width)
        return sum(widths) + _GAP * (len(widths) - 1)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim")
        for title in self._columns:
            folds = title in self._folds
            table.add_column(
                title,
                overflow="fold",
                no_wrap=not folds,
                justify="right" if title in self._right else "left",
            )
        for row in self._rows:
            table.add_row(*row)
        return table

    def _lines(self, console: Console, width: int) -> Iterator[Text]:
        """The first cell of each row, and below it the others that say something."""
        for first, *others in self._rows:
            if first.plain:
                yield from first.wrap(console, width)
            named = zip(self._columns[1:], others, strict=True)
            told = [
                Text.assemble((f"{title}: ", "dim"), cell)
                for title, cell in named
                if cell.plain not in ("", "-")
            ]
            if not told:
                continue
            for line in Text(", ").join(told).wrap(console, max(_LEAST, width - _INDENT)):
                line.rstrip()
                line.pad_left(_INDENT)
                yield line
