"""Proofs and logs made by hand, for the drawings."""

from collections.abc import Iterable, Sequence

from attrs import evolve

from callboard.events import (
    Absentee,
    Body,
    CallAnswered,
    CallMade,
    CallName,
    Event,
    Health,
    JobCreated,
    JobEnded,
    Result,
    RunEnded,
    RunStarted,
    WaitHopeless,
    Where,
    encode,
)
from callboard.flow.drawing.chart import Chart
from callboard.flow.drawing.charting import charting
from callboard.flow.drawing.history import history
from callboard.flow.program import Call, Program, Unseen, Word
from callboard.flow.proof import Missing, Outcome, Part, Passage, Proof, Run, Stuck

Step = tuple[int, Call | Unseen, int, int | None, tuple[int, ...]]
"""Column, call, when it began and ended, and what released it: indices of other steps."""


_NAMES: dict[str, CallName] = {
    "send": "send",
    "wait": "wait",
    "wait-all": "wait-all",
    "sync": "sync",
    "start": "start",
}


def call(
    written: str, line: int = 1, data: Sequence[str] = (), roles: tuple[str, ...] | None = None
) -> Call:
    """A call as one writes it, without `lava-`."""
    name, id_, *role = written.split(" ")
    return Call(
        _NAMES[name],
        Word.of(id_),
        Where("group.yaml", line, 13, f"lava-{written}"),
        "0_test",
        role=Word.of(role[0]) if role else None,
        roles=roles,
        data=tuple((key, Word.of("1")) for key in data),
    )


def chart(
    roles: Iterable[tuple[str, int]],
    steps: Sequence[Step],
    outcome: Outcome = "completes",
    stuck: Sequence[Stuck] = (),
) -> Chart:
    """The chart of a proof in which each role goes one way."""
    programs = tuple(Program(role, count, ()) for role, count in roles)
    parts = tuple(Part(program.role) for program in programs)
    passages = tuple(
        Passage(part, 0, item, began, ended, by) for part, item, began, ended, by in steps
    )
    proof = Proof(outcome, Run(parts, passages), tuple(stuck), tuple(stuck))
    return charting("demo", programs, proof)


def demo() -> Chart:
    """A server and two clients, which meet at the end."""
    return chart(
        [("server", 1), ("client", 2)],
        [
            (1, call("wait ready", 53), 0, 2, (2,)),
            (0, call("wait boot", 38), 0, 0, ()),
            (0, call("send ready", 39, ["page", "path"]), 1, 1, ()),
            (0, call("wait-all fetched client", 40), 2, 3, (4,)),
            (1, call("send fetched", 56), 3, 3, ()),
            (1, call("sync done", 57), 4, 4, (5, 6)),
            (0, call("sync done", 42), 4, 4, (5, 6)),
        ],
    )


def stuck() -> Chart:
    """A client that waits for what is misspelt, and a server that waits for the client."""
    ready = call("wait raedy", 53)
    fetched = call("wait-all fetched client", 40)
    return chart(
        [("server", 1), ("client", 2)],
        [
            (0, call("send ready", 39, ["page"]), 0, 0, ()),
            (1, ready, 0, None, ()),
            (0, fetched, 1, None, ()),
        ],
        "deadlocks",
        [
            Stuck("client", ready, (Missing(None, "never"),)),
            Stuck(
                "server", fetched, (Missing("client", "later", Where("group.yaml", 56, 13, "")),)
            ),
        ],
    )


def refused() -> Chart:
    """A role whose calls fail at once, one after the other."""
    bad = evolve(call("send x"), refused="key", reason="`a b` is no key")
    return chart([("a", 1)], [(0, bad, step, step, ()) for step in range(3)])


def big(roles: int, rounds: int) -> Chart:
    """Roles in a ring: each waits for the one before and then sends; a sync ends each round."""
    steps: list[Step] = []
    sends: dict[tuple[int, int], int] = {}
    for turn in range(rounds):
        first = turn * (roles + 1)
        for role in range(roles):
            if role:
                written = call(f"wait token-{turn}-{role - 1}", 10 + role)
                by = sends[turn, role - 1]
                steps.append((role, written, first, first + role - 1, (by,)))
            sends[turn, role] = len(steps)
            steps.append(
                (role, call(f"send token-{turn}-{role}", 9, ["n"]), first + role, first + role, ())
            )
        syncs = tuple(range(len(steps), len(steps) + roles))
        ending = call(f"sync turn-{turn}", 30)
        steps += [(role, ending, first + role + 1, first + roles, syncs) for role in range(roles)]
    return chart([(f"role-{role}", 1 + role % 3) for role in range(roles)], steps)


HOSTILE = 'a;b #1 "q" <b>&amp;\n%%{init}%%\x1b[31m\u202eend: wrap: ]]>--\u2028x'


def hostile() -> Chart:
    """A group whose texts are made to break a drawing."""
    unseen = Unseen(HOSTILE, Where(HOSTILE, 1, 1, HOSTILE))
    send = evolve(call("send x"), id=Word.of(HOSTILE), data=((HOSTILE, Word.of("1")),))
    wait = evolve(call("wait x"), id=Word.of(HOSTILE))
    never = evolve(call("wait-all x y"), id=Word.of(HOSTILE), role=Word.of(HOSTILE))
    return chart(
        [(HOSTILE, 1), ("end", 1)],
        [
            (0, unseen, 0, 0, ()),
            (0, send, 1, 1, ()),
            (1, wait, 0, 1, (1,)),
            (1, never, 2, None, ()),
        ],
        "deadlocks",
        [Stuck("end", never, (Missing(HOSTILE, "absent"),))],
    )


class Log:
    """Writes the log of a run whose jobs have these roles; their ids count from 1."""

    def __init__(self, *roles: str) -> None:
        self._events: list[Event] = []
        self._calls: dict[int, CallMade] = {}
        self._made_s: dict[int, float] = {}
        self.add(0, RunStarted(1, "", "demo", multinode=True, jobs=len(roles), started_at=None))
        for job, role in enumerate(roles, start=1):
            self.add(0, JobCreated(job, job - 1, role, f"local-{job}", "local", ""))

    def add(self, time_s: float, body: Body, cause: int | None = None) -> int:
        """Append an event; returns its `seq`."""
        self._events.append(Event(len(self._events) + 1, time_s, "/group", body, cause))
        return len(self._events)

    def call(
        self, time_s: float, job: int, written: str, roles: tuple[str, ...] | None = None
    ) -> int:
        """A job calls; a send is answered at once."""
        name, id_, *role = written.split(" ")
        where = Where("group.yaml", job, 13, f"lava-{written}")
        waits = name != "send"
        made = CallMade(
            job,
            _NAMES[name],
            id_,
            role[0] if role else None,
            30 if waits else None,
            where,
            None if waits else {"port": "80"},
            roles,
        )
        seq = self.add(time_s, made)
        self._calls[seq] = made
        self._made_s[seq] = time_s
        if not waits:
            self.answer(time_s, seq)
        return seq

    def answer(self, time_s: float, *calls: int, reason: str | None = None) -> None:
        """Calls return, or fail for a reason."""
        for seq in calls:
            made = self._calls[seq]
            waited_s = time_s - self._made_s[seq]
            result: Result = "fail" if reason else "pass"
            body = CallAnswered(made.job, made.call, made.id, result, waited_s, reason)
            self.add(time_s, body, seq)

    def hopeless(self, time_s: float, seq: int, *missing: Absentee) -> None:
        """A call is found to be hopeless."""
        made = self._calls[seq]
        culprits = tuple(each.job for each in missing)
        body = WaitHopeless(
            made.job, made.call, made.id, made.role, certain=True, missing=missing,
            culprits=culprits,
        )  # fmt: skip
        self.add(time_s, body, seq)

    def end(self, time_s: float, *jobs: int, health: Health = "complete") -> None:
        """Jobs end."""
        for job in jobs:
            self.add(time_s, JobEnded(job, health, None, time_s))

    def encoded(self) -> bytes:
        """The log as it is written, of a run that ends here."""
        return b"".join(map(encode, self._ended()))

    def chart(self) -> Chart:
        """The chart of the run, which ends here."""
        return history(self._ended())

    def cut_off(self) -> Chart:
        """The chart of the run, whose log ends here without its end."""
        return history(self._events)

    def _ended(self) -> list[Event]:
        last_s = self._events[-1].time_s
        ended = RunEnded("complete", 0, last_s)
        return [*self._events, Event(len(self._events) + 1, last_s, "/group", ended)]


def demo_log() -> Log:
    """A run of a server and two clients."""
    log = Log("server", "client", "client")
    first = log.call(1.0, 2, "wait ready")
    second = log.call(1.5, 3, "wait ready")
    log.call(3.0, 1, "send ready")
    log.answer(3.0, first, second)
    fetched = log.call(3.5, 1, "wait-all fetched client")
    log.call(4.0, 2, "send fetched")
    syncs = [log.call(4.5, 2, "sync done")]
    log.call(6.0, 3, "send fetched")
    log.answer(6.0, fetched)
    syncs.append(log.call(6.25, 3, "sync done"))
    syncs.append(log.call(7.0, 1, "sync done"))
    log.answer(7.0, *syncs)
    log.end(7.5, 2, 3)
    log.end(8.0, 1)
    return log
