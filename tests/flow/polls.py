"""LAVA's coordinator, request by request, as its description has it: every order of every poll.

A state is what the coordinator remembers and how far each thread is; a poll makes a new one.
Nothing is taken together, left out or reduced, so that only small groups can be explored.
"""

from collections.abc import Iterator, Sequence

from attrs import evolve, field, frozen
from tests.flow.orders import Aside, Gathering, Path, Step

from callboard.flow.program import Call

Name = tuple[int, ...]
"""A thread: the node, and in which step each thread in between was forked."""


@frozen
class State:
    at: frozenset[tuple[Name, int]]
    sent: frozenset[tuple[int, str]] = frozenset()
    pending: frozenset[tuple[int, str]] = frozenset()
    collected: frozenset[tuple[int, str]] = frozenset()


@frozen
class Polls:
    """The nodes of a group, `(role, path)`, the first of each role the first to register."""

    nodes: Sequence[tuple[str, Path]]
    states: dict[State, None] = field(factory=dict)

    def outcomes(self, most: int) -> set[bool] | None:
        """Whether orders complete and whether some don't; None if there are too many states."""
        found: set[bool] = set()
        open_ = [State(frozenset(((node,), 0) for node in range(len(self.nodes))))]
        while open_:
            state = open_.pop()
            if state in self.states:
                continue
            self.states[state] = None
            if len(self.states) > most:
                return None
            after = [new for new in self._polled(state) if new != state]
            if not after:
                found.add(all(self._over(name, at) for name, at in state.at if len(name) == 1))
            open_ += after
        return found

    def _steps(self, name: Name) -> Path:
        steps = self.nodes[name[0]][1]
        for at in name[1:]:
            aside = steps[at]
            assert isinstance(aside, Aside)
            steps = aside.steps
        return steps

    def _over(self, name: Name, at: int) -> bool:
        return at == len(self._steps(name))

    def _polled(self, state: State) -> Iterator[State]:
        for name, at in state.at:
            if not self._over(name, at):
                yield self._poll(state, name, at, self._steps(name)[at])

    def _poll(self, state: State, name: Name, at: int, step: Step) -> State:
        gone = state.at - {(name, at)} | {(name, at + 1)}
        if isinstance(step, Aside):
            return evolve(state, at=gone | {((*name, at), 0)})
        if isinstance(step, Gathering):
            return evolve(state, at=gone) if self._gathered(state, name, at, step) else state
        assert isinstance(step, Call)
        return self._asked(state, name[0], step, evolve(state, at=gone))

    def _gathered(self, state: State, name: Name, at: int, step: Gathering) -> bool:
        forked = [other for other in state.at if other[0][:-1] == name and other[0][-1] < at]
        asides = [(self._steps(name)[other[-1]], other, there) for other, there in forked]
        return all(
            self._over(other, there)
            for aside, other, there in asides
            if isinstance(aside, Aside) and aside.test == step.test
        )

    def _asked(self, state: State, node: int, call: Call, gone: State) -> State:
        name = call.id.text
        assert name is not None
        if call.refused is not None:
            return state if call.waits else gone
        sent = {sender for sender, each in state.sent if each == name}
        match call.call:
            case "send":
                return gone if call.roles else evolve(gone, sent=state.sent | {(node, name)})
            case "wait":
                return gone if sent else state
            case "sync":
                return self._synced(state, node, name, gone)
            case "wait-all" if call.role is None:
                return gone if not sent or len(sent) == len(self.nodes) else state
            case _:
                assert call.role is not None
                return gone if self._spoken(sent, node, str(call.role)) else state

    def _spoken(self, sent: set[int], node: int, role: str) -> bool:
        named = [other for other, (each, _) in enumerate(self.nodes) if each == role]
        own = self.nodes[node][0]
        if not named:
            return False
        for other, (each, _) in enumerate(self.nodes):
            if each == own:
                if not sent:
                    return False
                if named[0] in sent:
                    return True
                if other not in sent:
                    return False
        return True

    def _synced(self, state: State, node: int, name: str, gone: State) -> State:
        seen = {other for other, each in state.pending | state.collected if each == name}
        own = (node, name)
        if len(seen) < len(self.nodes):
            return evolve(state, pending=state.pending | {own})
        pending, collected = state.pending - {own}, state.collected | {own}
        if all((other, name) in collected for other in range(len(self.nodes))):
            collected = frozenset(each for each in collected if each[1] != name)
        return evolve(gone, pending=pending, collected=collected)
