"""Rehearses a group: the actors of a real run, on simulated devices, in virtual time."""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from random import Random
from typing import BinaryIO

from attrs import evolve, field, frozen

from callboard.actors.coordinator import Patience
from callboard.actors.drivers.switches import Switches
from callboard.actors.group import Rules
from callboard.actors.job import post
from callboard.actors.ledger import MemoryLedger
from callboard.actors.links import Links
from callboard.actors.messages import CoordinatorMessage
from callboard.actors.placement import Placement
from callboard.actors.semantics import DOCUMENTED, LAVA
from callboard.actors.wiring import UNWIRED, made_for
from callboard.definition import pipeline, split
from callboard.definition.containers import name_of
from callboard.definition.model import Definition, NodeJob, PipelineAction
from callboard.definition.senders import Senders
from callboard.definition.split import group_first, one_a_role, scaled
from callboard.events import CallAnswered, CallMade, Event, Status, WaitHopeless, encode
from callboard.flow.extraction import extract
from callboard.flow.program import Program, Scope, walk
from callboard.flow.proof import Semantics
from callboard.flow.senders import senders_of
from callboard.live import Observer, perform
from callboard.report.hopeless import HopelessWaits
from callboard.runtime import ActorRef, run_virtual
from callboard.simulation.container import SimulatedContainer
from callboard.simulation.distribution import NONE
from callboard.simulation.fate import NodeFate
from callboard.simulation.faults import Crash, Draw, Fault, Faults, LinkFault
from callboard.simulation.lot import settled
from callboard.simulation.memory import rare_collections
from callboard.simulation.model import Model
from callboard.simulation.network import Disturbance, Exchange, Line
from callboard.simulation.node import SimulatedNode
from callboard.simulation.part import Parts, parts_of
from callboard.simulation.recording import Recording
from callboard.simulation.replay import Replay
from callboard.simulation.switches import SwitchModel
from callboard.simulation.tempo import Tempo, pace
from callboard.simulation.vocabulary import Vocabulary
from callboard.simulation.wires import Plug, Wires, jobs_of

_DRIVER = "simulated"
_OF_WAITS = frozenset({CallMade, CallAnswered, WaitHopeless})
_PATIENCE = Patience(grace_s=0.0)


class Trace:
    """The event log of a rehearsal: counted and hashed, and written if there is a file.

    Args:
        file: Where to write it.
    """

    def __init__(self, file: BinaryIO | None = None) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.events = 0

    def __call__(self, event: Event) -> None:
        """Take the next event. Raises OSError when it can't be written."""
        line = encode(event)
        self._hash.update(line)
        self.events += 1
        if self._file is not None:
            self._file.write(line)

    @property
    def sha256(self) -> str:
        """Of the log so far, in hexadecimal digits."""
        return self._hash.hexdigest()


class _Hopes:
    """Whether a wait was given up because nobody could satisfy it any more."""

    def __init__(self) -> None:
        self._waits = HopelessWaits()
        self.lost = False

    def __call__(self, event: Event) -> None:
        if type(event.body) in _OF_WAITS and self._waits.add(event, None) is not None:
            self.lost = True


@frozen
class Outcome:
    """How a rehearsal ended.

    Attributes:
        seed: Its seed.
        status: `complete` if every job is; it follows health only.
        exit_code: What `callboard simulate` would exit with.
        duration_s: How long it took, in virtual seconds.
        hopeless: Whether a wait was given up because nobody could satisfy it any more.
    """

    seed: int
    status: Status
    exit_code: int
    duration_s: float
    hopeless: bool


@frozen
class Rehearsal:
    """A group that can be rehearsed, as often as one likes; made by `prepare`.

    Attributes:
        definition: The definition.
        jobs: Every job, with its pipeline.
        programs: What each role does.
        tempo: How long things take.
        faults: What goes wrong.
        semantics: The reading of the protocol.
        switches: Makes what moves interfaces between the VLANs of a rehearsal.
    """

    definition: Definition
    jobs: tuple[tuple[NodeJob, tuple[PipelineAction, ...]], ...] = field(repr=False)
    programs: tuple[Program, ...] = field(repr=False)
    tempo: Tempo
    faults: Faults
    semantics: Semantics
    _scopes: Mapping[str, Mapping[str, Scope]] = field(repr=False)
    _vocabulary: Vocabulary = field(repr=False)
    _senders: Senders = field(repr=False)
    _parts: Mapping[int, Parts] = field(factory=dict[int, Parts], repr=False)
    switches: Callable[[], Switches] = field(default=SwitchModel, repr=False)

    def run(self, seed: int, sinks: Iterable[Observer] = ()) -> Outcome:
        """Rehearse it once, in the thread that calls; it has no other event loop then.

        Args:
            seed: Decides everything that is left to chance.
            sinks: Are given every event.
        """
        with rare_collections():
            return run_virtual(lambda: self._perform(seed, tuple(sinks)), seed=seed)

    async def _perform(self, seed: int, sinks: tuple[Observer, ...]) -> Outcome:
        group = str(uuid.UUID(int=_random(seed, "group").getrandbits(128), version=4))
        befallen = self._fates(seed)
        exchange = Exchange()
        links = self._links()
        wires = Wires(links, self._members)
        nodes = {
            job.id: self._node(job, befallen.get(job.id, ()), exchange, wires, seed)
            for job, _ in self.jobs
        }
        posts = tuple(
            post(_place(job, actions, number, node))
            for number, ((job, actions), node) in enumerate(
                zip(self.jobs, nodes.values(), strict=True), start=1
            )
        )
        semantics = LAVA if self.semantics == "lava" else DOCUMENTED
        crashes = [rule for rule in self.faults.rules if isinstance(rule, Crash)]

        def reach(
            job: int, coordinator: ActorRef[CoordinatorMessage]
        ) -> ActorRef[CoordinatorMessage]:
            exchange.coordinator = coordinator
            line = nodes[job].line
            return coordinator if line is None else line.ref(coordinator)

        ledger = MemoryLedger if crashes else None
        told = links if self._linked else None
        rules = Rules(self._senders, _PATIENCE, semantics, ledger, reach, told)
        hopes = _Hopes()
        order = _random(seed, "order").randrange
        switches = dict.fromkeys([vlan.vlan for vlan in self.definition.vlans], self.switches())
        opened = perform(
            self.definition,
            group,
            posts,
            (hopes, *sinks),
            rules,
            order=order,
            switches=switches,
        )
        async with opened as live:
            for node in nodes.values():
                node.begin()
            for number, crash in enumerate(crashes):
                exchange.suffer(crash, _random(seed, f"crash {number}"))
            ended = await live.wait()
        code = 4 if hopes.lost else ended.exit_code
        return Outcome(seed, ended.status, code, ended.duration_s, hopes.lost)

    def _node(
        self,
        job: NodeJob,
        faults: Sequence[Fault],
        exchange: Exchange,
        wires: Wires,
        seed: int,
    ) -> SimulatedNode:
        role = job.role.name if job.role else ""
        tempo, parts = self.tempo, self._parts.get(job.id)
        latency = self.tempo.model.latency
        line = None
        if self._lines or any(isinstance(fault, Disturbance) for fault in faults):
            line = Line(exchange, latency, _random(seed, f"line {job.id}"))
        return SimulatedNode(
            job,
            self._scopes[role],
            tempo if parts is None else Replay(tempo.model, tempo.pace, parts=parts),
            self._vocabulary,
            NodeFate(faults, _random(seed, f"fate {job.id}")),
            _random(seed, f"node {job.id}"),
            Plug(wires, job.id, _random(seed, f"link {job.id}")),
            line,
        )

    @property
    def _lines(self) -> bool:
        """Whether every node's messages are carried, and not handed over at once."""
        crashes = any(isinstance(rule, Crash) for rule in self.faults.rules)
        return crashes or self.tempo.model.latency != NONE

    @property
    def _members(self) -> Mapping[str, Sequence[int]]:
        """The jobs of each role, in the order of the split."""
        roles: dict[str, list[int]] = {}
        for job, _ in self.jobs:
            roles.setdefault(job.role.name if job.role else "", []).append(job.id)
        return roles

    def _links(self) -> Links:
        roles = {job.id: job.role.name if job.role else "" for job, _ in self.jobs}
        return Links(roles, self.tempo.model.links)

    @property
    def _linked(self) -> bool:
        """Whether anything is to be told of links."""
        kinds = (rule.kinds if isinstance(rule, Draw) else () for rule in self.faults.rules)
        drawn = any("cut" in each for each in kinds)
        meant = any(isinstance(rule, LinkFault) for rule in self.faults.rules)
        return drawn or meant or bool(self.tempo.model.links)

    def _fates(self, seed: int) -> Mapping[int, list[Fault]]:
        """The faults of each job that has any."""
        if not self.faults.rules:
            return {}
        roles = self._members
        counts = {role: len(members) for role, members in roles.items()}
        befallen: dict[int, list[Fault]] = {}
        for fault in settled(self.faults, counts, seed):
            for member in () if isinstance(fault, Crash) else jobs_of(fault.targets, roles):
                befallen.setdefault(member, []).append(fault)
        return befallen


def _place(
    job: NodeJob, actions: tuple[PipelineAction, ...], number: int, node: SimulatedNode
) -> Placement:
    device = f"{_DRIVER}-{number}"
    return Placement(
        job,
        actions,
        device,
        _DRIVER,
        node,
        _container(job, node),
        wiring=made_for(device, job.vlans) if job.vlans else UNWIRED,
    )


def _container(job: NodeJob, node: SimulatedNode) -> SimulatedContainer | None:
    if job.container is None:
        return None
    return SimulatedContainer(name_of(job.container, job.id), node)


def _random(seed: int, what: str) -> Random:
    """A generator of its own for each part, so that one more draw here changes nothing there."""
    return Random(f"{seed} {what}")


def prepare(
    definition: Definition,
    *,
    model: Model | None = None,
    faults: Faults | None = None,
    scale: Mapping[str, int] | None = None,
    semantics: Semantics = "documented",
    recording: Recording | None = None,
) -> Rehearsal:
    """Make a group ready to be rehearsed.

    Args:
        definition: The definition; its test sources may have been fetched.
        model: How long things take.
        faults: What goes wrong.
        scale: How many nodes some roles have, in place of what the definition says.
        semantics: What LAVA documents, or what its coordinator does.
        recording: What a real run did, which is done again as far as `model` doesn't rule.

    Raises:
        DefinitionError: `scale` names a role that isn't there, or `recording` has no nodes of one.
    """
    if scale:
        definition = scaled(definition, scale)
    if semantics == "lava":
        definition = group_first(definition)
    programs = extract(definition).programs
    first = [(job, pipeline(job)) for job in one_a_role(definition)]
    pipelines = {job.role.name if job.role else "": actions for job, actions in first}
    jobs = tuple(
        # The text lists the whole group, and a rehearsal has no use for it.
        (evolve(job, text=""), pipelines[job.role.name if job.role else ""])
        for job in split(definition, first_id=1, group="")
    )
    scopes = {
        program.role: {
            item.title: item
            for item in walk(program.items)
            if isinstance(item, Scope) and item.test
        }
        for program in programs
    }
    return Rehearsal(
        definition,
        jobs,
        programs,
        Tempo(model or Model(), pace(first, programs)),
        faults or Faults(),
        semantics,
        scopes,
        Vocabulary(programs),
        senders_of(programs),
        {} if recording is None else _cast(recording, definition, jobs, scopes),
    )


def _cast(
    recording: Recording,
    definition: Definition,
    jobs: Iterable[tuple[NodeJob, tuple[PipelineAction, ...]]],
    scopes: Mapping[str, Mapping[str, Scope]],
) -> Mapping[int, Parts]:
    """What each job does again; where there are more of a role than recorded, in turn."""
    recording.fit(definition)
    parts = {
        role: cycle([parts_of(tape, scopes[role]) for tape in tapes])
        for role, tapes in recording.roles.items()
        if role in scopes
    }
    return {job.id: next(parts[job.role.name if job.role else ""]) for job, _ in jobs}
