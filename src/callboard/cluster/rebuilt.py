"""What the log of a group says of it, for the leader that takes it up."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from callboard.actors.messages import Interrupt, JobDone
from callboard.actors.progress import Progress
from callboard.cluster.entries import Allotted, Entry, GivenUp, Led, Relayed, Requested, is_entry
from callboard.cluster.entries import decode as decode_entry
from callboard.cluster.numbering import Numbering
from callboard.cluster.records import Seat
from callboard.events import (
    Failure,
    JobCreated,
    JobEnded,
    LogError,
    RunEnded,
    RunStarted,
    WaitHopeless,
    decode,
)

_EVENT = re.compile(rb'\{"seq":(\d+),"time":([^,]+),"actor":"(?:[^"\\]|\\.)*","kind":"([a-z-]+)",')
"""How `events.encode` begins a line; most events needn't be read any further."""

_TELLING = frozenset({b"run-started", b"job-created", b"job-ended", b"run-ended", b"wait-hopeless"})

Report = tuple[int, int | None, bool]
"""Of a hopeless wait: the job, the event of its call, and whether it was certainly hopeless."""


@define
class Rebuilt:
    """A group as far as its log goes.

    Attributes:
        started: Its first event.
        seq: The `seq` of the last event.
        time_s: When that happened.
        created: The jobs whose creation is on record.
        done: How jobs ended, as their group was told it.
        interrupted: Why it was interrupted, None where it was not.
        jobs_ended: How jobs ended by their own word, by job.
        ended: The last event of all; None for a group that goes on.
        requests: What its coordinator wrote down; as `ledger.Entry` in JSON.
        hopeless: What was reported of hopeless waits.
        seats: Where each job runs; None before that is known.
        given_up: The workers of which nothing more is wanted, and why.
        numberings: What the events of each host are called, by its box.
        leader: Who led it last.
    """

    started: RunStarted | None = None
    seq: int = 0
    time_s: float = 0.0
    created: set[int] = field(factory=set[int])
    done: dict[int, JobDone] = field(factory=dict[int, JobDone])
    interrupted: str | None = None
    jobs_ended: dict[int, JobEnded] = field(factory=dict[int, JobEnded])
    ended: RunEnded | None = None
    requests: list[Any] = field(factory=list[Any])
    hopeless: set[Report] = field(factory=set[Report])
    seats: Mapping[int, Seat] | None = None
    given_up: dict[str, Failure] = field(factory=dict[str, Failure])
    numberings: dict[str, Numbering] = field(factory=dict[str, Numbering])
    leader: Led | None = None

    @property
    def progress(self) -> Progress | None:
        """What its group actor is to know; None when it has not begun."""
        if self.started is None:
            return None
        return Progress(frozenset(self.created), tuple(self.done.values()), self.interrupted)


def rebuild(lines: Iterable[bytes]) -> Rebuilt:
    """Read a log.

    Raises:
        LogError: A line is neither an event nor an entry.
    """
    group = Rebuilt()
    relayed: Numbering | None = None
    number = left = 0
    for line in lines:
        if is_entry(line):
            left = 0
            match decode_entry(line):
                case Relayed(box, number, left):
                    relayed = group.numberings.setdefault(box, Numbering())
                case entry:
                    _note(group, entry)
            continue
        _take(group, line)
        if left and relayed is not None:
            relayed.add(number, group.seq)
            number, left = number + 1, left - 1
    return group


def _note(group: Rebuilt, entry: Entry) -> None:
    match entry:
        case Led():
            group.leader = entry
        case Requested(request):
            group.requests.append(request)
        case Allotted(seats):
            group.seats = seats
        case GivenUp(box, failure):
            group.given_up.setdefault(box, failure)
        case JobDone(job):
            group.done.setdefault(job, entry)
        case Interrupt(reason):
            if group.interrupted is None:
                group.interrupted = reason
        case Relayed():
            raise TypeError("what is relayed comes with its events")


def _take(group: Rebuilt, line: bytes) -> None:
    found = _EVENT.match(line)
    if found is None:
        raise LogError("a line of the log is neither an event nor an entry")
    group.seq, group.time_s = int(found[1]), float(found[2])
    if found[3] not in _TELLING:
        return
    event = decode(line)
    match event.body:
        case RunStarted() as started:
            group.started = started
        case JobCreated(job):
            group.created.add(job)
        case JobEnded(job) as ended:
            group.jobs_ended.setdefault(job, ended)
        case RunEnded() as ended:
            group.ended = ended
        case WaitHopeless(job, certain=certain):
            group.hopeless.add((job, event.cause, certain))
        case _:
            pass
