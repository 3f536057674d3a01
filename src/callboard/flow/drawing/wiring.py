"""Who can reach whom, drawn in a terminal: networks are lines that run down past the nodes."""

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from callboard.flow.drawing.caption import most
from callboard.flow.drawing.marks import Marks, fitted
from callboard.flow.drawing.network import MOST_MEMBERS, Network

MOST_LINES = 12
"""Networks that are drawn; more of them are listed."""

_STRIDE = 3
_LONGEST = 26
"""Cells that the name of a role may have."""

_NARROWEST = 12
"""Cells that are left for the name of the last network, at least."""


def wiring(networks: Sequence[Network], width: int, marks: Marks) -> Iterator[Text]:
    """The lines of the picture: who has a plug on the same line can reach each other.

    Networks for which there is no room become a list.

    Args:
        networks: At least one.
        width: The cells that a line may have.
        marks: What is drawn besides words.
    """
    titles = list(dict.fromkeys(each.title for own in networks for each in own.members))
    left = min(max(map(cell_len, map(marks.spelt, titles))), _LONGEST, width // 3)
    room = 1 + (width - left - 2 - _NARROWEST) // _STRIDE
    if len(networks) > min(MOST_LINES, room) or len(titles) > MOST_MEMBERS:
        for each in most([marks.spelt(str(each)) for each in networks]):
            for part in textwrap.wrap(each, width, subsequent_indent="    "):
                yield Text(part)
        return
    for number, network in enumerate(networks):
        line = Text(" " * (left + 2), end="", no_wrap=True)
        line.append(marks.line.ljust(_STRIDE) * number, "dim")
        room = min(cell_len(network.name), width - len(line.plain))
        line.append(fitted(network.name, room, marks.cut), "bold")
        yield line
    plugged = [[titles.index(each.title) for each in network.members] for network in networks]
    for row, title in enumerate(titles):
        line = Text(fitted(marks.spelt(title), left, marks.cut) + "  ", end="", no_wrap=True)
        for own in plugged:
            if row in own:
                line.append(marks.plug.ljust(_STRIDE))
            else:
                line.append((marks.line if row < max(own) else "").ljust(_STRIDE), "dim")
        line.rstrip()
        yield line
