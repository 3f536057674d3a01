"""A test definition while a simulated device runs it: its program, item by item."""

import re
from collections.abc import Generator, Sequence
from enum import Enum
from random import Random
from typing import Protocol, assert_never

from attrs import frozen

from callboard.actors.wire import escape
from callboard.flow.program import (
    INSTALLATION,
    SCRIPT_AND_TEST,
    STEPS,
    Background,
    Call,
    Choice,
    Command,
    Item,
    Join,
    Leave,
    Loop,
    Scope,
    Unreached,
    Unseen,
    Word,
)
from callboard.simulation.model import Transfer
from callboard.simulation.printing import Printed, case_lines, printed, raised
from callboard.simulation.process import Awaited, Course, Need, Step
from callboard.simulation.tempo import Tempo
from callboard.simulation.vocabulary import Vocabulary

_RAISE = re.compile(r"\blava-test-raise\s+([^;&|]*)")


class End(Enum):
    """How a script of a test ends."""

    REACHED = "at its last line"
    EARLY = "before its last line"
    OF_ALL = "with the whole job"


Stretch = Generator[Step, bool, int]
"""A stretch of a script; its value is how many scopes around it are left, 0 for none."""

Ending = Generator[Step, bool, End]
"""A whole script."""


class Fate(Protocol):
    """What befalls a device at the places that its scripts come to."""

    def at_step(self, text: str) -> bool:
        """Just before a command; whether something befalls the device."""
        ...

    def at_call(self, written: str) -> bool:
        """Just before a call; whether something befalls the device."""
        ...


class Network(Protocol):
    """The network that a device is in."""

    def transmission(self, transfer: Transfer) -> Awaited:
        """Something that goes over it, to the other ends."""
        ...


@frozen
class Surroundings:
    """What a script has around it.

    Attributes:
        role: The node's role; empty in a job without roles.
        tempo: How long things take.
        vocabulary: What words may be that only the run knows.
        random: What is drawn for this device.
        fate: What befalls it.
        network: The network that it is in.
    """

    role: str
    tempo: Tempo
    vocabulary: Vocabulary
    random: Random
    fate: Fate
    network: Network


class Host(Protocol):
    """The shell that runs a script."""

    def print(self, *lines: str) -> None:
        """Show lines on the console."""
        ...

    def fork(self, course: Course) -> None:
        """Run something in the background."""
        ...

    @property
    def forked(self) -> bool:
        """Whether something runs in the background."""
        ...


class _Ended(Exception):
    """A command has failed, which ends a script under `set -e`."""


class Script:
    """Runs a test definition.

    Args:
        suite: The definition's suite, e.g. `0_serve`.
        around: What it has around it.
        shell: What runs it.
        program: What the definition does.

    Attributes:
        failed: Whether the last thing that it has done has failed.
        told: Whether it has told LAVA itself that it ends the job.
    """

    def __init__(self, suite: str, around: Surroundings, shell: Host, program: Scope) -> None:
        self.failed = False
        self.told = False
        self._suite = suite
        self._around = around
        self._shell = shell
        self._program = program
        match program.items:
            case [Scope() as first, *steps] if first.title == INSTALLATION:
                self._installation, self._steps = first.items, tuple(steps)
            case _:
                self._installation, self._steps = (), program.items

    def install(self) -> Ending:
        """The installation; it comes to its last line if it succeeds."""
        surely_fails = any(isinstance(each, Leave) for each in self._steps)
        end = yield from self._whole((Scope(STEPS, self._installation),))
        if end is End.OF_ALL:
            return end
        return End.EARLY if self.failed or surely_fails else End.REACHED

    def run(self) -> Ending:
        """The steps."""
        self.failed = False
        return (yield from self._whole(self._steps))

    def _whole(self, items: Sequence[Item]) -> Ending:
        """All that a script does; a scope of its steps is there to be left."""
        for item in items:
            try:
                if isinstance(item, Scope) and item.title == STEPS:
                    left = yield from self._all(item.items)
                else:
                    left = yield from self._item(item)
            except _Ended:
                return End.EARLY
            if left:
                return End.OF_ALL if left > SCRIPT_AND_TEST else End.EARLY
        return End.REACHED

    def _all(self, items: Sequence[Item]) -> Stretch:
        for item in items:
            left = yield from self._item(item)
            if left:
                return left
        return 0

    def _item(self, item: Item) -> Stretch:
        around = self._around
        match item:
            case Command():
                yield from self._command(item.text, item.report, ends=item.ends)
            case Call():
                return (yield from self._call(item))
            case Choice():
                way = around.tempo.way(around.role, self._suite, item, around.random)
                return (yield from self._all(item.ways[way]))
            case Loop():
                turns = around.tempo.turns(around.role, self._suite, item, around.random)
                for _ in range(turns):
                    left = yield from self._all(item.body)
                    if left:
                        return left
            case Scope(case=None):
                left = yield from self._all(item.items)
                return max(left - 1, 0)
            case Scope(case=case):
                return (yield from self._case(case, item))
            case Leave():
                self.failed = item.failed
                if item.failed and (found := _RAISE.search(item.where.step)):
                    self._shell.print(*raised(found[1]))
                    self.told = True
                return item.levels
            case Background():
                aside = Script(self._suite, around, self._shell, self._program)
                self._shell.fork(aside.beside(item.items))
            case Join():
                if self._shell.forked:
                    yield Need.OTHERS
            case Unseen():
                yield from self._command(item.where.step, (), ends=True)
            case Unreached():
                pass
            case _:
                assert_never(item)
        return 0

    def beside(self, items: Sequence[Item]) -> Course:
        """What runs in the background; how it ends is nobody's business."""
        try:
            yield from self._all(items)
        except _Ended:
            return 1
        return 0

    def _case(self, case: Word | None, scope: Scope) -> Stretch:
        """What `lava-test-case` runs, which itself succeeds."""
        assert case is not None, "else nothing tells how the scope ends"
        told = self._around.tempo.case(self._suite, scope)
        before, _ = case_lines(self._text(case), passes=True)
        yield told.lead_s
        self._shell.print(*(told.before or before))
        self.failed = False
        left = 0
        try:
            left = yield from self._all(scope.items)
        except _Ended:
            self.failed = True
        if left <= 1:
            passes = not (self.failed or scope.fails)
            _, after = case_lines(self._text(case), passes=passes)
            yield told.tail_s
            self._shell.print(*(told.after or after))
        self.failed = left > 1
        return max(left - 1, 0)

    def _command(
        self, text: str, report: Sequence[Word], *, ends: bool
    ) -> Generator[Step, bool, None]:
        around = self._around
        if around.fate.at_step(text):
            yield None
        passage = around.tempo.step(around.role, self._suite, text, around.random)
        if passage.said is None:
            said = printed([self._text(word) for word in report]) if report else Printed()
            yield passage.takes_s
            arrived = yield from self._transferred(passage.transfers)
            self._end(failed=passage.fails or said.refused or not arrived, ends=ends)
            self._shell.print(*said.lines)
            return
        for each in passage.said:
            yield each.after_s
            self._shell.print(each.line)
            if each.waits:
                yield Need.ANSWER
        yield passage.takes_s
        arrived = yield from self._transferred(passage.transfers)
        self._end(failed=passage.fails or not arrived, ends=ends)

    def _transferred(self, transfer: Transfer | None) -> Generator[Step, bool, bool]:
        """Whether what a command needs of the network has gone over it."""
        if transfer is None:
            return True
        return (yield self._around.network.transmission(transfer))

    def _end(self, *, failed: bool, ends: bool) -> None:
        """A command has ended."""
        self.failed = failed
        if failed and ends:
            raise _Ended

    def _call(self, call: Call) -> Stretch:
        if self._around.fate.at_call(call.written):
            yield None
        spoken = self._around.tempo.call(self._suite, call)
        yield spoken.lead_s
        success = call.refused not in ("id", "key")
        if success:
            line = spoken.line or f"<LAVA_MULTI_NODE> <LAVA_{self._words(call)}>"
            self._shell.print(line)
            if call.waits:
                success = yield Need.ANSWER
        if success or call.otherwise is None:
            # What follows a call that is refused for certain is told by the items behind it.
            self._end(failed=not success, ends=call.ends and call.refused is None)
            return 0
        self.failed = False
        return (yield from self._all(call.otherwise))

    def _words(self, call: Call) -> str:
        vocabulary, random = self._around.vocabulary, self._around.random
        words = [call.call.replace("-", "_").upper(), vocabulary.id(call, random)]
        if call.role is not None:
            words.append(vocabulary.role(call.role, random))
        words += [f"{key}={escape(vocabulary.value(word))}" for key, word in call.data]
        return " ".join(words)

    def _text(self, word: Word) -> str:
        return self._around.vocabulary.value(word)
