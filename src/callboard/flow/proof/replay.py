"""One order of a polling group as evidence: its calls in logical time, and who is stuck."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from attrs import define, evolve, field

from callboard.flow.proof.evidence import Part, Passage, Run
from callboard.flow.proof.facts import EVERY, Fact, Op, Ops, Spawn
from callboard.flow.proof.greedy import Thread
from callboard.flow.proof.polling import Move, Polling, Request, State


@define(eq=False)
class _Done:
    """What a node has done for one ID: the number of the passage, and the step."""

    passage: int
    step: int


@define(eq=False)
class Replay:
    """A run of a group in which the racing moves were made in one certain order.

    A call takes a step, as in a run under the documented semantics; what comes after a racing
    move in the order is not earlier than it in time.

    Args:
        polling: The group.
        order: Its racing moves.
    """

    polling: Polling
    order: Sequence[Move]
    _state: State = field(init=False)
    _passages: list[Passage] = field(factory=list[Passage], init=False)
    _open: dict[Move, int] = field(factory=dict[Move, int], init=False)
    _came: defaultdict[Move, int] = field(init=False)
    _done: defaultdict[int, dict[int, _Done]] = field(init=False)
    _floor: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._came = defaultdict(int)
        self._done = defaultdict(dict)
        self._state = self.polling.begin()
        self.polling.settle(self._state, self._follow)
        for move in self.order:
            self._floor = self._follow(move) + 1
            self.polling.move(self._state, move)
            self.polling.settle(self._state, self._follow)
        for node, own in enumerate(self._state.at):
            for thread in range(len(own)):
                request = self._request((node, thread))
                if request is not None and request.op is not None:
                    self._begin((node, thread), request.op)

    def run(self, parts: Sequence[Part]) -> Run:
        """The run as evidence; `parts` are the nodes."""
        order = sorted(range(len(self._passages)), key=self._place)
        new = {old: number for number, old in enumerate(order)}
        passages = (
            evolve(old, released_by=tuple(sorted(new[each] for each in old.released_by)))
            for old in (self._passages[number] for number in order)
        )
        return Run(tuple(parts), tuple(passages))

    @property
    def stuck(self) -> list[Thread]:
        """The threads that are not over."""
        found: list[Thread] = []
        for number, node in enumerate(self.polling.nodes):
            own = self._thread(number, node.ops, iter(self._state.at[number]), found)
            assert own is not None
        return [thread for thread in found if not thread.over]

    def missing(self, fact: Fact, quorum: int) -> list[int]:
        """The nodes without which a quorum is not met: of a role, the first."""
        nodes = range(len(self.polling.nodes)) if quorum == EVERY else [self.polling.first(quorum)]
        return [node for node in nodes if self.polling.lacks(self._state, node, fact)]

    def _place(self, number: int) -> tuple[int, int, int]:
        passage = self._passages[number]
        return passage.began, passage.part, passage.thread

    def _thread(
        self, node: int, ops: Ops, ats: Iterator[int], found: list[Thread]
    ) -> Thread | None:
        """The thread that does `ops`, and those that it forks; None before it is forked."""
        at = next(ats)
        thread = Thread(node, len([t for t in found if t.part == node]), ops, max(at, 0))
        if at >= 0:
            found.append(thread)
        for op in ops:
            if isinstance(op, Spawn):
                fork = self._thread(node, op.ops, ats, found)
                if fork is not None:
                    thread.forks.setdefault(op.test, []).append(fork)
        return thread if at >= 0 else None

    def _request(self, move: Move) -> Request | None:
        return self.polling.request(self._state, move)

    def _begin(self, move: Move, op: Op) -> int:
        """The number of the passage of a thread's present call."""
        if move not in self._open:
            self._open[move] = len(self._passages)
            self._passages.append(Passage(*move, op.step, self._came[move], None))
        return self._open[move]

    def _follow(self, move: Move) -> int:
        """Keeps account of a move that is about to be made; returns its step."""
        request = self._request(move)
        assert request is not None
        node, _ = move
        if request.op is None:
            others = [(node, each) for each in request.threads]
            if request.kind == "fork":
                self._came[others[0]] = self._came[move]
            else:
                self._came[move] = max(self._came[each] for each in (move, *others))
            return self._came[move]
        number = self._begin(move, request.op)
        step = max(self._came[move], self._floor)
        if request.kind == "sync" and not request.bit & self._state.all_seen:
            self._done[request.bit][node] = _Done(number, step)
            return step
        releasers = [each for each in self._releasers(request, node) if each.passage != number]
        step = max([step, *(each.step for each in releasers)])
        self._passages[number] = evolve(
            self._passages[number],
            ended=step,
            released_by=tuple(each.passage for each in releasers),
        )
        del self._open[move]
        self._came[move] = step + 1
        if request.kind == "send":
            self._done[request.bit].setdefault(node, _Done(number, step))
        return step

    def _releasers(self, request: Request, node: int) -> list[_Done]:
        done = self._done[request.bit]
        match request.kind:
            case "wait":
                return [min(done.values(), key=lambda each: each.step)]
            case "all" | "sync":
                return list(done.values())
            case "role":
                first = done.get(self.polling.first(request.role))
                return [first] if first else [done[mate] for mate in self.polling.mates(node)]
            case _:
                return []
