"""The proof under the semantics that LAVA's coordinator implements: an exploration of orders.

There the order of the nodes can matter: a wait-all is refused before the first send, and a sync
that is called again can leave others behind (`callboard.flow.proof.polling`). What no order
changes is done at once; where requests race, each is tried as the next. Nodes of a role that go the
same way are alike, but for the one that registers first.

A role of many nodes is explored with three, or as many as it has ways and one more. That is
enough where nothing races: then only what is done counts, and not by how many.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement, islice, product

from attrs import define, field, frozen

from callboard.flow.program import Call, Loop, Program, Unseen, walk
from callboard.flow.proof.documented import decide
from callboard.flow.proof.doubts import branch, cut, depends
from callboard.flow.proof.evidence import Doubt, Outcome, Part, Proof
from callboard.flow.proof.facts import Ops, calls
from callboard.flow.proof.polling import Move, Node, Polling, State
from callboard.flow.proof.replay import Replay
from callboard.flow.proof.served import served
from callboard.flow.proof.ways import MOST_STEPS, Ways, ways
from callboard.flow.proof.witness import Jam

MOST_NODES = 3
"""How many nodes of a role are explored as they are."""

_MORE = "more orders are possible than are tried"
MOST_LOOKS = 100_000
"""How often it is looked at whether a thread can go on, before no further order is begun."""

MOST_TEAMS = 1_000
"""In how many ways the nodes of a role are put together at most."""

_Team = tuple[int, ...]
"""The way of each node of a role, the first registered at the front."""

_Teams = tuple[_Team, ...]

_Path = tuple["_Path", Move] | None
"""Racing moves, the last first."""


def explore(programs: Sequence[Program]) -> Proof:
    """Prove a group of roles that have nodes, or find an order that gets stuck."""
    most = MOST_STEPS // len(programs)
    each = [ways(program, most) for program in programs]
    doubts = tuple(dict.fromkeys([*cut(programs, each), *_vague(programs, each)]))
    if doubts:
        return Proof("unknown", decide(programs).run, doubts=doubts)
    return _Exploration(programs, each).proof()


@frozen
class _End:
    """Where an order ends: who goes which way, and the racing moves."""

    teams: _Teams
    path: _Path = None


@define(eq=False)
class _Exploration:
    """A search for one order that completes and one that gets stuck: two settle it."""

    programs: Sequence[Program]
    ways: Sequence[Ways]
    _ops: list[list[Ops]] = field(init=False)
    _ends: dict[Outcome, _End] = field(factory=dict[Outcome, _End], init=False)
    """The first order found that completes, and that deadlocks."""

    _races: dict[Doubt, None] = field(factory=dict[Doubt, None], init=False)
    """The calls that what others do first can change."""

    _sends: dict[Doubt, None] = field(factory=dict[Doubt, None], init=False)
    """The calls that might change others if they came first."""

    _looks: int = field(default=0, init=False)
    _all: bool = field(default=True, init=False)
    """Whether no order was left out, unless it can't matter."""

    def __attrs_post_init__(self) -> None:
        numbers = {program.role: number for number, program in enumerate(self.programs)}
        self._ops = [[served(way.steps, numbers) for way in own.ways] for own in self.ways]

    def proof(self) -> Proof:
        """The proof of the whole group."""
        for teams in self._teams():
            if self._ends and not self._goes_on():
                break
            self._explore(teams)
        good, bad = self._ends.get("completes"), self._ends.get("deadlocks")
        if good and bad:
            return self._proof("unknown", bad, self._differing(good.teams, bad.teams))
        end = bad or good
        assert end is not None
        if not self._all:
            return self._proof("unknown", end, self._exhausted())
        if self._races and (few := list(self._few())):
            return self._proof("unknown", end, few)
        return self._proof("deadlocks" if bad else "completes", end)

    def _proof(self, outcome: Outcome, end: _End, doubts: Sequence[Doubt] = ()) -> Proof:
        polling = self._polling(end.teams)
        replay = Replay(polling, _moves(end.path))
        parts = [
            Part(self.programs[node.role].role, node.way, self.ways[node.role].ways[node.way].taken)
            for node in polling.nodes
        ]
        jam = Jam(replay, [part.role for part in parts])
        witness = jam.witness() if end is self._ends.get("deadlocks") else ()
        return Proof(outcome, replay.run(parts), witness, jam.stuck(), tuple(dict.fromkeys(doubts)))

    # Exploring

    def _teams(self) -> Iterator[_Teams]:
        """Who may go which way; where that is too much, some of it."""
        each: list[list[_Team]] = []
        for program, own in zip(self.programs, self.ways, strict=True):
            teams = list(islice(_assigned(len(own.ways), program.count), MOST_TEAMS + 1))
            self._all = self._all and len(teams) <= MOST_TEAMS
            each.append(teams[:MOST_TEAMS])
        return product(*each)

    def _polling(self, teams: _Teams) -> Polling:
        return Polling(
            [
                Node(role, way, self._ops[role][way], first=number == 0)
                for role, team in enumerate(teams)
                for number, way in enumerate(team)
            ]
        )

    def _explore(self, teams: _Teams) -> None:
        """Finds whether orders of certain nodes complete or get stuck, until both are found."""
        polling = self._polling(teams)
        self._looks += sum(len(node.ops) for node in polling.nodes)
        begun = polling.begin()
        if not self._settle(polling, begun):
            self._end(polling, begun, _End(teams))
            return
        for pick in (min, max):
            self._hurry(polling, teams, begun.copy(), pick)
        known: set[tuple[object, ...]] = set()
        open_: list[tuple[State, _Path]] = [(begun, None)]
        while open_ and self._goes_on():
            state, path = open_.pop()
            racing = self._settle(polling, state)
            key = polling.key(state)
            if key in known:
                continue
            known.add(key)
            if not racing:
                self._end(polling, state, _End(teams, path))
            for move in polling.distinct(state, racing):
                next_ = state.copy()
                polling.move(next_, move)
                open_.append((next_, (path, move)))

    def _hurry(
        self, polling: Polling, teams: _Teams, state: State, pick: Callable[..., Move]
    ) -> None:
        """Tries one order: who is the furthest behind, or ahead, is the next.

        The first seldom gets stuck where any order completes, the second where any gets stuck.
        """
        path: _Path = None
        while racing := self._settle(polling, state):
            move = pick(racing, key=lambda move: state.at[move[0]][move[1]])
            polling.move(state, move)
            path = path, move
        self._end(polling, state, _End(teams, path))

    def _goes_on(self) -> bool:
        """Whether there is something to find out, and time for it."""
        if len(self._ends) == 2:
            return False
        if self._looks > MOST_LOOKS:
            self._all = False
        return self._looks <= MOST_LOOKS

    def _settle(self, polling: Polling, state: State) -> list[Move]:
        before = polling.looks
        racing = polling.settle(state)
        self._looks += polling.looks - before
        for move in racing:
            self._note(polling, state, move)
        return racing

    def _end(self, polling: Polling, state: State, end: _End) -> None:
        self._ends.setdefault("completes" if polling.completes(state) else "deadlocks", end)

    # Doubts

    def _note(self, polling: Polling, state: State, move: Move) -> None:
        request = polling.request(state, move)
        assert request is not None
        assert request.op is not None
        call = request.op.step
        assert isinstance(call, Call)
        role = self.programs[polling.nodes[move[0]].role].role
        match request.kind:
            case "send":
                reason = f"`{call.shown}` may come before or after a wait-all"
                self._sends[Doubt(role, reason, call.where)] = None
            case "all":
                reason = f"`{call.shown}` passes at once only before the first send"
                self._races[Doubt(role, reason, call.where)] = None
            case _:
                reason = f"`{call.shown}` is called again before all have left it"
                self._races[Doubt(role, reason, call.where)] = None

    def _differing(self, good: _Teams, bad: _Teams) -> list[Doubt]:
        """Why one order completes and another doesn't."""
        found = list(self._races)
        for role, (one, other) in enumerate(zip(good, bad, strict=True)):
            if one != other:
                name = self.programs[role].role
                # The same ways may differ in who is the first.
                others = other if set(one) != set(other) else ()
                found += depends(name, self.ways[role], one, others)
        return found

    def _exhausted(self) -> list[Doubt]:
        races = [
            Doubt(race.role, f"{race.reason}: {_MORE}", race.where, bound=True)
            for race in self._races or self._sends
        ]
        if races:
            return races
        most = max(range(len(self.ways)), key=lambda role: len(self.ways[role].ways))
        program = self.programs[most]
        reason = "the choices have more combinations than are tried"
        return [Doubt(program.role, reason, branch(program), bound=True)]

    def _few(self) -> Iterator[Doubt]:
        race = next(iter(self._races))
        for program in self.programs:
            if program.count > MOST_NODES:
                reason = f"`{program.role}` has {program.count:,} nodes, of which few were tried"
                yield Doubt(race.role, f"{race.reason}: {reason}", race.where)


def _assigned(ways: int, count: int) -> Iterator[_Team]:
    """Who of a role's nodes may go which way, as far as it makes a difference."""
    for first in range(ways):
        if count <= MOST_NODES:
            for others in combinations_with_replacement(range(ways), count - 1):
                yield first, *others
            continue
        for size in range(1, min(ways, count - 1) + 1):
            for others in combinations(range(ways), size):
                yield first, *others, *others[:1] * (MOST_NODES - 1 - size)


def _moves(path: _Path) -> list[Move]:
    found: list[Move] = []
    while path is not None:
        path, move = path
        found.append(move)
    return found[::-1]


def _vague(programs: Sequence[Program], each: Sequence[Ways]) -> Iterator[Doubt]:
    """What nobody can read or count: in this semantics more calls can also do harm."""
    for program, own in zip(programs, each, strict=True):
        every = {id(call): call for way in own.ways for call in calls(way.steps)}
        for call in every.values():
            if isinstance(call, Unseen):
                yield Doubt(program.role, call.reason, call.where)
            elif call.id.text is None or (call.role is not None and call.role.text is None):
                reason = f"only the run knows the words of `{call.shown}`"
                yield Doubt(program.role, reason, call.where)
        for loop in (item for item in walk(program.items) if isinstance(item, Loop)):
            for call in (item for item in walk(loop.body) if isinstance(item, Call)):
                if call.call == "sync" or (call.call == "wait-all" and call.role is None):
                    reason = f"only the run knows how often `{call.shown}` is called"
                    yield Doubt(program.role, reason, call.where)
