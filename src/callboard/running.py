"""Running a group for real: devices, journal and actors put together, and taken apart again."""

import contextlib
import datetime as dt
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

import anyio
from attrs import field, frozen

from callboard.actors.coordinator import Patience
from callboard.actors.drivers import Node
from callboard.actors.drivers.bare import BareNode
from callboard.actors.drivers.folder import sweep
from callboard.actors.drivers.sandboxed import SandboxedNode, open_sandbox
from callboard.actors.group import Group, Placement, Rules
from callboard.actors.messages import GroupDone, GroupMessage, Interrupt, RunGroup
from callboard.actors.support import skipped, unserved, unsupported
from callboard.definition import pipeline, split
from callboard.definition.devices import DevicesFile, LocalLimits
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.model import Definition
from callboard.definition.split import one_a_role
from callboard.events import (
    FORMAT,
    LOG_NAME,
    DeadLetter,
    Event,
    RunEnded,
    RunStarted,
    Status,
)
from callboard.flow.check import GroupRefused, check
from callboard.flow.senders import senders_of
from callboard.journal import Journal, LogFile, Mask
from callboard.report import Job, derive
from callboard.reservation import reserve
from callboard.runtime import ActorRef, ActorSystem
from callboard.runtime import DeadLetter as Undelivered
from callboard.sources import Policy, fetch, secret_values
from callboard.state import take_job_ids

MOST_NODES = 100_000
"""Nodes that a group may have to be run."""

Observer = Callable[[Event], None]
"""Is given every event of a run, in order; it must not wait."""


@frozen
class Setup:
    """Everything that is decided before a run.

    Attributes:
        directory: Where the run is recorded; it holds no log, and is made if it is not there.
        devices: The devices to choose from; None gives every node a device of its own.
        first_id: Id of the first job; None takes the next free ones.
        strict: Refuse definitions of which a driver would skip a part.
        fail_fast: Fail waits that can't be satisfied any more.
        deadlock_grace_s: Seconds without a request after which a presumed one is failed.
        sandbox: Give local nodes a throw-away view of the machine.
        sources: How test definitions are fetched.
        check: Refuse a group of which it is proved that it can't finish.
    """

    directory: Path
    devices: DevicesFile | None = None
    first_id: int | None = None
    strict: bool = False
    fail_fast: bool = True
    deadlock_grace_s: float = 10.0
    sandbox: bool = True
    sources: Policy = field(factory=Policy)
    check: bool = True


def problems(
    definition: Definition, devices: DevicesFile | None = None, *, strict: bool = False
) -> tuple[Diagnostic, ...]:
    """What of a valid definition can't be run; nothing may be started then.

    Args:
        definition: The definition.
        devices: The devices to choose from; None gives every node a device of its own.
        strict: Refuse it also if a driver would skip a part of it.
    """
    known = None if devices is None else devices.devices
    found = [*unsupported(definition), *unserved(definition, known)]
    if strict:
        found += skipped([(job, pipeline(job)) for job in one_a_role(definition)])
    return tuple(found)


def _too_many(definition: Definition) -> Diagnostic:
    message = f"the group has {definition.size:,} nodes; {MOST_NODES:,} can be run at once"
    hint = "`callboard check` and `callboard flow` take groups of any size"
    return Diagnostic("CB052", "error", message, hint=hint)


class LiveGroup:
    """A group that is running; made by `open_group`."""

    def __init__(self, placements: tuple[Placement, ...], journal: Journal) -> None:
        self._placements = placements
        self._journal = journal
        self._group: ActorRef[GroupMessage] | None = None
        self._interrupted = False
        self._ended: RunEnded | None = None
        self._over = anyio.Event()
        self.log_error: OSError | None = None

    def interrupt(self, reason: str) -> None:
        """End every job in order; the run then has the status `canceled` and exit code 130.

        Args:
            reason: Why, as it stands in the jobs' errors.
        """
        if self._ended is None:
            self._interrupted = True
            self._stop(reason)

    def kill(self) -> None:
        """End every process of every node now, on top of an interruption."""
        for placement in self._placements:
            placement.node.kill()

    async def wait(self) -> RunEnded:
        """How the run ended; waits until every job has been finalised.

        Raises:
            RuntimeError: The group itself failed; leaving `open_group` raises its error.
        """
        await self._over.wait()
        if self._ended is None:
            raise RuntimeError("the group failed before its end")
        return self._ended

    def start(self, group: ActorRef[GroupMessage]) -> None:
        """Run the group; for `open_group`."""
        self._group = group
        group.tell_nowait(RunGroup())

    def log_failed(self, error: OSError) -> None:
        """The run can't be recorded any more: end it in order, with exit code 3."""
        self.log_error = error
        self._stop(f"the event log can't be written: {error}")

    def ended(self, done: GroupDone | None) -> None:
        """Record how the group ended, as it says itself; for `open_group`."""
        if done is not None:
            ended = RunEnded(*self._outcome(done), duration_s=self._journal.time_s)
            self._journal.emit("/group", ended)
            self._ended = ended
        self._over.set()

    async def close(self) -> None:
        """End every job in order, and return when that is done; for `open_group`."""
        self.interrupt("the group was closed")
        await self._over.wait()

    def _stop(self, reason: str) -> None:
        if self._group is not None:
            self._group.tell_nowait(Interrupt(reason))

    def _outcome(self, done: GroupDone) -> tuple[Status, int]:
        complete = all(health == "complete" for health in done.healths)
        if self._interrupted:
            return "canceled", 130
        if not complete or self.log_error is not None:
            return "complete" if complete else "incomplete", 3
        return "complete", 1 if done.failures else 0


@contextlib.asynccontextmanager
async def open_group(
    definition: Definition,
    setup: Setup,
    *,
    observers: Iterable[Observer] = (),
    waiting: Callable[[frozenset[str]], None] = lambda _busy: None,
    fetched: Callable[[str], None] = lambda _text: None,
) -> AsyncIterator[LiveGroup]:
    """Run a group while the context is open; leaving it early ends the group in order.

    Args:
        definition: What to run; `problems` must have found no error.
        setup: Devices, directory and options.
        observers: Are given every event.
        waiting: Called when the group has to wait for devices, with the names of those busy.
        fetched: Called with a line of text when a source of test definitions has been fetched.

    Raises:
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
        QueueTimeout: The devices stayed busy for longer than the definition allows.
        SandboxUnavailable: This machine can't make sandboxes, and the setup wants them.
        OSError: The log or the state directory can't be written.
        ValueError: The counter of job ids is damaged.
    """
    if definition.size > MOST_NODES:
        raise DefinitionError([_too_many(definition)])
    definition = await fetch(definition, setup.sources, fetched)
    verdict = await anyio.to_thread.run_sync(check, definition)
    if setup.check and verdict.outcome == "deadlocks":
        raise GroupRefused(verdict)
    await sweep()
    first_id = take_job_ids(definition.size) if setup.first_id is None else setup.first_id
    name = str(uuid.uuid4())
    jobs = split(definition, first_id=first_id, group=name)
    async with contextlib.AsyncExitStack() as resources:
        names = {job.id: f"local-{number}" for number, job in enumerate(jobs, start=1)}
        limits = dict.fromkeys(names, LocalLimits())
        if setup.devices is not None:
            usable = [each for each in setup.devices.devices if each.driver == "local"]
            limit_s = definition.timeouts.queue_s
            reserved = await reserve(jobs, setup.devices, usable, limit_s, waiting)
            resources.callback(reserved.release)
            names = {job: device.name for job, device in reserved.devices.items()}
            limits = {job: device.limits for job, device in reserved.devices.items()}
        nodes = await _nodes(names, limits, setup, resources)
        placements = tuple(
            Placement(job, pipeline(job), names[job.id], "local", nodes[job.id]) for job in jobs
        )
        setup.directory.mkdir(parents=True, exist_ok=True)
        log = resources.enter_context(contextlib.closing(LogFile(setup.directory / LOG_NAME)))
        senders = senders_of(verdict.extraction.programs)
        rules = Rules(senders, Patience(setup.fail_fast, setup.deadlock_grace_s))
        async with _recorded(definition, name, placements, log, observers, rules) as live:
            yield live


async def _nodes(
    names: Mapping[int, str],
    limits: Mapping[int, LocalLimits],
    setup: Setup,
    resources: contextlib.AsyncExitStack,
) -> dict[int, Node]:
    """A node for every job, in a sandbox unless the setup says otherwise."""
    if not setup.sandbox:
        return {job: BareNode(name) for job, name in names.items()}
    sandbox = await resources.enter_async_context(open_sandbox())
    await sandbox.probe()
    return {job: SandboxedNode(name, sandbox, limits[job]) for job, name in names.items()}


@contextlib.asynccontextmanager
async def _recorded(
    definition: Definition,
    name: str,
    placements: tuple[Placement, ...],
    log: LogFile,
    observers: Iterable[Observer],
    rules: Rules,
) -> AsyncIterator[LiveGroup]:
    """The group while it runs, from the first event of its log to the last."""
    journal = Journal(
        anyio.current_time,
        mask=Mask([*definition.secrets.values(), *secret_values(definition)]),
        sinks=[log, *observers],
        failed=lambda error: live.log_failed(error),  # noqa: PLW0108 - it is made below
    )
    live = LiveGroup(placements, journal)
    journal.emit(
        "/",
        RunStarted(
            format=FORMAT,
            group=name,
            name=definition.job_name,
            multinode=definition.multinode,
            jobs=len(placements),
            started_at=dt.datetime.now(dt.UTC).isoformat(),
        ),
    )

    if live.log_error is not None:
        raise live.log_error

    def undelivered(letter: Undelivered) -> None:
        journal.emit(letter.address, DeadLetter(letter.address, type(letter.message).__name__))

    async with ActorSystem(on_dead_letter=undelivered) as system:
        live.start(
            system.spawn(
                lambda: Group(placements, journal, definition.secrets, live.ended, rules), "group"
            )
        )
        try:
            yield live
        finally:
            with anyio.CancelScope(shield=True):
                await live.close()


@frozen
class GroupResult:
    """How a run ended.

    Attributes:
        status: `complete` if every job is; it follows health only.
        exit_code: What `callboard run` would exit with.
        duration_s: How long it took, in seconds.
        jobs: Every job with its results.
        directory: Where the run is recorded.
    """

    status: Status
    exit_code: int
    duration_s: float
    jobs: tuple[Job, ...]
    directory: Path


async def run(
    definition: Definition,
    directory: str | Path,
    *,
    devices: DevicesFile | None = None,
    first_id: int | None = None,
    check: bool = True,
    observers: Iterable[Observer] = (),
) -> GroupResult:
    """Run a group to its end, in real time, and derive its reports.

    Args:
        definition: What to run.
        directory: Where to record the run; made if it does not exist.
        devices: The devices to choose from; None gives every node a device of its own.
        first_id: Id of the first job; None takes the next free ones.
        check: Refuse a group of which it is proved that it can't finish.
        observers: Are given every event.

    Raises:
        DefinitionError: The definition can't be run.
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
        SandboxUnavailable: This machine can't make throw-away nodes.
        OSError: The directory can't be written.
    """
    setup = Setup(Path(directory), devices=devices, first_id=first_id, check=check)
    if found := problems(definition, devices):
        raise DefinitionError(found)
    async with open_group(definition, setup, observers=observers) as group:
        ended = await group.wait()
        if group.log_error is not None:
            raise group.log_error
    derived = derive(setup.directory)
    return GroupResult(
        ended.status, ended.exit_code, ended.duration_s, derived.jobs, setup.directory
    )
