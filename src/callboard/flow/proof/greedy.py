"""One run of a group under the documented semantics: everybody goes on as far as facts allow.

Facts are never taken back, so whoever can go on still can whatever the others do first: every
order of the nodes ends with the same calls stuck, and one run finds them. The nodes of a part do
the same and stand for each other, so that the run costs as much as there are calls on its ways,
however many nodes go them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from attrs import define, field, frozen

from callboard.flow.proof.evidence import Part, Passage, Run
from callboard.flow.proof.facts import ANY, EVERY, Fact, Need, Op, Ops, Spawn
from callboard.flow.proof.ways import Gather


@frozen
class Quorums:
    """When the parts of a role have done what "the role" is said to have done.

    In a run of certain ways both are as the semantics say. To learn something about all
    combinations of ways at once, all ways of a role are its parts though no node goes them: then
    `sure` holds only what is done whichever of them are gone, `hoped` all that is done on any.

    Attributes:
        all_send: A wait needs a role all of whose parts have sent, or the own part, not just any.
        all_act: A role has done what all of its parts have done, not just any.
    """

    all_send: bool
    all_act: bool


EXACT = Quorums(all_send=False, all_act=True)
SURE = Quorums(all_send=True, all_act=True)
HOPED = Quorums(all_send=False, all_act=False)


@define(eq=False)
class Thread:
    """A sequence of a part that runs by itself: the part's own, or one in its background.

    Attributes:
        part: The number of the part.
        number: 0 for the part's own sequence.
        at: The number of the operation that it has come to.
        passage: The number of the passage of its last call.
        forks: Its own threads in the background, by test.
        parent: Whose background it runs in.
    """

    part: int
    number: int
    ops: Ops
    at: int = 0
    passage: int = -1
    forks: dict[str, list["Thread"]] = field(factory=dict[str, list["Thread"]])
    parent: "Thread | None" = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.at == len(self.ops)

    @property
    def op(self) -> Op | None:
        """The call in which it is; None when it is over, or gathers what it has forked."""
        op = self.ops[self.at] if not self.over else None
        return op if isinstance(op, Op) else None

    @property
    def gathers(self) -> str | None:
        """The test whose background it waits for."""
        op = self.ops[self.at] if not self.over else None
        return op.test if isinstance(op, Gather) else None

    def running(self, test: str) -> Iterator["Thread"]:
        """Its threads in the background of `test` that are not over."""
        return (fork for fork in self.forks.get(test, ()) if not fork.over)


@define(eq=False)
class _Tally:
    """Everything about one fact.

    Attributes:
        done: The passage in which each part did it.
        counts: How many parts of each role have done it, and how many roles (`EVERY`).
        met: The quorums that are met.
        waiting: Who waits for each quorum.
    """

    done: dict[int, int] = field(factory=dict[int, int])
    counts: Counter[int] = field(factory=Counter[int])
    met: set[int] = field(factory=set[int])
    waiting: dict[int, list[Thread]] = field(factory=dict[int, list[Thread]])


@define(eq=False)
class _Passing:
    """A passage in the making."""

    thread: Thread
    op: Op
    began: int
    ended: int | None = None


@define(eq=False)
class Greedy:
    """A run of parts, each of the role with a number and on one way.

    Args:
        parts: The number of the role and the operations of each part.
        roles: How many roles have nodes; each has a part.
        quorums: What it takes for a role to have done something.
    """

    parts: Sequence[tuple[int, Ops]]
    roles: int
    quorums: Quorums = EXACT
    threads: list[Thread] = field(factory=list[Thread], init=False)
    """All threads, the parts' own first."""

    _sizes: Counter[int] = field(init=False)
    _forked: Counter[int] = field(factory=Counter[int], init=False)
    _tallies: defaultdict[Fact, _Tally] = field(init=False)
    _passages: list[_Passing] = field(factory=list[_Passing], init=False)
    _ready: list[Thread] = field(factory=list[Thread], init=False)
    _step: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._tallies = defaultdict(_Tally)
        self._sizes = Counter(role for role, _ in self.parts)
        self.threads = [Thread(part, 0, ops) for part, (_, ops) in enumerate(self.parts)]
        for thread in list(self.threads):
            self._advance(thread)
        while self._ready:
            self._ready.sort(key=lambda thread: (thread.part, thread.number))
            now, self._ready = self._ready, []
            for thread in now:
                self._call(thread)
            self._step += 1

    @property
    def completes(self) -> bool:
        """Whether every part comes to the end of its own sequence."""
        return all(thread.over for thread in self.threads[: len(self.parts)])

    @property
    def hopeless(self) -> bool:
        """Whether all parts of some role are stuck."""
        over = {role for (role, _), own in zip(self.parts, self.threads, strict=False) if own.over}
        return len(over) < self.roles

    @property
    def stuck(self) -> list[Thread]:
        """The threads that are not over."""
        return [thread for thread in self.threads if not thread.over]

    def missing(self, fact: Fact, quorum: int) -> list[int]:
        """The parts of a quorum, `ANY` left out, that have not done it."""
        done = self._tallies[fact].done
        return [
            part
            for part in range(len(self.parts))
            if self._is_of(part, quorum) and part not in done
        ]

    def run(self, parts: Sequence[Part]) -> Run:
        """The run as evidence; `parts` are the own."""
        known: dict[Need, tuple[int, ...]] = {}
        passages = (
            Passage(
                passing.thread.part,
                passing.thread.number,
                passing.op.step,
                passing.began,
                passing.ended,
                self._releasers(number, passing, known),
            )
            for number, passing in enumerate(self._passages)
        )
        return Run(tuple(parts), tuple(passages))

    def _releasers(
        self, number: int, passing: _Passing, known: dict[Need, tuple[int, ...]]
    ) -> tuple[int, ...]:
        need = passing.op.need
        if need is None or need.fact is None or passing.ended is None:
            return ()
        if need not in known:
            done = self._tallies[need.fact].done
            own = sorted(n for part, n in done.items() if self._is_of(part, need.quorum))
            known[need] = tuple(own) or (next(iter(done.values())),)
        found = known[need]
        if number not in found:
            return found
        at = found.index(number)
        return found[:at] + found[at + 1 :]

    def _is_of(self, part: int, quorum: int) -> bool:
        return quorum in (EVERY, self.parts[part][0])

    def _advance(self, thread: Thread) -> None:
        """Lets a thread go on to its next call, its end, or what it has to gather."""
        while not thread.over:
            op = thread.ops[thread.at]
            if isinstance(op, Op):
                self._ready.append(thread)
                return
            if isinstance(op, Spawn):
                self._fork(thread, op)
            elif any(thread.running(op.test)):
                return
            thread.at += 1
        if thread.parent is not None and thread.parent.gathers is not None:
            self._advance(thread.parent)

    def _fork(self, thread: Thread, spawn: Spawn) -> None:
        self._forked[thread.part] += 1
        number = self._forked[thread.part]
        fork = Thread(thread.part, number, spawn.ops, parent=thread)
        self.threads.append(fork)
        thread.forks.setdefault(spawn.test, []).append(fork)
        self._advance(fork)

    def _call(self, thread: Thread) -> None:
        op = thread.op
        assert op is not None
        thread.passage = len(self._passages)
        self._passages.append(_Passing(thread, op, self._step))
        for fact in op.adds:
            self._do(thread, fact)
        need = op.need
        if need is None:
            self._return(thread)
        elif need.fact is not None:
            tally = self._tallies[need.fact]
            own = need.quorum == ANY and thread.part in tally.done
            if own or need.quorum in tally.met:
                self._return(thread)
            else:
                tally.waiting.setdefault(need.quorum, []).append(thread)

    def _return(self, thread: Thread) -> None:
        self._passages[thread.passage].ended = self._step
        thread.at += 1
        self._advance(thread)

    def _do(self, thread: Thread, fact: Fact) -> None:
        tally = self._tallies[fact]
        if thread.part in tally.done:
            return
        tally.done[thread.part] = thread.passage
        role = self.parts[thread.part][0]
        if not self.quorums.all_send:
            self._meet(tally, ANY)
        tally.counts[role] += 1
        if tally.counts[role] != (self._sizes[role] if self.quorums.all_act else 1):
            return
        self._meet(tally, role)
        self._meet(tally, ANY)
        tally.counts[EVERY] += 1
        if tally.counts[EVERY] == self.roles:
            self._meet(tally, EVERY)

    def _meet(self, tally: _Tally, quorum: int) -> None:
        tally.met.add(quorum)
        for thread in tally.waiting.pop(quorum, ()):
            self._return(thread)
