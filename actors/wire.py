r"""How values travel between a node's helpers and callboard, besides LAVA's own signals.

Words on a line are split at white space, a terminal acts on control characters, and `>` ends a
signal; so each of them, and the backslash, is spelt `\0ooo` in octal, as `printf %b` reads it.
"""

import re
from collections.abc import Iterator, Mapping

LONGEST_LINE_BYTES = 1024
"""Most bytes of a line to a node, its end included: a terminal cuts lines at 4,095."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\>]")
_ESCAPE = re.compile(r"\\0([01][0-7]{2})")
_LINE_BREAKS = re.compile(r"[\r\n]+")


def escape(text: str) -> str:
    r"""`text` without white space, control characters, `>` and bare backslashes."""
    return _UNSAFE.sub(lambda match: f"\\0{ord(match[0]):03o}", text)


def unescape(text: str) -> str:
    r"""The text that was escaped; what is no escape stays as it is."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)


def data_lines(data: Mapping[int, Mapping[str, str]]) -> Iterator[str]:
    """The lines that carry received data to a node's helper, without their ends.

    A datum is `<LAVA_DATUM 1200:key=value>`, followed by as many `<LAVA_MORE value>` as a long
    value needs. Line breaks become spaces, for the node keeps a line a datum; keys, too, may have
    anything in them, where they come from nodes that are not callboard's.

    Args:
        data: Values by key, by the sender's job id.
    """
    for job, values in data.items():
        for key, value in values.items():
            datum = f"{job}:{escape(_LINE_BREAKS.sub(' ', f'{key}={value}'))}"
            for number, piece in enumerate(_pieces(datum)):
                yield f"<LAVA_{'MORE' if number else 'DATUM'} {piece}>"


def _pieces(text: str) -> Iterator[str]:
    """`text` in parts that fit a line, cut between characters and never inside an escape."""
    room = LONGEST_LINE_BYTES - len("<LAVA_DATUM >\n")
    start = size = 0
    for match in re.finditer(r"\\0[0-7]{3}|.", text, re.DOTALL):
        width = len(match[0].encode())
        if size + width > room:
            yield text[start : match.start()]
            start, size = match.start(), 0
        size += width
    yield text[start:]
