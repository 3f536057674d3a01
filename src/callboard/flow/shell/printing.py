"""What commands print, of those that are known to do nothing else."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from posixpath import basename

from callboard.flow.program import UNKNOWN, Word
from callboard.flow.shell.arithmetic import evaluate
from callboard.flow.shell.known import VLANS
from callboard.flow.shell.surroundings import Surroundings
from callboard.flow.shell.words import spaced

_SOMETHING = Word((None,), filled=True)
_MOST_LINES = 1_000
_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,8})")


def printed(words: Sequence[Word], around: Surroundings) -> Word | None:
    """What a command prints, None unless it is one that only prints and is known to.

    Args:
        words: The command, which is no function.
        around: The node that it runs on.
    """
    texts = [word.text for word in words]
    match basename(texts[0] or ""), texts[1:]:
        case "lava-role", []:
            return Word.of(around.role)
        case "lava-role", ["list"]:
            return _roles(around)
        case (("lava-group" | "lava-self"), []):
            return _SOMETHING
        case str(helper), [] if helper in VLANS and around.vlans:
            return _SOMETHING
        case "lava-group", [str(role)] if re.fullmatch(r"[\w-]+", role):
            there = any(count and name.endswith(role) for name, count in around.counts.items())
            return _SOMETHING if there else Word.of("")
        case "echo", [*rest] if not rest or not (rest[0] or "").startswith("-"):
            found = spaced(words[1:])
            return UNKNOWN if "\\" in str(found) else _stripped(found)
        case "printf", [str(text)] | ["%s", str(text)] if not re.search(r"[%\\]", text):
            return Word.of(text.rstrip("\n"))
        case "basename", [str(path)] if path.strip("/"):
            return Word.of(basename(path.rstrip("/")))
        case "dirname", [str(path)]:
            return Word.of(str(PurePosixPath(path).parent))
        case "seq", [*numbers]:
            return _sequence(numbers)
        case "expr", [str(left), str(operator), str(right)] if operator in {*"+-*/%"}:
            plain = _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right)
            value = evaluate(f"{left} {operator} {right}") if plain else None
            return UNKNOWN if value is None else Word.of(str(value))
        case _:
            return None


def _stripped(word: Word) -> Word:
    """Without the line breaks at the end, which a substitution drops."""
    last = word.parts[-1] if word.parts else None
    return word if last is None else Word((*word.parts[:-1], last.rstrip("\n")), word.filled)


def _roles(around: Surroundings) -> Word:
    """`lava-role list`: the role of each node, one a line."""
    counts = around.counts
    if sum(counts.values()) > _MOST_LINES:
        return _SOMETHING
    return Word.of("\n".join(role for role, count in counts.items() for _ in range(count)))


def _sequence(numbers: Sequence[str | None]) -> Word:
    """`seq`."""
    found = [int(n) for n in numbers if n is not None and re.fullmatch(r"-?\d{1,6}", n)]
    match found if len(found) == len(numbers) else ():
        case [last]:
            first, step = 1, 1
        case [first, last]:
            step = 1
        case [first, step, last] if step:
            pass
        case _:
            return UNKNOWN
    if abs(last - first) // abs(step) > _MOST_LINES:
        return UNKNOWN
    return Word.of("\n".join(map(str, range(first, last + (1 if step > 0 else -1), step))))
