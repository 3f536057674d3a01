"""A group as LAVA's coordinator serves it: nodes that ask again and again, in any order.

Every request is answered at once, with `wait` where the documented semantics would block; the
node then asks again. What differs from the documented semantics (LAVA: coordinator, requests):

- A plain wait-all is refused while nobody has sent the ID; the node goes on as if it had passed.
- A wait-all with a role, and so a delayed start, returns when the first node of that role has
  sent, or when all of the asker's own role have.
- A sync is collected node by node. Once all have, it begins anew; a node that calls it again
  before that passes at once, and leaves those that have not collected yet waiting.
- A call of `lava-start` releases nobody: only a message does.

Which data a call returns is no part of it, nor that a sync and a message of one ID get in each
other's way. A role that isn't there ends the coordinator, so that the call never returns.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import and_
from typing import Literal

from attrs import define, field, frozen

from callboard.flow.proof.facts import ANY, EVERY, Fact, Op, Ops, Spawn
from callboard.flow.proof.ways import Gather

Kind = Literal["pass", "never", "send", "wait", "all", "role", "sync", "fork", "gather"]

Move = tuple[int, int]
"""A request: the number of the node, and of its thread."""

Chance = Literal["blocked", "safe", "racing"]
"""Whether a thread can move; a safe move takes nothing from others, whenever it is made."""


@frozen
class Node:
    """A node of a group.

    Attributes:
        role: The number of its role.
        way: The number of its way; nodes on one way do the same.
        ops: What it does.
        first: Whether it is the first of its role that has registered.
    """

    role: int
    way: int
    ops: Ops
    first: bool


@frozen
class Request:
    """What a thread comes to.

    Attributes:
        kind: What happens; `pass` always returns, `never` doesn't.
        op: The call, None for a fork and a gather.
        bit: Stands for the message or sync.
        role: The number of the role that is waited for.
        threads: The numbers of those that are forked, or gathered.
    """

    kind: Kind
    op: Op | None = None
    bit: int = 0
    role: int = 0
    threads: tuple[int, ...] = ()


_Thread = tuple[Request, ...]
"""What a thread asks; a node's own is the first, and each stands before those that it forks."""


@define(eq=False)
class State:
    """How far the nodes are, and what they have done; IDs are bits.

    Attributes:
        at: By node and thread, the number of the next operation; -1 before it is forked.
        sent: By node, the messages.
        seen: By node, the syncs that it has called in their present round.
        collected: By node, those of them that it has passed.
    """

    at: list[list[int]]
    sent: list[int]
    seen: list[int]
    collected: list[int]
    any_sent: int = 0
    all_sent: int = 0
    all_seen: int = 0

    def copy(self) -> "State":
        """A state that can be changed without changing this one."""
        return State(
            [own.copy() for own in self.at],
            self.sent.copy(),
            self.seen.copy(),
            self.collected.copy(),
            self.any_sent,
            self.all_sent,
            self.all_seen,
        )

    def of(self, node: int) -> tuple[tuple[int, ...], int, int, int]:
        """The part of the state that is one node's own."""
        return tuple(self.at[node]), self.sent[node], self.seen[node], self.collected[node]


@define(eq=False)
class Polling:
    """The rules for a group of certain nodes."""

    nodes: Sequence[Node]
    looks: int = field(default=0, init=False)
    """How often it was seen whether a thread can move."""

    _threads: list[list[_Thread]] = field(factory=list[list[_Thread]], init=False)
    _bits: dict[Fact, int] = field(factory=dict[Fact, int], init=False)
    _firsts: dict[int, int] = field(init=False)
    _mates: list[list[int]] = field(init=False)
    _sendable: int = field(default=0, init=False)
    _refusable: int = field(default=0, init=False)
    _again: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._firsts = {node.role: n for n, node in enumerate(self.nodes) if node.first}
        self._mates = [
            [n for n, other in enumerate(self.nodes) if other.role == node.role]
            for node in self.nodes
        ]
        known: dict[tuple[int, int], list[_Thread]] = {}
        for node in self.nodes:
            if (node.role, node.way) not in known:
                own: list[_Thread] = []
                self._read(node.ops, own)
                self._know(own)
                known[node.role, node.way] = own
            self._threads.append(known[node.role, node.way])

    def begin(self) -> State:
        """Nobody has done anything."""
        none = [0] * len(self.nodes)
        at = [[0, *([-1] * (len(own) - 1))] for own in self._threads]
        return State(at, none.copy(), none.copy(), none.copy())

    def settle(self, state: State, told: Callable[[Move], object] = lambda _: None) -> list[Move]:
        """Makes every safe move, and returns the others that can be made."""
        moved = True
        racing: list[Move] = []
        while moved:
            moved = False
            racing.clear()
            for node, own in enumerate(state.at):
                for thread in range(len(own)):
                    while (chance := self.look(state, (node, thread))) == "safe":
                        told((node, thread))
                        self.move(state, (node, thread))
                        moved = True
                    if chance == "racing":
                        racing.append((node, thread))
        return racing

    def completes(self, state: State) -> bool:
        """Whether every node is at the end of its own sequence."""
        return all(at[0] == len(own[0]) for at, own in zip(state.at, self._threads, strict=True))

    def key(self, state: State) -> tuple[object, ...]:
        """The state, the same for any order of the nodes that do the same."""
        alike: dict[tuple[int, int, bool], list[tuple[tuple[int, ...], int, int, int]]] = {}
        for number, node in enumerate(self.nodes):
            alike.setdefault((node.role, node.way, node.first), []).append(state.of(number))
        return tuple(tuple(sorted(own)) for own in alike.values())

    def distinct(self, state: State, moves: Sequence[Move]) -> Iterator[Move]:
        """One of the moves of nodes that do the same and are equally far."""
        known: set[object] = set()
        for node, thread in moves:
            own = self.nodes[node]
            same = (own.role, own.way, own.first, state.of(node), thread)
            if same not in known:
                known.add(same)
                yield node, thread

    def request(self, state: State, move: Move) -> Request | None:
        """What a thread has come to; None before and after its time."""
        node, thread = move
        at = state.at[node][thread]
        requests = self._threads[node][thread]
        return requests[at] if 0 <= at < len(requests) else None

    def look(self, state: State, move: Move) -> Chance:
        """Whether a thread can move."""
        self.looks += 1
        request = self.request(state, move)
        if request is None:
            return "blocked"
        node, _ = move
        bit = request.bit
        match request.kind:
            case "pass" | "fork":
                return "safe"
            case "never":
                return "blocked"
            case "send":
                return "racing" if bit & self._refusable & ~state.any_sent else "safe"
            case "wait":
                return _safe(bit & state.any_sent)
            case "all" if not bit & state.any_sent:
                return "racing" if bit & self._sendable else "safe"
            case "all":
                return _safe(bit & state.all_sent)
            case "role":
                return _safe(bit & self._spoken(state, node, request.role))
            case "sync" if bit & state.all_seen:
                return "racing" if bit & self._again else "safe"
            case "sync":
                return _safe(bit & ~state.seen[node])
            case "gather":
                own, threads = state.at[node], self._threads[node]
                return _safe(all(own[n] == len(threads[n]) for n in request.threads))

    def move(self, state: State, move: Move) -> None:
        """Makes a move that can be made."""
        request = self.request(state, move)
        assert request is not None
        node, thread = move
        if request.kind == "sync" and not request.bit & state.all_seen:
            state.seen[node] |= request.bit
            state.all_seen = reduce(and_, state.seen)
            return
        state.at[node][thread] += 1
        match request.kind:
            case "send":
                state.sent[node] |= request.bit
                state.any_sent |= request.bit
                state.all_sent = reduce(and_, state.sent)
            case "sync":
                state.collected[node] |= request.bit
                if all(own & request.bit for own in state.collected):
                    state.seen = [own & ~request.bit for own in state.seen]
                    state.collected = [own & ~request.bit for own in state.collected]
                    state.all_seen &= ~request.bit
            case "fork":
                state.at[node][request.threads[0]] = 0
            case _:
                pass

    def lacks(self, state: State, node: int, fact: Fact) -> bool:
        """Whether a node has not sent a message, or not called a sync in its present round."""
        done = state.seen if fact[0] == "sync" else state.sent
        return not done[node] & self._bit(fact)

    def first(self, role: int) -> int:
        """The number of the first node of a role."""
        return self._firsts[role]

    def mates(self, node: int) -> list[int]:
        """All nodes of a node's role, itself included."""
        return self._mates[node]

    def _spoken(self, state: State, node: int, role: int) -> int:
        mates = reduce(and_, (state.sent[mate] for mate in self._mates[node]))
        return state.sent[self._firsts[role]] | mates

    # Reading operations

    def _read(self, ops: Ops, threads: list[_Thread]) -> int:
        """Adds the thread that does `ops`, and those that it forks; returns its number."""
        number = len(threads)
        threads.append(())
        requests: list[Request] = []
        forked: dict[str, list[int]] = {}
        for op in ops:
            match op:
                case Op():
                    requests.append(self._asked(op))
                case Spawn():
                    fork = self._read(op.ops, threads)
                    forked.setdefault(op.test, []).append(fork)
                    requests.append(Request("fork", threads=(fork,)))
                case Gather():
                    requests.append(Request("gather", threads=tuple(forked.get(op.test, ()))))
        threads[number] = tuple(requests)
        return number

    def _asked(self, op: Op) -> Request:
        if op.need is None:
            return Request("send", op, self._bit(op.adds[0])) if op.adds else Request("pass", op)
        fact, quorum = op.need.fact, op.need.quorum
        if fact is None:
            return Request("never", op)
        bit = self._bit(fact)
        if fact[0] == "sync":
            return Request("sync", op, bit)
        if quorum == ANY:
            return Request("wait", op, bit)
        return Request("all", op, bit) if quorum == EVERY else Request("role", op, bit, quorum)

    def _bit(self, fact: Fact) -> int:
        return 1 << self._bits.setdefault(fact, len(self._bits))

    def _know(self, threads: Sequence[_Thread]) -> None:
        """Finds what races: what a node may be refused, and what it calls again."""
        called = 0
        for thread in threads:
            sent = 0
            for request in thread:
                if request.kind == "send":
                    sent |= request.bit
                elif request.kind == "all":
                    self._refusable |= request.bit & ~sent
                elif request.kind == "sync":
                    self._again |= request.bit & called
                    called |= request.bit
            self._sendable |= sent


def _safe(met: int | bool) -> Chance:
    return "safe" if met else "blocked"
