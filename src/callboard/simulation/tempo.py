"""How long the parts of a rehearsal take, how they end, and which way they go.

The rules of the model say it; where there are none, defaults do. The defaults are short, and
shorter still in groups whose time-outs are: so that with them alone no time-out ever fires,
whatever the seed and however large the group.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from math import prod
from random import Random
from typing import Literal

from attrs import frozen

from callboard.definition.model import NodeJob, PipelineAction
from callboard.flow.program import (
    Background,
    Call,
    Choice,
    Command,
    Item,
    Loop,
    Program,
    Scope,
    Unseen,
    walk,
)
from callboard.simulation.model import Behaviour, Model, Transfer

JITTER = 0.1
"""Defaults vary by at most this share, evenly."""

STEP_S = 0.5
"""Default of a command of a test, in seconds."""

MOST_TURNS = 3
"""A loop of which no rule says how often it turns does so from 0 times to this often."""

_ACTIONS_S: Mapping[str, float] = {
    "apply-overlay-guest": 0.5,
    "boot-lxc": 1.0,
    "compress-overlay": 0.5,
    "connect-device": 0.2,
    "execute-qemu": 1.0,
    "login-action": 5.0,
    "lxc-create-action": 5.0,
    "lxc-create-udev-rule-action": 0.2,
    "lxc-start": 1.0,
    "lxc-stop": 0.5,
    "overlay-unpack": 0.5,
    "pdu-reboot": 2.0,
    "power-off": 0.5,
    "power-on": 1.0,
    "prepare-scp-overlay": 0.5,
    "reset-device": 2.0,
    "scp-deploy": 1.0,
}
_ENDINGS_S: Mapping[str, float] = {"-download": 2.0, "-deploy": 1.0, "-boot": 2.0}


Pause = Literal["install", "begin", "end", "exit"]
"""A pause in the run of a test: before its installation, its begin, its end, or the runner's."""


@frozen
class Said:
    """A line that a command prints.

    Attributes:
        after_s: Seconds before it, since the line before or its answer.
        line: The line.
        waits: Whether it is a call that waits for its answer.
    """

    after_s: float
    line: str
    waits: bool = False


@frozen
class Passage:
    """Something that a node does.

    Attributes:
        takes_s: How long it takes, in seconds; behind its last line, if it is known what it says.
        fails: Whether it fails.
        said: What a command prints; None where its text says it.
        error: With what an action that fails does so, None for the words of the model.
        transfers: What a command needs of the network when its own time has passed.
    """

    takes_s: float
    fails: bool = False
    said: tuple[Said, ...] | None = None
    error: Exception | None = None
    transfers: Transfer | None = None


@frozen
class Told:
    """What `lava-test-case` says around what it runs.

    Attributes:
        lead_s: Seconds before it says that the case begins.
        tail_s: Seconds before it says how it has ended, behind what it runs.
        before: The lines of its begin; empty where its words say it.
        after: Those of its end; empty where it depends on what it runs.
    """

    lead_s: float = 0.0
    tail_s: float = 0.0
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@frozen
class Spoken:
    """How a call is made: so many seconds later, in the words of `line` if there is one."""

    lead_s: float = 0.0
    line: str | None = None


@frozen
class Tempo:
    """Answers how long things take.

    Attributes:
        model: The rules.
        pace: What the defaults are multiplied with, see `pace`.
    """

    model: Model
    pace: float = 1.0

    @property
    def dies_s(self) -> float | None:
        """When the device is lost, in seconds of the run; None for never."""
        return None

    def readiness(self) -> Passage:
        """Making the device ready."""
        return Passage(0.0)

    def unable(self, role: str, name: str) -> str | None:  # noqa: ARG002 - a model does all
        """Why an action is skipped, None when it isn't: then it takes its time."""
        return None

    def action(self, role: str, name: str, random: Random, level: str = "") -> Passage:  # noqa: ARG002
        """An action of the pipeline, at a level of it."""
        return self._passage(self.model.action(role, name), action_s(name), random)

    def idles(self, role: str, name: str, level: str = "") -> bool:  # noqa: ARG002 - as above
        """Whether an action is sure to take no time, and to succeed."""
        known = self.model.action(role, name)
        return known.takes is None and not known.fails and not action_s(name)

    def step(self, role: str, test: str, text: str, random: Random) -> Passage:
        """A command, as written in the test (`0_serve`) of a role."""
        return self._passage(self.model.step(role, test, text), STEP_S, random)

    def call(self, test: str, call: Call) -> Spoken:  # noqa: ARG002 - they are made at once
        """How a call of a test is made."""
        return Spoken()

    def case(self, test: str, scope: Scope) -> Told:  # noqa: ARG002 - its words say it
        """What a case of a test that runs something says."""
        return Told()

    def pause_s(self, test: str, pause: Pause) -> float:  # noqa: ARG002 - there is none
        """How long a pause of a test is, in seconds."""
        return 0.0

    def way(self, role: str, test: str, choice: Choice, random: Random) -> int:
        """The number of the way that is taken, from 0."""
        ways = self.model.ways(role, test, choice.condition)
        count = len(choice.ways)
        return random.randrange(count) if ways is None else ways.draw(random, count)

    def turns(self, role: str, test: str, loop: Loop, random: Random) -> int:
        """How often the body of a loop is run."""
        turns = self.model.turns(role, test, loop.condition)
        return random.randint(0, MOST_TURNS) if turns is None else round(turns.draw(random))

    def _passage(self, known: Behaviour, default_s: float, random: Random) -> Passage:
        if known.takes is not None:
            takes_s = known.takes.draw(random)
        elif default_s:
            takes_s = default_s * self.pace * random.uniform(1 - JITTER, 1 + JITTER)
        else:
            takes_s = 0.0
        fails = bool(known.fails) and random.random() < (known.fails or 0.0)
        return Passage(takes_s, fails, transfers=known.transfers)


@cache
def action_s(name: str) -> float:
    """Default of an action of that name, in seconds; what callboard itself does takes none."""
    ending = next((takes_s for end, takes_s in _ENDINGS_S.items() if name.endswith(end)), 0.0)
    return _ACTIONS_S.get(name, ending)


def pace(
    jobs: Iterable[tuple[NodeJob, Sequence[PipelineAction]]], programs: Iterable[Program]
) -> float:
    """What to multiply the defaults with, so that no time-out fires: 1 unless limits are short.

    Whoever waits waits for the longest chain of what others do. No place of a program is twice
    on such a chain, unless nodes of a role go different ways. So the chain is no longer than
    all programs together, each as often as it has ways; half of each limit must do for it.

    Args:
        jobs: One of each role, with its pipeline.
        programs: What the roles do.
    """
    known = {program.role: program for program in programs}
    chain_s = 0.0
    own: list[tuple[float, float]] = []
    shared: list[float] = []
    for job, pipeline in jobs:
        program = known[job.role.name if job.role else ""]
        actions = list(_every(pipeline))
        takes_s = sum(action_s(each.name) for each in actions) + _longest_s(program.items)
        chain_s += takes_s * (1 + JITTER) * _courses(program)
        shared.append(job.timeouts.job_s)
        shared += [call.limit_s for call in program.calls() if call.limit_s is not None]
        shared += [each.duration_s for each in actions if each.stage is not None]
        own += [(each.duration_s, _takes_s(each) * (1 + JITTER)) for each in actions]
    limits = [*((limit_s, chain_s) for limit_s in shared), *own]
    return min([1.0, *(limit_s / 2 / takes_s for limit_s, takes_s in limits if takes_s > 0)])


def _every(actions: Sequence[PipelineAction]) -> Iterable[PipelineAction]:
    for action in actions:
        yield action
        yield from _every(action.children)


def _takes_s(action: PipelineAction) -> float:
    return action_s(action.name) + sum(map(_takes_s, action.children))


def _longest_s(items: Sequence[Item]) -> float:
    """What the commands of the longest way through a program take by default."""
    return sum(map(_item_s, items))


def _item_s(item: Item) -> float:
    match item:
        case Command() | Unseen():
            return STEP_S
        case Choice(ways=ways):
            return max(map(_longest_s, ways), default=0.0)
        case Loop(body=body):
            return MOST_TURNS * _longest_s(body)
        case Scope(items=items) | Background(items=items):
            return _longest_s(items)
        case _:
            return 0.0


def _courses(program: Program) -> int:
    """In how many ways the nodes of a role may differ; no more than there are nodes."""
    counts = [len(each.ways) for each in walk(program.items) if isinstance(each, Choice)]
    counts += [MOST_TURNS + 1 for each in walk(program.items) if isinstance(each, Loop)]
    return min(prod(counts), max(program.count, 1))
