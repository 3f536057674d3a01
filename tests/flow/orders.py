"""Nodes that run their programs against the coordinator's own state machine, in any order.

Nothing here knows of `callboard.flow.proof.ways`: what a node does is found by walking its program.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from attrs import define, field, frozen

from callboard.actors.coordination import Coordination
from callboard.actors.effects import Effect, Grant, Refusal, Ticket
from callboard.actors.semantics import DOCUMENTED, Semantics
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Program,
    Scope,
    Unreached,
    Unseen,
)

MOST_TURNS = 3

Decide = Callable[[int], int]
"""Picks one of so many possibilities."""


@frozen
class Aside:
    """Steps beside those that follow, in the background of a test."""

    steps: tuple["Step", ...]
    test: str


@frozen
class Gathering:
    """Waits for what the sequence runs in the background of a test."""

    test: str


Step = Call | Unseen | Aside | Gathering
Path = tuple[Step, ...]


class _Left(Exception):
    def __init__(self, levels: int) -> None:
        super().__init__(levels)
        self.levels = levels


def path(items: Sequence[Item], decide: Decide) -> Path:
    """What a node comes to that decides so."""
    found: list[Step] = []
    _end(_steps(items, decide, ""), found)
    return tuple(found)


def _end(steps: Iterator[Step], found: list[Step]) -> None:
    try:
        found.extend(steps)
    except _Left:
        return


def _steps(items: Sequence[Item], decide: Decide, test: str) -> Iterator[Step]:
    for item in items:
        match item:
            case Call() | Unseen():
                yield item
            case Command() | Unreached():
                pass
            case Choice(ways=ways):
                yield from _steps(ways[decide(len(ways))], decide, test)
            case Loop(body=body):
                for _ in range(decide(MOST_TURNS + 1)):
                    yield from _steps(body, decide, test)
            case Scope(items=inner):
                try:
                    yield from _steps(inner, decide, item.title if item.test else test)
                except _Left as left:
                    if left.levels > 1:
                        raise _Left(left.levels - 1) from None
            case Leave(levels=levels):
                raise _Left(levels)
            case Background(items=inner):
                aside: list[Step] = []
                _end(_steps(inner, decide, test), aside)
                yield Aside(tuple(aside), test)
            case Join():
                yield Gathering(test)


def paths(items: Sequence[Item]) -> list[Path]:
    """Every path through a program without loops."""
    found: dict[Path, None] = {}
    open_: list[tuple[int, ...]] = [()]
    while open_:
        fixed = open_.pop()
        taken: list[int] = []

        def decide(ways: int, fixed: tuple[int, ...] = fixed, taken: list[int] = taken) -> int:
            if len(taken) < len(fixed):
                taken.append(fixed[len(taken)])
            else:
                open_.extend((*taken, other) for other in range(1, ways))
                taken.append(0)
            return taken[-1]

        found[path(items, decide)] = None
    return list(found)


@define(eq=False)
class Thread:
    member: int
    steps: Path
    at: int = 0
    asides: list[tuple[str, "Thread"]] = field(factory=list)
    ticket: Ticket | None = None

    @property
    def over(self) -> bool:
        return self.at == len(self.steps)


@define(eq=False)
class Nodes:
    """The nodes of a group, each on its path: `(role, path)` in the order of their job ids."""

    nodes: Sequence[tuple[str, Path]]
    semantics: Semantics = DOCUMENTED
    threads: list[Thread] = field(factory=list)
    group: Coordination = field(init=False)
    tickets: int = 0

    def __attrs_post_init__(self) -> None:
        members = list(enumerate(role for role, _ in self.nodes))
        self.group = Coordination(members, semantics=self.semantics)
        self.threads = [Thread(member, path) for member, (_, path) in enumerate(self.nodes)]

    def run(self, order: Random) -> bool:
        """Whether every node comes to its end when the next to act is drawn from `order`."""
        while movable := [thread for thread in self.threads if self._can_move(thread)]:
            self._move(order.choice(movable))
        return all(thread.over for thread in self.threads[: len(self.nodes)])

    def stuck(self) -> list[tuple[str, Step]]:
        return [
            (self.nodes[thread.member][0], thread.steps[thread.at])
            for thread in self.threads
            if not thread.over
        ]

    def _can_move(self, thread: Thread) -> bool:
        if thread.over or thread.ticket is not None:
            return False
        step = thread.steps[thread.at]
        if isinstance(step, Gathering):
            return all(aside.over for test, aside in thread.asides if test == step.test)
        return True

    def _move(self, thread: Thread) -> None:
        step = thread.steps[thread.at]
        if isinstance(step, Aside):
            aside = Thread(thread.member, step.steps)
            self.threads.append(aside)
            thread.asides.append((step.test, aside))
        if not isinstance(step, Call):
            thread.at += 1
            return
        effects, ticket = self._ask(thread.member, step)
        if ticket is None:
            thread.at += 1
        thread.ticket = ticket
        granted = {ticket for each in effects for ticket in self._passing(each)}
        for each in self.threads:
            if each.ticket in granted:
                each.ticket = None
                each.at += 1

    def _passing(self, effect: Effect) -> Sequence[Ticket]:
        """A refused wait-all of LAVA is one that returns; a role that isn't there is the end."""
        match effect:
            case Grant(tickets):
                return tickets
            case Refusal(ticket, reason) if "yet" in reason:
                return [ticket]
            case _:
                return []

    def _ask(self, member: int, call: Call) -> tuple[list[Effect], Ticket | None]:
        assert call.id.text is not None
        name, role = call.id.text, call.role.text if call.role else None
        if call.refused is not None:
            self.tickets += 1
            return [], (member, self.tickets) if call.waits else None
        if call.call == "send":
            if call.roles is not None:
                return self.group.release(member, call.roles), None
            return self.group.send(member, name, {}), None
        self.tickets += 1
        ticket = (member, self.tickets)
        match call.call:
            case "wait":
                return self.group.wait(ticket, name), ticket
            case "wait-all":
                return self.group.wait_all(ticket, name, role), ticket
            case "sync":
                return self.group.sync(ticket, name), ticket
            case "start":
                assert role is not None
                return self.group.start(ticket, role), ticket


def nodes(programs: Sequence[Program], pick: Callable[[Program], Path]) -> list[tuple[str, Path]]:
    """All nodes of a group, each on the path that is picked for it."""
    return [(each.role, pick(each)) for each in programs for _ in range(each.count)]
