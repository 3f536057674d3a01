"""Names and times as texts about a coordinator have them."""

from collections.abc import Mapping, Sequence
from reprlib import Repr

NAMED = 3
"""How many clients a text names, before it counts the rest."""

_BRIEF = Repr()
_BRIEF.maxstring = _BRIEF.maxother = 80


def names_text(names: Sequence[str], roles: Mapping[str, str]) -> str:
    """Names of clients with their roles, as far as these are known, and as many as people read."""
    shown = [f"{each} ({roles[each]})" if each in roles else each for each in names[:NAMED]]
    if len(names) > NAMED:
        shown.append(f"{len(names) - NAMED:,} more")
    *others, last = shown
    return f"{', '.join(others)} and {last}" if others else last


def seconds_text(time_s: float) -> str:
    """A time as people say it, in its largest unit and the next."""
    seconds = round(time_s)
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours = seconds // 60, seconds // 3600
    if hours < 1:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def brief(value: object) -> str:
    """What a peer has sent, quoted, with escapes for what a terminal would act on, and not long."""
    return one_line(_BRIEF.repr(value))


def one_line(text: str) -> str:
    """Text that clients may have had a hand in, with escapes for what a terminal would act on."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
