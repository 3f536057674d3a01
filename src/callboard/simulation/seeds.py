"""Which seeds a group is rehearsed with."""

import re

SEEDS_LIMIT = 10_000_000
"""Seeds of one command, at most."""

SEED_LIMIT = 2**63 - 1
"""The largest seed."""

Seeds = range | tuple[int, ...]

_RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*")
_NUMBER = re.compile(r"[0-9]{1,19}")
_SHOWN = 40


class SeedsError(ValueError):
    """A text names no seeds; the error's text says why, `hint` what to write."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def parse_seeds(text: str) -> Seeds:
    """The seeds that `1..100`, both ends included, `7`, or `1, 5` name.

    A seed that is listed twice counts once.

    Raises:
        SeedsError: They are no numbers, the range is reversed, or there are more than ten million.
    """
    if found := _RANGE.fullmatch(text):
        first, last = map(_seed, found.groups())
        if last < first:
            message = f"the seeds `{first}..{last}` are reversed"
            raise SeedsError(message, f"write `{last}..{first}`")
        count = last - first + 1
        if count > SEEDS_LIMIT:
            message = f"`{first}..{last}` are {count:,} seeds; the limit is {SEEDS_LIMIT:,}"
            raise SeedsError(message, f"write `{first}..{first + SEEDS_LIMIT - 1}`, or less")
        return range(first, last + 1)
    numbers = [_seed(part.strip()) for part in text.split(",")]
    if len(numbers) == 1:
        return range(numbers[0], numbers[0] + 1)
    return tuple(dict.fromkeys(numbers))


def _seed(text: str) -> int:
    hint = "write a whole number such as `7`, or a range such as `1..100`"
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    if not _NUMBER.fullmatch(text):
        raise SeedsError(f"`{shown}` is no seed", hint)
    if int(text) > SEED_LIMIT:
        raise SeedsError(f"the seed `{shown}` is larger than {SEED_LIMIT:,}", hint)
    return int(text)
