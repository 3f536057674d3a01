"""Who can reach whom, in a picture: networks are lines that run down past the nodes."""

import textwrap
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from rich.cells import cell_len

from callboard.flow.drawing.caption import most
from callboard.flow.drawing.layout import CELL, LINE, shortened, text_at
from callboard.flow.drawing.network import MOST_MEMBERS, Network

MOST_WIRES = 20
"""Networks that are drawn; more of them are listed."""

_STRIDE = 26
_ROW = 22


def wires(
    networks: Sequence[Network], x: float, y: float, width: float
) -> Iterator[tuple[float, str]]:
    """The shapes and texts, each with its height; who has a dot on a line can reach each other.

    Args:
        networks: None in a group without VLANs.
        x: Where it begins, in pixels.
        y: The height of its first line.
        width: The width of the picture that it is in.
    """
    titles = list(dict.fromkeys(each.title for own in networks for each in own.members))
    if len(networks) > MOST_WIRES or len(titles) > MOST_MEMBERS:
        for line in most(list(map(str, networks))):
            for part in textwrap.wrap(line, int((width - 2 * x) / CELL), subsequent_indent="    "):
                yield y, text_at(x, y, part, "call", len(part))
                y += LINE
        return
    if not titles:
        return
    first = x + (max(cell_len(shortened(title)) for title in titles) + 2) * CELL
    top = y + len(networks) * LINE
    for number, network in enumerate(networks):
        at, high = first + number * _STRIDE, y + number * LINE
        style = "vlan" if network.is_vlan else "shared"
        tip = f"<title>{escape(str(network))}</title>"
        end = _centre(top, max(titles.index(each.title) for each in network.members))
        line = f"M{at:.1f} {high + 6:.1f}V{end:.1f}"
        yield high, f'<path class="{style}" d="{line}">{tip}</path>'
        room = int((width - x - at) / CELL) + 1
        yield high, text_at(at - 1, high, network.name, "role", room)
    for number, title in enumerate(titles):
        high = _centre(top, number)
        yield high, text_at(x, high + 4, title, "call")
        for place, network in enumerate(networks):
            if any(each.title == title for each in network.members):
                at, style = first + place * _STRIDE, "plug" if network.is_vlan else "plug all"
                yield high, f'<circle class="{style}" cx="{at:.1f}" cy="{high:.1f}" r="6"/>'


def _centre(top: float, row: int) -> float:
    """The height of a row's centre."""
    return top + (row + 0.5) * _ROW
