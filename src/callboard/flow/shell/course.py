"""The course of a shell: which scopes it is in, where its ways part and meet."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Set

from attrs import define, evolve, field
from tree_sitter import Node

from callboard.flow.program import Background, Call, Choice, Item, Leave
from callboard.flow.shell.arguments import Arguments
from callboard.flow.shell.items import closed, escapes, is_unknown, matters, may_call, reports
from callboard.flow.shell.notes import Notes
from callboard.flow.shell.script import Script
from callboard.flow.shell.state import MANY_JOBS, State, Status, Trap, merged
from callboard.flow.shell.syntax import short

_DEEPEST = 40  # scopes
_AROUND = 2  # the scopes of the test and of the job
_MOST_SHOWN = 2_000
_MOST_FAILURES = 2  # of calls, one on the way that another has led to

Exit = tuple[State, Status]
Body = Callable[[], Status]


@define
class _Open:
    """A scope that is being run."""

    kinds: Set[str]
    conditional: bool
    exits: list[Exit] = field(factory=list[Exit])


@define
class Way:
    """A way that may be taken from some point on, after it has been run.

    Attributes:
        items: What has been noted on it.
        status: Of what was run.
        state: At its end.
        exits: How it leaves each scope that was open before it, from the outermost on.
    """

    items: list[Item]
    status: Status
    state: State
    exits: list[list[Exit]]

    @property
    def is_mere_failure(self) -> bool:
        """Whether it only ends the test because something has failed, which is not assumed."""
        return self.state.failed and not may_call(self.items)


class Course(Notes, ABC):
    """One way of a shell through its script, and what it comes by.

    Args:
        script: What it begins with.
        hidden: Texts that are never shown.

    Attributes:
        state: What is known of the shell at this point.
    """

    def __init__(self, script: Script, hidden: frozenset[str]) -> None:
        super().__init__(script, hidden)
        self.state = State()
        self._scopes: list[_Open] = []
        self._guarded = 0
        self._instead = 0

    # What it runs

    @property
    def guarded(self) -> bool:
        """Whether what is run may fail without ending the shell."""
        return self._guarded > 0

    @property
    def ends(self) -> bool:
        """Whether a command that fails here ends the shell."""
        return self.state.errexit is not False and not self.guarded

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """What is run inside may fail without ending the shell."""
        self._guarded += 1
        try:
            yield
        finally:
            self._guarded -= 1

    @contextlib.contextmanager
    def redirected(self, *, reads: bool, writes: bool) -> Iterator[None]:
        """Run something whose input or output may be elsewhere than at the console."""
        before = self.state.reads_console, self.state.writes_console
        self.state.reads_console &= reads
        self.state.writes_console &= writes
        try:
            yield
        finally:
            self.state.reads_console, self.state.writes_console = before

    def process(
        self, title: str, body: Body, arguments: Arguments, *, errexit: bool = False
    ) -> Status:
        """Run something in a new shell, which sees what is exported."""
        state = evolve(self.state.child(arguments), errexit=errexit)
        guarded, self._guarded = self._guarded, 0  # it knows nothing of who asks for its status
        try:
            return self._apart(title, state, body)
        finally:
            self._guarded = guarded

    def subshell(self, title: str, body: Body) -> Status:
        """Run something in a copy of the present shell."""
        return self._apart(title, self.state.subshell(), body)

    def whole(self, title: str, body: Body) -> Status:
        """Run all that a shell does, what it does at its end included."""
        status = self.scope({"process"}, title, body)
        if not self.state.dead and self.state.trap is not None:
            self.at_end(self.state.trap)
        return status

    @abstractmethod
    def at_end(self, trap: Trap) -> None:
        """Run what a shell is to do at its end."""

    def background(self, node: Node, body: Body, *, job: bool = True) -> None:
        """Run something beside what follows; its input is not the console.

        Args:
            node: Where it is written.
            body: Runs it.
            job: Whether it is a job of this shell, for which `wait` waits.
        """
        before = self.state
        with self.collected() as items:
            self.state = evolve(before.subshell(), reads_console=False)
            self.whole("background", body)
        self.state = before
        if matters(items):
            self.add(Background(tuple(items), self.where(node)))
            before.jobs = min(before.jobs + job, MANY_JOBS)
            before.strays |= not job
            if escapes(items, len(self._scopes) + _AROUND - 1):
                self.may_end(node)
        else:
            self.note(node, unknown=is_unknown(items))

    # Scopes

    def scope(self, kinds: Set[str], title: str, body: Body) -> Status:
        """Run something that can be left; all ways out of it meet behind it."""
        opened = _Open(kinds, self.guarded)
        self._scopes.append(opened)
        try:
            with self.collected() as items:
                status = body()
        finally:
            self._scopes.pop()
        ends = list(opened.exits)
        if not self.state.dead:
            ends.append((self.state, status))
        self._items += closed(title, items, outermost=not self._scopes)
        if not ends:
            return None
        self.state = merged([state for state, _ in ends])
        self.state.last = _common(status for _, status in ends)
        return self.state.last

    def depth_of(self, kind: str, within: Set[str]) -> int:
        """How many scopes of a kind there are up to the innermost one of the kinds `within`."""
        found = 0
        for opened in reversed(self._scopes):
            if opened.kinds & within:
                break
            found += kind in opened.kinds
        return found

    def has_exits(self) -> bool:
        """Whether something leaves the innermost scope."""
        return bool(self._scopes[-1].exits)

    def too_deep(self, node: Node) -> bool:
        """Whether scripts and functions run each other deeper than is read; notes it."""
        if len(self._scopes) <= _DEEPEST:
            return False
        self.obscure(node, f"`{short(node)}` is deeper in other scripts than is read", "bound")
        return True

    def leave(
        self, kind: str, node: Node, status: Status, *, failed: bool = False, count: int = 1
    ) -> None:
        """Go on behind a scope of a kind, the outermost scope if there is none.

        Args:
            kind: Its kind.
            node: What leaves it.
            status: With which it ends.
            failed: Whether something has failed.
            count: Which of them it is, the innermost one being the first.
        """
        levels = [n for n, opened in enumerate(reversed(self._scopes), 1) if kind in opened.kinds]
        level = levels[count - 1] if len(levels) >= count else len(self._scopes)
        opened = self._scopes[-level]
        self.add(Leave(level, self.where(node), failed))
        opened.exits.append((self.state.copy(), status))
        self.state.dead = True
        self.state.failed = failed and not opened.conditional

    def end(self, node: Node) -> None:
        """End the whole job, as `lava-test-raise` does."""
        self.add(Leave(len(self._scopes) + _AROUND, self.where(node), failed=True))
        self.state.dead = self.state.failed = True

    def may_end(self, node: Node) -> None:
        """Go on, or end the whole job: only the run knows."""
        where = self.where(node)
        ended = Leave(len(self._scopes) + _AROUND, where, failed=True)
        self.add(Choice(self.shown(short(node)), where, ((), (ended,))))

    # Ways

    def choose(self, node: Node, condition: str, ways: Sequence[Body]) -> Status:
        """Run several ways of which only the run knows which is taken."""
        run = [self.attempt(way) for way in ways]
        taken = [way for way in run if not way.is_mere_failure] or run
        for way in taken:
            self._exit(way)
        if len(taken) == 1:
            self._items += taken[0].items
        elif any(matters(way.items) for way in taken):
            where, text = self.where(node), self.shown(condition)
            self.add(Choice(text, where, tuple(tuple(way.items) for way in taken)))
        else:
            unknown = any(is_unknown(way.items) for way in taken)
            if reports(taken[0].items):
                self._items += taken[0].items
                unknown &= not is_unknown(taken[0].items)
            if unknown or not reports(taken[0].items):
                self.note(node, unknown=unknown)
        alive = [way for way in taken if not way.state.dead]
        self.state = merged([way.state for way in alive]) if alive else taken[0].state
        return _common(way.status for way in alive)

    def unless(self, mark: int, failed: Body, passed: Body) -> Status:
        """Go on behind a call that may fail, which is not assumed.

        Args:
            mark: How many items there were before what has made the call.
            failed: What is run if the call has failed.
            passed: What is run else.
        """
        call = self._items[-1] if len(self._items) > mark else None
        if not isinstance(call, Call) or not call.waits or call.refused:
            return passed()
        if self._instead == _MOST_FAILURES:
            return passed()
        del self._items[-1]

        def both() -> Status:
            self._instead += 1
            try:
                instead = self.attempt(failed).items
            finally:
                self._instead -= 1
            with self.collected() as items:
                status = passed()
            if items:
                instead.append(Leave(1, call.where))
            self.add(evolve(call, otherwise=tuple(instead)))
            self.add_all(items)
            return status

        return self.scope({"unless"}, "unless", both)

    @property
    def mark(self) -> int:
        """How many items there are."""
        return len(self._items)

    def take(self, way: Way) -> Status:
        """Go on at the end of a way that has been attempted."""
        self._exit(way)
        self._items += way.items
        self.state = way.state
        return way.status

    def attempt(self, body: Body) -> Way:
        """Run something on trial: nothing of it is left unless its way is taken."""
        before = self.state
        marks = [len(opened.exits) for opened in self._scopes]
        self.state = before.copy()
        with self.collected() as items:
            status = body()
        exits: list[list[Exit]] = []
        for opened, mark in zip(self._scopes, marks, strict=True):
            exits.append(opened.exits[mark:])
            del opened.exits[mark:]
        found = Way(items, status, self.state, exits)
        self.state = before
        return found

    def _exit(self, way: Way) -> None:
        for opened, exits in zip(self._scopes, way.exits, strict=True):
            opened.exits += exits

    def _apart(self, title: str, state: State, body: Body) -> Status:
        """Run something in a shell of its own: nothing of its state comes back."""
        before = self.state
        self.state = state
        status = self.whole(title, body)
        before.dead, before.failed = self.state.dead, self.state.failed
        before.strays |= self.state.strays or self.state.jobs > 0
        self.state = before
        return status


def _common(statuses: Iterator[Status]) -> Status:
    """The status that all have, None if there is none."""
    found = set(statuses)
    return found.pop() if len(found) == 1 else None
