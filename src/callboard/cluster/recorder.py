"""The leader's journal: its own events and those of its hosts, in one numbering."""

import math
from collections.abc import Callable, Iterable

from attrs import frozen

from callboard.cluster.entries import Relayed
from callboard.cluster.entries import encode as encode_entry
from callboard.cluster.messages import Emitted
from callboard.cluster.numbering import HOST_SEQ_BASE, Numbering, base_of
from callboard.cluster.rebuilt import Rebuilt
from callboard.events import (
    Body,
    DeadLetter,
    Event,
    JobCreated,
    LinksChanged,
    LogError,
    Message,
    RunEnded,
    RunStarted,
    decode,
    encode,
)
from callboard.journal import Journal, Mask

_GROUP = "/group"
_JOB = f"{_GROUP}/job-"

_LONGEST_REASON = 200
_ESCAPED = "\\u"

_LEADERS = (RunStarted, RunEnded, JobCreated, LinksChanged)
"""What only the leader says."""


@frozen
class _Host:
    """What is known of a host.

    Attributes:
        box: Its name.
        jobs: Those that it speaks for.
        base: What its numbers begin above.
        numbering: What its events are in the log.
    """

    box: str
    jobs: frozenset[int]
    base: int
    numbering: Numbering

    def ours(self, number: int) -> int | None:
        """The `seq` of one of its events, by its own number; None for none that has come."""
        return self.numbering.of(number - self.base)


class Recorder(Journal):
    """Where a leader's actors say what happened, and its hosts what happened there.

    Args:
        clock: The current time in seconds; it never goes back.
        append: Adds a line to the log.
        mask: Hides secrets in the leader's own events; hosts hide theirs.
        rebuilt: The log that it goes on with.
        pause_s: Seconds since the last event of that log.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        append: Callable[[bytes], None],
        *,
        mask: Mask | None = None,
        rebuilt: Rebuilt | None = None,
        pause_s: float = 0.0,
    ) -> None:
        known = rebuilt or Rebuilt()
        super().__init__(
            clock,
            mask=mask,
            sinks=[lambda event: append(encode(event))],
            seq=known.seq,
            time_s=known.time_s + pause_s,
        )
        self._append = append
        self._numberings = known.numberings
        self._latest_s = known.time_s
        self._hosts: dict[str, _Host] = {}
        self._by_base: dict[int, _Host] = {}

    def admit(self, box: str, jobs: Iterable[int]) -> None:
        """From now on a host speaks for these jobs of the group."""
        own = frozenset(jobs)
        numbering = self._numberings.setdefault(box, Numbering())
        host = _Host(box, own, base_of(own), numbering)
        self._hosts[box] = self._by_base[host.base] = host

    def emit(self, actor: str, body: Body, cause: int | None = None) -> int:
        """See `Journal.emit`; the cause may be an event of a host by the host's own number."""
        seq = super().emit(actor, body, self.seq_of(cause))
        self._latest_s = self.time_s
        return seq

    def seq_of(self, cause: int | None) -> int | None:
        """The `seq` of a cause, which may be a host's own number; None when it is not known."""
        if cause is None or cause < HOST_SEQ_BASE:
            return cause
        host = self._by_base.get(cause // HOST_SEQ_BASE * HOST_SEQ_BASE)
        return host.ours(cause) if host else None

    def relay(self, box: str, emitted: Emitted) -> None:
        """Record events of a host, each once.

        One that isn't an event of its jobs is left out, and an event says so in its place.

        Raises:
            LookupError: That host hasn't been admitted.
        """
        host = self._hosts[box]
        first = max(emitted.first, host.numbering.next)
        lines = emitted.lines[first - emitted.first :]
        if not lines:
            return
        self._append(encode_entry(Relayed(box, first, len(lines))))
        for number, line in enumerate(lines, first):
            self._seq += 1
            host.numbering.add(number, self._seq)
            event = self._event(host, line)
            for sink in self._sinks:
                sink(event)

    def _event(self, host: _Host, line: str) -> Event:
        """What a line comes to as the next event of the log."""
        now_s = self.time_s
        try:
            event = decode(line)
            self._check(host, event)
            if _ESCAPED in line:
                encode(event)  # raises ValueError for half a character, which no text may have
        except (LogError, ValueError, RecursionError) as error:
            why = str(error)[:_LONGEST_REASON]
            text = f"the worker {host.box} has sent what is no event of its jobs: {why}"
            return Event(self._seq, now_s, _GROUP, Message(min(host.jobs), "error", text))
        # Its clock began as soon as it had heard from the leader, which is a little later.
        self._latest_s = time_s = max(self._latest_s, min(event.time_s, now_s))
        cause = None if event.cause is None else host.ours(event.cause)
        return Event(self._seq, time_s, event.actor, event.body, cause)

    def _check(self, host: _Host, event: Event) -> None:
        """Raise ValueError unless the host may say this."""
        body = event.body
        if isinstance(body, _LEADERS):
            raise ValueError(f"`{event.kind}` is the leader's to say")
        if not math.isfinite(event.time_s):
            raise ValueError("its time is no number")
        if not isinstance(body, DeadLetter) and body.job not in host.jobs:
            raise ValueError(f"job {body.job} runs elsewhere")
        if event.actor != _GROUP and _job_of(event.actor) not in host.jobs:
            raise ValueError(f"{event.actor!r} is elsewhere")


def _job_of(actor: str) -> int | None:
    """The job that an actor belongs to."""
    name = actor.removeprefix(_JOB).partition("/")[0]
    return int(name) if actor.startswith(_JOB) and name.isascii() and name.isdigit() else None
