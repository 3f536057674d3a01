"""What calls add and need: the documented semantics, for one call at a time.

A send adds that its node has sent the ID, a sync that it has called it; nothing is ever taken
back. A wait needs one node that has sent, a wait-all, sync or start all nodes of a role or of
the group. So the facts alone decide who goes on, and not the order in which they came.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import define, field, frozen

from callboard.definition.calls import START
from callboard.flow.program import Call, Unseen, Word
from callboard.flow.proof.ways import Fork, Gather, Step, Way

Kind = Literal["message", "sync", "release"]
Fact = tuple[Kind, str]
"""What a node has done: sent a message, called a sync, or released the role of that name."""

ANY = -1
"""The quorum of a wait: one node has done it."""

EVERY = -2
"""The quorum of a plain wait-all or sync: every node of the group has done it."""


@frozen
class Need:
    """What a call needs to return.

    Attributes:
        fact: What must have been done; None if nothing helps.
        quorum: By whom: all nodes of the role with this number, or `ANY`, or `EVERY`.
        absent: The name of a role that would have to do it but has no nodes.
    """

    fact: Fact | None
    quorum: int = ANY
    absent: str | None = None


NEVER = Need(None)
"""What the strict reading makes of a wait of which nobody knows what it is for."""


@frozen
class Op:
    """A step as facts."""

    step: Call | Unseen
    adds: tuple[Fact, ...] = ()
    need: Need | None = None


@frozen
class Spawn:
    """A fork of a thread: `ops` run in the background of the test `test`."""

    ops: "Ops"
    test: str


Ops = tuple[Op | Spawn | Gather, ...]


@define(eq=False)
class Reading:
    """Turns the ways of a group into facts.

    What nobody knows is read in one of two ways. The generous reading takes all for done that
    may be done: if a call gets stuck even so, it certainly does. The strict one takes only for
    done what certainly is, and what nobody knows for stuck: if all calls return even so, they
    certainly do.

    Args:
        roles: The roles that have nodes, in order.
        ways: All ways of the group that may be read: what they wait for are the facts that matter.
        generous: Which of the two.
    """

    roles: tuple[str, ...]
    ways: Iterable[tuple[str, Way]]
    generous: bool
    certain: bool = field(default=True, init=False)
    """Whether the two readings of what was read so far are the same."""

    _numbers: Mapping[str, int] = field(init=False)
    _wanted: dict[Fact, None] = field(factory=dict[Fact, None], init=False)
    _all: tuple[Fact, ...] = field(init=False)
    _read: dict[tuple[str, int], Op] = field(factory=dict[tuple[str, int], Op], init=False)

    def __attrs_post_init__(self) -> None:
        self._numbers = {role: number for number, role in enumerate(self.roles)}
        for role, way in self.ways:
            for call in calls(way.steps):
                if isinstance(call, Call) and (fact := _awaited(call, role)) is not None:
                    self._wanted[fact] = None
        self._all = tuple(self._wanted)

    def ops(self, role: str, steps: Iterable[Step]) -> Ops:
        """The steps of a node of `role` as facts."""
        return tuple(self._op(role, step) for step in steps)

    def _op(self, role: str, step: Step) -> Op | Spawn | Gather:
        match step:
            case Fork(steps=steps, test=test):
                return Spawn(self.ops(role, steps), test)
            case Gather():
                return step
            case _:
                key = (role, id(step))
                op = self._read.get(key)
                if op is None:
                    op = self._read[key] = self._new(role, step)
                return op

    def _new(self, role: str, step: Call | Unseen) -> Op:
        if isinstance(step, Unseen):
            self.certain = False
            return Op(step, self._all) if self.generous else Op(step, (), NEVER)
        if step.refused is not None:
            absent = str(step.role) if step.refused == "role" else None
            return Op(step, (), Need(None, absent=absent) if step.waits else None)
        if step.call == "send":
            return Op(step, self._sent(step))
        fact = _awaited(step, role)
        if fact is None or (step.role is not None and step.role.text is None):
            self.certain = False
            if not self.generous:
                return Op(step, (), NEVER)
            return Op(step, self._meant("sync", step.id, None) if step.call == "sync" else ())
        return Op(step, (fact,) if step.call == "sync" else (), self._need(step, fact))

    def _sent(self, call: Call) -> tuple[Fact, ...]:
        if call.roles is not None:
            return tuple(("release", role) for role in call.roles)
        name = call.id.text
        found = self._meant("message", call.id, name)
        if name == START or (name is None and call.id.may_be(START)):
            found += tuple(fact for fact in self._wanted if fact[0] == "release")
        if name is None and found:
            self.certain = False
            return found if self.generous else ()
        return found

    def _meant(self, kind: Kind, word: Word, text: str | None) -> tuple[Fact, ...]:
        """The facts that matter and that `word` may name, which is `text` if that is known."""
        if text is not None:
            return ((kind, text),) if (kind, text) in self._wanted else ()
        return tuple(fact for fact in self._wanted if fact[0] == kind and word.may_be(fact[1]))

    def _need(self, call: Call, fact: Fact) -> Need:
        if call.call == "wait":
            return Need(fact, ANY)
        if call.role is None or call.call == "sync":
            return Need(fact, EVERY)
        name = str(call.role)
        number = self._numbers.get(name)
        return Need(None, absent=name) if number is None else Need(fact, number)


def calls(steps: Iterable[Step]) -> Iterable[Call | Unseen]:
    """The calls of a way, those in the background in their place."""
    for step in steps:
        if isinstance(step, Fork):
            yield from calls(step.steps)
        elif not isinstance(step, Gather):
            yield step


def _awaited(call: Call, role: str) -> Fact | None:
    """What a call of a node of `role` needs to be done; None where nobody knows, or nothing."""
    if call.call == "start":
        return "release", role
    text = call.id.text
    if call.call == "send" or text is None:
        return None
    return "sync" if call.call == "sync" else "message", text
