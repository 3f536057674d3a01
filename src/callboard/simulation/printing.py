"""What the helpers of a test shell print on a console, given their words."""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import get_args

from attrs import frozen

from callboard.events import Result
from callboard.simulation.vocabulary import GAP

_RESULTS = frozenset(get_args(Result))
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNSAFE = re.compile(r"[\s>]")


@frozen
class Printed:
    """What a helper prints, or that it refuses to print anything."""

    lines: tuple[str, ...] = ()
    refused: bool = False


def printed(words: Sequence[str]) -> Printed:
    """What a helper that reports to LAVA prints.

    Args:
        words: Its name and its arguments; `x` stands for what only the run knows.
    """
    match words:
        case ["lava-test-case", case, *options]:
            lines = tuple(_reported(case, _options(options)))
        case ["lava-test-set", "start", name, *_]:
            lines = _signal("TESTSET", "START", name)
        case ["lava-test-set", "stop", *_]:
            lines = _signal("TESTSET", "STOP")
        case ["lava-test-reference", case, *options]:
            lines = tuple(_referred(case, _options(options)))
        case _:
            lines = ()
    return Printed(lines, refused=not lines)


def raised(text: str) -> tuple[str, ...]:
    """What `lava-test-raise` prints, given its arguments as they are written."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:  # a quote is open: it is a part of something longer
        words = text.split()
    return (f"<LAVA_SIGNAL_TESTRAISE {' '.join(words).replace('>', ')')}>",)


def case_lines(case: str, *, passes: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The lines around what `lava-test-case --shell` runs."""
    result = "pass" if passes else "fail"
    reported = _signal("TESTCASE", f"TEST_CASE_ID={case}", f"RESULT={result}")
    return _signal("STARTTC", case), _signal("ENDTC", case) + reported


def _signal(name: str, *words: str) -> tuple[str, ...]:
    """A signal; none where a helper would refuse a word of it."""
    if any(not word or _UNSAFE.search(word) for word in words):
        return ()
    return (f"<LAVA_SIGNAL_{name} {' '.join(words)}>",)


def _reported(case: str, options: dict[str, str]) -> Iterator[str]:
    result = options.get("--result", "")
    # A word that only the run knows stands for one that does no harm.
    result = "pass" if result == GAP else result
    if result not in _RESULTS:
        return
    words = [f"TEST_CASE_ID={case}", f"RESULT={result}"]
    if "--units" in options:
        words.append(f"UNITS={options['--units']}")
    if _NUMBER.fullmatch(options.get("--measurement", "")):
        words.append(f"MEASUREMENT={options['--measurement']}")
    yield from _signal("TESTCASE", *words)


def _referred(case: str, options: dict[str, str]) -> Iterator[str]:
    result, reference = options.get("--result", ""), options.get("--reference", "")
    if result in _RESULTS:
        yield from _signal("TESTREFERENCE", case, result, reference)


def _options(words: Sequence[str]) -> dict[str, str]:
    return dict(zip(words[::2], words[1::2], strict=False))
