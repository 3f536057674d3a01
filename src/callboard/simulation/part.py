"""What a node does in the tests of a replay, read from its tape by the programs of now."""

import math
from collections.abc import Iterator, Mapping, Sequence

from attrs import evolve, frozen

from callboard.flow.program import Call, Choice, Command, Loop, Scope, Unseen, walk
from callboard.simulation.alignment import Passed, align
from callboard.simulation.recording import Mark, Take, Tape
from callboard.simulation.tempo import Passage, Pause, Said, Spoken, Told


@frozen
class Part:
    """What a node does in one run of a test.

    Attributes:
        steps: How each command went, each time, by its text.
        calls: When each call was made and how, by how it is written.
        cases: What was told of test cases that ran something, by their names as written.
        ways: Which way was taken, by the condition.
        turns: How often loops turned, by the condition.
        installed: Whether its installation succeeded.
        pauses: How long each pause of the run is, in seconds.
    """

    steps: Mapping[str, Sequence[Passage]]
    calls: Mapping[str, Sequence[Spoken]]
    cases: Mapping[str, Sequence[Told]]
    ways: Mapping[str, Sequence[int]]
    turns: Mapping[str, Sequence[int]]
    installed: bool
    pauses: Mapping[Pause, float]


@frozen
class Parts:
    """What a node does in a run: its tape, and the parts in its tests in the order of time."""

    tape: Tape
    tests: Mapping[str, Sequence[Part]]


def parts_of(tape: Tape, scopes: Mapping[str, Scope]) -> Parts:
    """Read a tape by the programs of the tests that the node runs now, by their suites."""
    return Parts(
        tape,
        {
            suite: [_part(scopes[suite], take) for take in takes]
            for suite, takes in tape.takes.items()
            if suite in scopes
        },
    )


def _part(scope: Scope, take: Take) -> Part:
    part = _Part(take)
    for passed in align(scope, take):
        part.add(passed)
    return part.end()


class _Part:
    """Divides the time that has passed between what was heard.

    Commands that say nothing share the time up to the next mark evenly; a command or call that
    is heard takes it only if there are none.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        self._steps: dict[str, list[Passage]] = {}
        self._calls: dict[str, list[Spoken]] = {}
        self._cases: dict[str, list[Told]] = {}
        self._ways: dict[str, list[int]] = {}
        self._turns: dict[str, list[int]] = {}
        self._silent: list[tuple[list[Passage], int]] = []
        self._heard = 0
        self._rest_s = 0.0

    def add(self, passed: Passed) -> None:
        """The next item that was passed."""
        match passed.item:
            case Choice(condition=condition):
                self._ways.setdefault(condition, []).append(passed.way)
            case Loop(condition=condition):
                self._turns.setdefault(condition, []).append(passed.way)
            case Call() as call:
                said = list(self._said(passed))
                self._calls.setdefault(call.written, []).append(_spoken(said))
            case Command(text=text):
                self._command(text, passed)
            case Unseen(where=where):
                self._command(where.step, passed)
            case Scope() as scope:
                self._case(scope, passed)

    def _command(self, text: str, passed: Passed) -> None:
        steps = self._steps.setdefault(text, [])
        said = tuple(self._said(passed)) or None
        takes_s = math.inf if passed.cut else 0.0
        if said is None and not passed.cut:
            self._silent.append((steps, len(steps)))
        steps.append(Passage(takes_s, passed.fails, said))

    def _case(self, scope: Scope, passed: Passed) -> None:
        """A case begins, or ends; how it ended is not taken where the others decide it."""
        said = list(self._said(passed))
        lines = tuple(each.line for each in said)
        time_s = said[0].after_s if said else 0.0
        self._rest_s = sum(each.after_s for each in said[1:])  # the lines are said at once
        cases = self._cases.setdefault(str(scope.case), [])
        if not passed.way:
            cases.append(Told(time_s, before=lines))
        else:
            calls = any(isinstance(item, Call) for item in walk(scope.items))
            cases[-1] = evolve(cases[-1], tail_s=time_s, after=() if calls else lines)

    def _said(self, passed: Passed) -> Iterator[Said]:
        """What an item said, and when; what was left out before it is only time."""
        marks = self._take.marks[passed.first : passed.last]
        if not marks:
            return
        left_out_s = sum(mark.gap_s for mark in self._take.marks[self._heard : passed.first])
        self._heard = passed.last
        first_s = self._shared(self._rest_s + left_out_s + marks[0].gap_s)
        self._rest_s = 0.0
        yield _said(marks[0], first_s)
        yield from (_said(mark, mark.gap_s) for mark in marks[1:])

    def _shared(self, time_s: float) -> float:
        """Let the silent commands have a time; what is left of it."""
        if not self._silent:
            return time_s
        for steps, number in self._silent:
            silent = steps[number]
            steps[number] = Passage(time_s / len(self._silent), silent.fails, silent.said)
        self._silent.clear()
        return 0.0

    def end(self) -> Part:
        """The whole part."""
        take = self._take
        left_out_s = sum(mark.gap_s for mark in take.marks[self._heard :])
        tail_s = self._shared(self._rest_s + left_out_s + take.tail_s)
        pauses: dict[Pause, float] = {"install": take.lead_s, "begin": 0.0}
        pauses |= {"end": tail_s, "exit": take.exit_s}
        return Part(
            self._steps,
            self._calls,
            self._cases,
            self._ways,
            self._turns,
            take.close != "uninstalled",
            pauses,
        )


def _said(mark: Mark, after_s: float) -> Said:
    return Said(after_s, mark.line, mark.waits)


def _spoken(said: Sequence[Said]) -> Spoken:
    """A call, from what was said around it."""
    for number, each in enumerate(said):
        if "<LAVA_MULTI_NODE>" in each.line:
            return Spoken(sum(one.after_s for one in said[: number + 1]), each.line)
    return Spoken()
