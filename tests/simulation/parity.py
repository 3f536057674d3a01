"""What a job of a run and one of a rehearsal must have in common."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from attrs import asdict, evolve

from callboard.events import (
    ActionEnded,
    Body,
    CallAnswered,
    CallMade,
    ConsoleInput,
    ConsoleOutput,
    Event,
    Failure,
    JobCreated,
    JobEnded,
    JobResult,
    TestCaseResult,
    TestRunEnded,
    WaitHopeless,
    decode,
    encode,
)

_TIMES = frozenset({"duration_s", "waited_s"})
_STATUS = re.compile(r"\bstatus \d+")
_OF_LAVA = "<LAVA_"
_LATE = ("<LAVA_TEST_RUNNER EXIT>", "<LAVA_SHELL_STATUS 0 ")
"""What a runner says last, which nobody may hear any more."""

_RAISE = "<LAVA_SIGNAL_TESTRAISE "
"""What a runner says after this, nobody may hear any more either."""


def stories(events: Iterable[Event]) -> Mapping[str, list[str]]:
    """What each job does in order, and apart from that what its console shows.

    Left out are times, what tests print of their own, and words that only a run knows. A device
    that can do an action and one that skips it are alike.
    """
    found: dict[str, list[str]] = {}
    raised: set[int] = set()
    for event in events:
        body = decode(encode(event)).body
        job = getattr(body, "job", None)
        if job is None or isinstance(body, WaitHopeless):
            continue
        if isinstance(body, ConsoleOutput | ConsoleInput):
            late = job in raised or body.text.startswith(_LATE)
            if body.text.startswith(_RAISE):
                raised.add(job)
            if _OF_LAVA in body.text and not late:
                found.setdefault(f"console of {job}", []).append(_line(body))
            continue
        told = {name: value for name, value in _told(body).items() if name not in _TIMES}
        found.setdefault(f"job {job}", []).append(f"{event.kind} {told}")
    return {name: list(_sorted(story)) for name, story in found.items()}


def _sorted(story: Iterable[str]) -> Iterator[str]:
    """The story with data of several senders in one order, for any is right."""
    for is_datum, lines in groupby(story, lambda line: "<LAVA_DATUM" in line):
        found = list(lines)
        yield from sorted(found) if is_datum else found


def _told(body: Body) -> dict[str, Any]:
    match body:
        case JobCreated():
            body = evolve(body, device="", driver="", definition="")
        case ActionEnded(result="skip"):
            body = evolve(body, result="pass", reason=None, recorded=False)
        case TestRunEnded():
            body = evolve(body, commit=None)
        case TestCaseResult():
            body = evolve(body, measurement=None)
        case ActionEnded(error=Failure() as error) | JobEnded(error=Failure() as error):
            body = evolve(body, error=_any_status(error))
        case JobResult(error=Failure() as error):
            body = evolve(body, error=_any_status(error))
        case CallMade(data=data) if data is not None:
            body = evolve(body, data=dict.fromkeys(sorted(data), "…"))
        case CallAnswered(data=data) if data is not None:
            senders = {job: dict.fromkeys(data[job], "…") for job in sorted(data)}
            body = evolve(body, data=senders)
        case _:
            pass
    return asdict(body)


def _any_status(failure: Failure) -> Failure:
    return evolve(failure, message=_STATUS.sub("status …", failure.message))


def _line(body: ConsoleOutput | ConsoleInput) -> str:
    """A line in LAVA's protocol, without values that only a run knows."""
    words = body.text.split()
    kept = [word.partition("=")[0] if _is_value(word) else word for word in words]
    # The shell's path stands in the line that readies it; a number may be known only to the run.
    line = " ".join(word for word in kept if not word.startswith(("SHELL", "MEASUREMENT")))
    line = _STATUS.sub("status …", line.rstrip(">"))
    return f"{'<' if isinstance(body, ConsoleInput) else '>'} {line}"


def _is_value(word: str) -> bool:
    return "=" in word and not word.startswith(("TEST_CASE_ID=", "RESULT=", "UNITS="))
