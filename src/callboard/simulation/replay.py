"""A tempo that is not drawn but taken from a recorded run, as far as it goes."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

from attrs import define, evolve, field, frozen

from callboard.actors.errors import JobError
from callboard.flow.program import Call, Choice, Loop, Scope
from callboard.simulation.model import Behaviour
from callboard.simulation.part import Part, Parts
from callboard.simulation.recording import Deed
from callboard.simulation.tempo import Passage, Pause, Spoken, Tempo, Told

T = TypeVar("T")


@define
class _Prompter:
    """Knows where a node is in its parts of one test: what has been asked for before."""

    _parts: Sequence[Part]
    _number: int = -1
    installs: bool = False
    _asked: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])

    def begin(self) -> None:
        """The test begins, perhaps again; there may be more runs of it than were recorded."""
        self._number = min(self._number + 1, len(self._parts) - 1)
        self.installs = True
        self._asked.clear()

    @property
    def part(self) -> Part:
        """The one that is played."""
        return self._parts[self._number]

    def next(self, kind: str, key: str, recorded: Mapping[str, Sequence[T]]) -> T | None:
        """What was recorded of a thing this time; None if it was nothing any more."""
        number = self._asked[kind, key]
        self._asked[kind, key] += 1
        known = recorded.get(key, ())
        return known[number] if number < len(known) else None


@frozen
class Replay(Tempo):
    """Has one node do what a recorded one did; rules of the model win over the recording.

    Attributes:
        parts: What the node does.
    """

    parts: Parts = field(kw_only=True)
    _deeds: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]], init=False)
    _prompters: dict[str, _Prompter] = field(factory=dict[str, _Prompter], init=False)

    @property
    def dies_s(self) -> float | None:
        """When the device was lost."""
        return self.parts.tape.dies_s

    def readiness(self) -> Passage:
        """As recorded."""
        tape = self.parts.tape
        error = None if tape.unready is None else OSError(tape.unready)
        return Passage(tape.ready_s, error is not None, error=error)

    def unable(self, role: str, name: str) -> str | None:
        """What was skipped is skipped again, unless the model has a rule for it."""
        ruled = self.model.action(role, name) != Behaviour()
        return None if ruled else self.parts.tape.skipped.get(name)

    def action(self, role: str, name: str, random: Random, level: str = "") -> Passage:
        """As recorded; attempts behind the last one go as that did."""
        deeds = self.parts.tape.deeds.get((level, name))
        drawn = super().action(role, name, random, level)
        if not deeds:
            return drawn
        number = self._deeds[level, name]
        self._deeds[level, name] += 1
        passage = _passage(deeds[min(number, len(deeds) - 1)])
        known = self.model.action(role, name)
        if known.takes is not None:
            passage = evolve(passage, takes_s=drawn.takes_s)
        if known.fails is not None:
            passage = evolve(passage, fails=drawn.fails, error=None)
        return passage

    def idles(self, role: str, name: str, level: str = "") -> bool:
        """Where nothing is recorded, and the model has nothing either."""
        return (level, name) not in self.parts.tape.deeds and super().idles(role, name, level)

    def step(self, role: str, test: str, text: str, random: Random) -> Passage:
        """As recorded."""
        drawn = super().step(role, test, text, random)
        prompter = self._prompter(test)
        if prompter is None:
            return drawn
        recorded = (
            Passage(0.0, fails=not prompter.part.installed)
            if prompter.installs
            else prompter.next("step", text, prompter.part.steps)
        )
        if recorded is None:
            return drawn
        known = self.model.step(role, test, text)
        if known.fails is not None:
            whole_s = _whole_s(recorded) if known.takes is None else drawn.takes_s
            return Passage(whole_s, drawn.fails, transfers=known.transfers)
        played = recorded if known.takes is None else _stretched(recorded, drawn.takes_s)
        return evolve(played, transfers=known.transfers)

    def call(self, test: str, call: Call) -> Spoken:
        """As recorded; the words too, where the definition leaves them open."""
        prompter = self._prompter(test)
        spoken = prompter.next("call", call.written, prompter.part.calls) if prompter else None
        if spoken is None:
            return Spoken()
        known = not call.gaps and all(word.text is not None for _, word in call.data)
        return Spoken(spoken.lead_s) if known else spoken

    def case(self, test: str, scope: Scope) -> Told:
        """As recorded."""
        prompter, case = self._prompter(test), str(scope.case)
        told = prompter.next("case", case, prompter.part.cases) if prompter else None
        return told or Told()

    def way(self, role: str, test: str, choice: Choice, random: Random) -> int:
        """As recorded."""
        prompter = self._prompter(test)
        condition = choice.condition
        way = prompter.next("way", condition, prompter.part.ways) if prompter else None
        ruled = self.model.ways(role, test, condition) is not None
        if way is None or ruled or way >= len(choice.ways):
            return super().way(role, test, choice, random)
        return way

    def turns(self, role: str, test: str, loop: Loop, random: Random) -> int:
        """As recorded."""
        prompter = self._prompter(test)
        condition = loop.condition
        turns = prompter.next("turns", condition, prompter.part.turns) if prompter else None
        ruled = self.model.turns(role, test, condition) is not None
        return super().turns(role, test, loop, random) if turns is None or ruled else turns

    def pause_s(self, test: str, pause: Pause) -> float:
        """As recorded."""
        if pause == "install" and (parts := self.parts.tests.get(test)):
            self._prompters.setdefault(test, _Prompter(parts)).begin()
        prompter = self._prompter(test)
        if prompter is None:
            return 0.0
        if pause == "begin":
            prompter.installs = False
        return prompter.part.pauses[pause]

    def _prompter(self, test: str) -> _Prompter | None:
        return self._prompters.get(test)


def _passage(deed: Deed) -> Passage:
    failure = deed.failure
    if failure is None:
        return Passage(math.inf if deed.cut else deed.takes_s)
    lab = failure.type == "InfrastructureError"
    error = (OSError if lab else JobError)(failure.message)
    return Passage(deed.takes_s, fails=True, error=error)


def _whole_s(passage: Passage) -> float:
    return sum((each.after_s for each in passage.said or ()), passage.takes_s)


def _stretched(passage: Passage, takes_s: float) -> Passage:
    """The same in another time; where it took none, all of it passes before the last word."""
    if passage.said is None:
        return evolve(passage, takes_s=takes_s)
    whole_s = _whole_s(passage)
    if not 0 < whole_s < math.inf:
        *first, last = passage.said
        said = (*(evolve(each, after_s=0.0) for each in first), evolve(last, after_s=takes_s))
        return Passage(0.0, passage.fails, said)
    factor = takes_s / whole_s
    said = tuple(evolve(each, after_s=each.after_s * factor) for each in passage.said)
    return Passage(passage.takes_s * factor, passage.fails, said)
