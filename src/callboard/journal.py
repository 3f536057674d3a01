"""Where actors say what happens: events are numbered, freed of secrets, and passed to sinks."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, get_origin

from attrs import evolve, fields

from callboard.events import KINDS, Absentee, Body, Event, Failure, Where, encode

MASK = "[MASKED]"
"""What stands in every event where a secret was."""

_TEXTS = {
    body: frozenset(each.name for each in fields(body) if get_origin(each.type) is not Literal)
    for body in KINDS.values()
}
"""The fields of each kind that may hold a user's text: all but those with fixed words."""


class Mask:
    r"""Replaces secret values in the texts of events.

    Args:
        secrets: The values to hide. Of a value with several lines each line is hidden too,
            since a console prints it line by line; so is the spelling in which the shell
            helpers send white space (`\0040`).
    """

    SHORTEST = 4
    """Shorter values would destroy the logs and are refused in definitions."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            for part in (secret, *secret.splitlines()):
                escaped = re.sub(r"[\s\\]", lambda match: f"\\0{ord(match[0]):03o}", part)
                spellings |= {part, part.strip(), escaped}
        long = sorted((s for s in spellings if len(s) >= self.SHORTEST), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, long))) if long else None

    @property
    def hides(self) -> bool:
        """Whether there is anything to hide."""
        return self._pattern is not None

    def __call__(self, body: Body) -> Body:
        """`body` with every secret replaced by `[MASKED]`."""
        if self._pattern is None:
            return body
        texts = _TEXTS[type(body)]
        make: Callable[..., Body] = type(body)
        values = {each.name: getattr(body, each.name) for each in fields(type(body))}
        return make(**{n: self._value(v) if n in texts else v for n, v in values.items()})

    def text(self, text: str) -> str:
        """`text` with every secret replaced by `[MASKED]`."""
        return self._pattern.sub(MASK, text) if self._pattern else text

    def _value(self, value: object) -> object:
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self._value(key): self._value(item) for key, item in value.items()}
            case tuple():
                return tuple(map(self._value, value))
            case Failure():
                return evolve(value, message=self.text(value.message))
            case Where():
                return evolve(value, file=self.text(value.file), step=self.text(value.step))
            case Absentee():
                return evolve(value, role=self.text(value.role))
            case _:
                return value


class LogFile:
    """Writes events to a file, each one handed to the kernel before the next is taken.

    Args:
        path: The file; it must not exist yet.

    Raises:
        OSError: The file can't be made.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("xb", buffering=0)

    def __call__(self, event: Event) -> None:
        """Append `event`. Raises OSError when it can't be written whole."""
        rest = memoryview(encode(event))
        while rest:
            rest = rest[self._file.write(rest) or 0 :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Journal:
    """Where actors say what happened: numbers events, masks secrets, passes them to sinks.

    Args:
        clock: The current time in seconds; the run's begin is `time_s` before the first call.
        mask: Hides secrets in every event.
        sinks: Each gets every event, in order. A sink that raises OSError gets no more events.
        failed: Called once for each sink that failed, with its error.
        seq: The `seq` of the event that is gone on after.
        time_s: Seconds since the run began, now.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        mask: Mask | None = None,
        sinks: Iterable[Callable[[Event], None]] = (),
        failed: Callable[[OSError], None] = lambda _error: None,
        seq: int = 0,
        time_s: float = 0.0,
    ) -> None:
        self._clock = clock
        self._begin_s = clock() - time_s
        self._mask = mask if mask is not None and mask.hides else None
        self._sinks = tuple(sinks)
        self._failed = failed
        self._seq = seq

    def add(self, sink: Callable[[Event], None]) -> None:
        """Give `sink` every event from now on."""
        self._sinks = (*self._sinks, sink)

    @property
    def listening(self) -> bool:
        """Whether anybody gets what is emitted; if not, it needn't be put into words."""
        return bool(self._sinks)

    @property
    def time_s(self) -> float:
        """Seconds since the run began, to the microsecond."""
        return round(self._clock() - self._begin_s, 6)

    def emit(self, actor: str, body: Body, cause: int | None = None) -> int:
        """Record that `actor` says `body`.

        Args:
            actor: Address of the speaking actor.
            body: What happened.
            cause: `seq` of the event that it answers.

        Returns:
            The `seq` of the new event.
        """
        self._seq = seq = self._seq + 1
        sinks = self._sinks
        if not sinks:
            return seq
        if self._mask is not None:
            body = self._mask(body)
        event = Event(seq, round(self._clock() - self._begin_s, 6), actor, body, cause)
        for sink in sinks:
            try:
                sink(event)
            except OSError as error:
                self._sinks = tuple(each for each in self._sinks if each is not sink)
                self._failed(error)
        return seq
