"""The chart of a run, from its event log: who waited for whom, how long, and what took so long.

The log says when each call was made and answered. What satisfied a call follows from the semantics
that LAVA documents: the first send for a wait; the last of those needed for a wait-all, a delayed
start and a sync.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator

from attrs import define, evolve, field, frozen

from callboard.definition.calls import DEPLOY_VLANS, START
from callboard.events import (
    CallAnswered,
    CallMade,
    Event,
    JobCreated,
    JobEnded,
    PortMoved,
    RunEnded,
    RunStarted,
    WaitHopeless,
)
from callboard.flow.drawing.chart import Chart, Column, Span
from callboard.flow.drawing.network import SHARED, Member, Network
from callboard.flow.drawing.path import critical_path

_UNANSWERED = "no answer: the log ends before"


def history(events: Iterable[Event]) -> Chart:
    """The chart of a run, from the events of its log, in order."""
    log = _Log()
    for event in events:
        log.add(event)
    return log.chart()


@frozen
class _Asked:
    """A call that was made, and its lane."""

    seq: int
    time_s: float
    body: CallMade
    lane: int


@define
class _Log:
    """What of the events matters here."""

    name: str = "run"
    outcome: str = "cut off"
    jobs: dict[int, Column] = field(factory=dict[int, Column])
    asked: dict[int, _Asked] = field(factory=dict[int, _Asked])
    answers: dict[int, Event] = field(factory=dict[int, Event])
    hopeless: dict[int, WaitHopeless] = field(factory=dict[int, WaitHopeless])
    moved: dict[str, dict[int, None]] = field(factory=dict[str, dict[int, None]])
    _open: dict[int, dict[int, int]] = field(factory=dict[int, dict[int, int]])

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event.body:
            case RunStarted(name=name):
                self.name = name
            case RunEnded(status=status):
                self.outcome = status
            case JobCreated(job=job, role=role):
                self.jobs[job] = Column(role or "", job=job)
            case JobEnded(job=job, health=health) if job in self.jobs:
                self.jobs[job] = evolve(self.jobs[job], ended=event.time_s, outcome=health)
            case CallMade() as body:
                self._ask(event, body)
            case CallAnswered() if event.cause in self.asked:
                self.answers[event.cause] = event
                asked = self.asked[event.cause]
                self._open[asked.body.job].pop(asked.lane, None)
            case PortMoved(job=job, vlan=vlan) if job in self.jobs:
                self.moved.setdefault(vlan, {})[job] = None
            case WaitHopeless() as body if event.cause is not None:
                self.hopeless[event.cause] = body
            case _:
                pass

    def chart(self) -> Chart:
        """The chart of all that was added."""
        columns, index = self._columns()
        place = {seq: number for number, seq in enumerate(self.asked)}
        releases = _Releases(self)
        spans = tuple(
            self._span(asked, index, tuple(place[seq] for seq in releases.of(asked)))
            for asked in self.asked.values()
        )
        chart = Chart(
            self.name, "second", self.outcome, columns, spans, networks=tuple(self._networks())
        )
        return evolve(chart, path=critical_path(chart))

    def _networks(self) -> Iterator[Network]:
        """Where the jobs' interfaces were, in the order in which they came there."""
        if self.moved:
            yield Network(SHARED, self._members(self.jobs))
        for vlan, jobs in self.moved.items():
            yield Network(vlan, self._members(sorted(jobs)))

    def _members(self, jobs: Iterable[int]) -> tuple[Member, ...]:
        return tuple(Member(self.jobs[job].role, job=job) for job in jobs)

    def _ask(self, event: Event, body: CallMade) -> None:
        if body.job not in self.jobs:
            return
        busy = self._open.setdefault(body.job, {})
        lane = next(number for number in range(len(busy) + 1) if number not in busy)
        busy[lane] = event.seq
        self.asked[event.seq] = _Asked(event.seq, event.time_s, body, lane)

    def _columns(self) -> tuple[tuple[Column, ...], dict[tuple[int, int], int]]:
        lanes: dict[int, set[int]] = {job: {0} for job in self.jobs}
        for asked in self.asked.values():
            lanes[asked.body.job].add(asked.lane)
        columns: list[Column] = []
        index: dict[tuple[int, int], int] = {}
        for job, column in self.jobs.items():
            for lane in sorted(lanes[job]):
                index[job, lane] = len(columns)
                columns.append(evolve(column, lane=lane))
        return tuple(columns), index

    def _span(
        self,
        asked: _Asked,
        index: dict[tuple[int, int], int],
        released_by: tuple[int, ...],
    ) -> Span:
        body = asked.body
        answer = self.answers.get(asked.seq)
        failure = self._failure(asked)
        request = f"{DEPLOY_VLANS} {body.id}"
        deploys = body.where is not None and body.where.step == request
        return Span(
            index[body.job, asked.lane],
            body.call,
            body.id,
            request if deploys else body.written,
            asked.time_s,
            answer.time_s if answer else None,
            body.where,
            () if deploys else tuple(body.data or ()),
            released_by,
            self._ended_by(asked, index) if failure is not None else None,
            failure,
            deploys,
        )

    def _failure(self, asked: _Asked) -> str | None:
        answer = self.answers.get(asked.seq)
        hopeless = self.hopeless.get(asked.seq)
        if answer is None:
            return hopeless.text if hopeless else _UNANSWERED
        assert isinstance(answer.body, CallAnswered)
        if answer.body.result == "pass":
            return None
        return answer.body.reason or "failed"

    def _ended_by(self, asked: _Asked, index: dict[tuple[int, int], int]) -> int | None:
        """The column of the job that ended last of those because of which a call was hopeless."""
        hopeless = self.hopeless.get(asked.seq)
        if hopeless is None or asked.seq not in self.answers:
            return None
        ends = [
            (ended, index[each.job, 0])
            for each in hopeless.missing
            if each.job in self.jobs and (ended := self.jobs[each.job].ended) is not None
            if each.state == "ended"
        ]
        return max(ends)[1] if ends else None


class _Releases:
    """Which calls satisfied which: of each job the first call of its kind that passed."""

    def __init__(self, log: _Log) -> None:
        self._log = log
        self._roles = {job: column.role for job, column in log.jobs.items()}
        self._sends: dict[str, dict[int, int]] = {}
        self._syncs: dict[str, dict[int, int]] = {}
        self._starts: dict[int, list[_Asked]] = {}
        self._known: dict[tuple[object, ...], tuple[int, ...]] = {}
        for asked in log.asked.values():
            body = asked.body
            if body.call == "sync":
                self._syncs.setdefault(body.id, {}).setdefault(body.job, asked.seq)
            elif body.call == "send" and self._passed(asked):
                if body.id == START:
                    self._starts.setdefault(body.job, []).append(asked)
                self._sends.setdefault(body.id, {}).setdefault(body.job, asked.seq)

    def of(self, asked: _Asked) -> tuple[int, ...]:
        """The `seq` of the calls without which `asked` would not have passed."""
        body = asked.body
        if body.call == "send" or not self._passed(asked):
            return ()
        asker = self._roles[body.job] if body.call == "start" else None
        key = (body.call, body.id, body.role, asker)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._find(body, asker)
        return found[: bisect(found, self._log.answers[asked.seq].seq)]

    def _find(self, body: CallMade, asker: str | None) -> tuple[int, ...]:
        match body.call:
            case "wait":
                return tuple(sorted(self._sends.get(body.id, {}).values())[:1])
            case "sync":
                return tuple(sorted(self._syncs.get(body.id, {}).values()))
            case "start":
                firsts = (self._started(job, asker) for job in self._of_role(body.role))
                return tuple(sorted(seq for seq in firsts if seq is not None))
            case _:
                wanted = self._of_role(body.role)
                sent = self._sends.get(body.id, {})
                return tuple(sorted(sent[job] for job in wanted if job in sent))

    def _of_role(self, role: str | None) -> list[int]:
        return [job for job, own in self._roles.items() if role is None or own == role]

    def _started(self, job: int, asker: str | None) -> int | None:
        """The send with which a job released the asker's role."""
        for asked in self._starts.get(job, ()):
            if asked.body.roles is None or asker in asked.body.roles:
                return asked.seq
        return None

    def _passed(self, asked: _Asked) -> bool:
        answer = self._log.answers.get(asked.seq)
        return (
            answer is not None
            and isinstance(answer.body, CallAnswered)
            and answer.body.result == "pass"
        )
