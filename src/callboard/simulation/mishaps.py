"""Link faults in a real run: they strike when its events say that their moment has come."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random

from callboard.actors.links import Links
from callboard.definition.diagnostics import Diagnostic
from callboard.definition.links import CUT, Conditions
from callboard.definition.model import Definition, NodeJob, Place
from callboard.events import ActionStarted, CallMade, Event, RunEnded, RunStarted
from callboard.simulation.cast import cast_of
from callboard.simulation.fate import NodeFate
from callboard.simulation.faults import (
    AtStep,
    Cut,
    Draw,
    Fault,
    Faults,
    Heal,
    Impair,
    LinkFault,
)
from callboard.simulation.lot import settled
from callboard.simulation.validation import validate
from callboard.simulation.wires import change_of, jobs_of

_SEED = 0
"""Decides what is left to chance: every run meets the same."""


class LinkMishaps:
    """What befalls the links of a real run.

    Args:
        faults: What goes wrong; `unfit` must have found no error.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._fates: dict[int, _LinkFate] = {}

    @property
    def meant(self) -> Iterator[tuple[str, Place]]:
        """The roles whose nodes' links suffer, and where they are named."""
        for rule in self._faults.rules:
            if isinstance(rule, LinkFault):
                yield from ((each.role, each.place) for each in (*rule.targets, *rule.between))
            elif isinstance(rule, Draw) and rule.role is not None:
                yield rule.role, rule.place

    @property
    def conditions(self) -> Iterator[Conditions]:
        """What links may come to be like."""
        for rule in self._faults.rules:
            if isinstance(rule, Impair):
                yield rule.conditions
            elif isinstance(rule, (Cut, Draw)):
                yield CUT

    def begin(self, links: Links, jobs: Sequence[NodeJob]) -> None:
        """They are to befall these links, between the nodes of these jobs."""
        roles: dict[str, list[int]] = {}
        for job in jobs:
            roles.setdefault(job.role.name if job.role else "", []).append(job.id)
        befallen: dict[int, list[Fault]] = {}
        counts = {role: len(members) for role, members in roles.items()}
        for fault in settled(self._faults, counts, _SEED):
            assert isinstance(fault, LinkFault), "`unfit` has found no other"
            for job_id in jobs_of(fault.targets, roles):
                befallen.setdefault(job_id, []).append(fault)
        self._fates = {
            job: _LinkFate(faults, Random(f"{_SEED} fate {job}"), job, links, roles)
            for job, faults in befallen.items()
        }

    def __call__(self, event: Event) -> None:
        """Take the next event of the run; the first and the last say when it goes on."""
        match event.body:
            case RunStarted():
                for fate in self._fates.values():
                    fate.begin()
            case ActionStarted(job=job, name=name) if job in self._fates:
                self._fates[job].at_action(name)
            case CallMade(job=job, written=written) if job in self._fates:
                self._fates[job].at_call(written)
            case RunEnded():
                for fate in self._fates.values():
                    fate.end()
            case _:
                pass


class _LinkFate(NodeFate):
    """The faults of the links of one node."""

    def __init__(
        self,
        faults: Sequence[Fault],
        random: Random,
        job: int,
        links: Links,
        roles: Mapping[str, Sequence[int]],
    ) -> None:
        super().__init__(faults, random)
        self._job = job
        self._links = links
        self._roles = roles
        self._timers: list[asyncio.TimerHandle] = []

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function after some time, unless the run has ended before."""
        self._timers.append(asyncio.get_running_loop().call_later(delay_s, call))

    def end(self) -> None:
        """Nothing happens any more."""
        for timer in self._timers:
            timer.cancel()

    def strike(self, fault: Fault) -> None:
        """It happens now."""
        match fault:
            case Cut(lasts=lasts) | Impair(lasts=lasts):
                lasts_s = self.drawn(lasts)
            case Heal():
                lasts_s = None
            case _:
                raise TypeError(f"{fault!r} does nothing to links")
        change = change_of(fault, self._job, self._roles)
        self._links.begin(change)
        if lasts_s is not None:
            self.later(lasts_s, lambda: self._links.end(change))


def unfit(faults: Faults, definition: Definition) -> tuple[Diagnostic, ...]:
    """Why faults can't happen in a real run of a definition; an error for each reason."""
    found = [problem for rule in faults.rules for problem in _unreal(rule)]
    cast = cast_of(definition, ())
    found += [each for each in validate(faults, cast) if each.severity == "error"]
    return tuple(found)


def _unreal(rule: Fault | Draw) -> Iterator[Diagnostic]:
    """Why a fault happens in rehearsals alone."""
    if isinstance(rule, Draw):
        if others := [kind for kind in rule.kinds if kind != "cut"]:
            yield _refused(f"`{others[0]}`", rule.place)
    elif not isinstance(rule, LinkFault):
        yield _refused(f"the fault `{type(rule).__name__.lower()}`", rule.place)
    elif isinstance(rule.at, AtStep):
        message = "a run doesn't tell when a node comes to a step"
        hint = "name an action, a call such as `{call: lava-wait ready}`, or a time"
        yield Diagnostic("CB264", "error", message, rule.at.place, hint)


def _refused(what: str, place: Place) -> Diagnostic:
    message = f"{what} can happen in rehearsals alone, not in a run"
    return Diagnostic("CB264", "error", message, place, "`callboard simulate` takes the same file")
