"""What became of the nodes of each role: counted, for a large group has no reader for each node."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, TypeVar, get_args

from attrs import define, field, frozen

from callboard.events import (
    Body,
    CallAnswered,
    CallMade,
    Event,
    Health,
    JobCreated,
    JobEnded,
    TestCaseResult,
    TestRunEnded,
    WaitHopeless,
    Where,
)

FactKind = Literal["error", "call", "case"]

_ORDER: Sequence[FactKind] = get_args(FactKind)

_MEMBER = r"\d+ \(([^()]*)\)"
_MEMBERS = re.compile(rf"{_MEMBER}(?:, (?:{_MEMBER}|\d+ more))*(?: and \d+ more)?")
_ONE = re.compile(_MEMBER)
_JOB = re.compile(r"\bjob \d+")
_FRACTION = re.compile(r"\d+\.\d+")


@frozen(order=True)
class Fact:
    """Something that went wrong, told so that it is the same for all nodes that it happened to.

    Attributes:
        role: The role of the nodes; empty in a job without roles.
        kind: Whether it is the error of a job, a call that failed, or a failed test case.
        what: The error's type, the call as written, or `suite/case`.
        why: In words, without jobs and times.
        file: Where the call is written; empty where that is not known.
        line: Its line; 0 where that is not known.
        hopeless: Whether the call was given up because nobody could satisfy it any more.
    """

    role: str
    kind: FactKind
    what: str
    why: str = ""
    file: str = ""
    line: int = 0
    hopeless: bool = False

    @property
    def text(self) -> str:
        """What it comes to, on one line."""
        match self.kind:
            case "error":
                return f"{self.what}: {self.why}"
            case "call":
                where = f" ({self.file}:{self.line})" if self.file else ""
                return f"{self.why or self.what}{where}"
            case "case":
                return f"{self.what} failed"


@frozen
class RoleCount:
    """What became of the nodes of a role.

    Attributes:
        role: The role; empty in a job without roles.
        nodes: How many there are.
        health: How many ended in which way.
        facts: What went wrong, and on how many nodes.
        finished_s: When the last one ended, in virtual seconds.
    """

    role: str
    nodes: int
    health: Mapping[Health, int]
    facts: Mapping[Fact, int]
    finished_s: float


T = TypeVar("T")


def told(facts: Iterable[tuple[Fact, T]]) -> Sequence[tuple[Fact, T]]:
    """What a reader has to know, errors first: not what only follows from something else.

    Args:
        facts: Facts, each with what is known of how many nodes it happened to.
    """
    found = sorted(facts, key=lambda each: _ORDER.index(each[0].kind))
    explained = any(fact.kind != "case" for fact, _ in found)
    return [each for each in found if not (explained and _follows(each[0]))]


@define
class _Role:
    nodes: int = 0
    health: Counter[Health] = field(factory=Counter)
    facts: dict[Fact, set[int]] = field(factory=dict[Fact, set[int]])
    finished_s: float = 0.0


class Census:
    """Takes the events of a rehearsal.

    Attributes:
        ended: How many jobs have ended.
        events: How many events there were.
        finished_s: When the last job ended, None before.
        failed_s: When the last call failed, None if none did.
    """

    def __init__(self) -> None:
        self.ended = 0
        self.events = 0
        self.finished_s: float | None = None
        self.failed_s: float | None = None
        self._roles: dict[str, _Role] = {}
        self._role_of: dict[int, str] = {}
        self._open: dict[int, tuple[str, Where | None]] = {}
        self._hopeless: set[int] = set()
        self._unmet: set[tuple[int, str]] = set()
        self._takers: Mapping[type[Body], Callable[[Event], None]] = {
            JobCreated: self._created,
            JobEnded: self._job_ended,
            CallMade: self._made,
            CallAnswered: self._answered,
            WaitHopeless: self._given_up,
            TestCaseResult: self._case,
            TestRunEnded: self._run_ended,
        }

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        self.events += 1
        taker = self._takers.get(type(event.body))
        if taker is not None:
            taker(event)

    def roles(self) -> tuple[RoleCount, ...]:
        """What became of each role, in the order of the group."""
        return tuple(
            RoleCount(
                name,
                role.nodes,
                dict(role.health),
                {fact: len(jobs) for fact, jobs in sorted(role.facts.items())},
                role.finished_s,
            )
            for name, role in self._roles.items()
        )

    def _created(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, JobCreated)
        name = body.role or ""
        self._role_of[body.job] = name
        self._roles.setdefault(name, _Role()).nodes += 1

    def _job_ended(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, JobEnded)
        role = self._roles[self._role_of[body.job]]
        role.health[body.health] += 1
        role.finished_s = self.finished_s = event.time_s
        self.ended += 1
        if body.error is not None:
            self._note(body.job, "error", body.error.type, _alike(body.error.message))

    def _made(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, CallMade)
        self._open[event.seq] = body.written, body.where

    def _given_up(self, event: Event) -> None:
        self._hopeless.add(event.cause or 0)

    def _answered(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, CallAnswered)
        cause = event.cause or 0
        call, where = self._open.pop(cause)
        hopeless = cause in self._hopeless
        self._hopeless.discard(cause)
        if body.result != "fail":
            return
        self.failed_s = event.time_s
        self._unmet.add((body.job, f"multinode-{body.call.replace('-', '_')}-{body.id}".lower()))
        file, line = (where.file, where.line) if where else ("", 0)
        why = _alike(body.reason or "")
        self._note(body.job, "call", call, why, file, line, hopeless=hopeless)

    def _case(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, TestCaseResult)
        if body.result == "fail" and (body.job, body.case) not in self._unmet:
            self._note(body.job, "case", f"{body.suite}/{body.case}")

    def _run_ended(self, event: Event) -> None:
        body = event.body
        assert isinstance(body, TestRunEnded)
        if body.result == "fail":
            self._note(body.job, "case", f"lava/{body.suite}")

    def _note(
        self,
        job: int,
        kind: FactKind,
        what: str,
        why: str = "",
        file: str = "",
        line: int = 0,
        *,
        hopeless: bool = False,
    ) -> None:
        name = self._role_of[job]
        fact = Fact(name, kind, what, why, file, line, hopeless)
        self._roles[name].facts.setdefault(fact, set()).add(job)


def _follows(fact: Fact) -> bool:
    """Whether it may be no more than the consequence of a call or an error: an early end."""
    return fact.what.startswith("lava/")


def _alike(text: str) -> str:
    """A text as it would be if it had happened to another node of the same role."""
    text = _MEMBERS.sub(lambda found: ", ".join(dict.fromkeys(_roles(found[0]))), text)
    return _FRACTION.sub("…", _JOB.sub("a job", text))


def _roles(members: str) -> list[str]:
    return [found[1] for found in _ONE.finditer(members)]
