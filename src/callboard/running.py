"""Running a group for real: devices, journal and actors put together, and taken apart again."""

import contextlib
import datetime as dt
import itertools
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path

import anyio
from attrs import evolve, field, frozen

from callboard.actors.coordinator import Patience
from callboard.actors.drivers.folder import sweep
from callboard.actors.drivers.vland import recover
from callboard.actors.group import Rules
from callboard.actors.job import post
from callboard.actors.support import MOST_NODES, problems
from callboard.coordinator.bridge import Bridge
from callboard.coordinator.joining import Joining
from callboard.definition import split
from callboard.definition.devices import DevicesFile
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.model import Definition
from callboard.definition.network import NetworkKind
from callboard.definition.split import scaled
from callboard.downloads import downloads
from callboard.events import LOG_NAME
from callboard.flow.background import with_background
from callboard.flow.check import GroupRefused, Verdict, check
from callboard.flow.senders import senders_of
from callboard.journal import LogFile
from callboard.linking import Mishaps, lacking, link
from callboard.live import GroupResult, LiveGroup, Observer, perform
from callboard.networks import NodesUnavailable
from callboard.nodes import Wanted, open_nodes
from callboard.report import derive
from callboard.sources import Policy, fetch
from callboard.state import state_directory, take_job_ids

RUNS = Path("callboard-runs")
"""Where runs are recorded that name no directory, below the working folder."""


@frozen
class Setup:
    """Everything that is decided before a run.

    Attributes:
        directory: Where the run is recorded; it holds no log, and is made if it is not there.
            None makes a new one below `RUNS`.
        devices: The devices to choose from; None gives every node a device of its own.
        first_id: Id of the first job; None takes the next free ones.
        strict: Refuse definitions of which a driver would skip a part.
        fail_fast: Fail waits that can't be satisfied any more.
        deadlock_grace_s: Seconds without a request after which a presumed one is failed.
        sandbox: Give local nodes a throw-away view of the machine.
        sources: How test definitions are fetched.
        check: Refuse a group of which it is proved that it can't finish.
        network: Which network nodes are in that are made here; None leaves it to the devices
            file, else to the definition: VLANs need a network of the group.
        mishaps: What befalls the links between nodes; None for nothing.
        joining: The group at a coordinator elsewhere that the nodes join; None for one of their
            own. Then no wait is given up as one that can't be satisfied.
        roles: Those whose nodes run here, where others run the rest; None for all.
    """

    directory: Path | None = None
    devices: DevicesFile | None = None
    first_id: int | None = None
    strict: bool = False
    fail_fast: bool = True
    deadlock_grace_s: float = 10.0
    sandbox: bool = True
    sources: Policy = field(factory=Policy)
    check: bool = True
    network: NetworkKind | None = None
    mishaps: Mishaps | None = None
    joining: Joining | None = None
    roles: frozenset[str] | None = None

    def part(self, definition: Definition) -> Definition:
        """The definition with no nodes of the roles that run elsewhere."""
        if self.roles is None:
            return definition
        names = {role.name for role in definition.roles}
        return scaled(definition, dict.fromkeys(names - self.roles, 0))


def new_directory(name: str) -> Path:
    """Make a directory below `RUNS` for a run, called by time and job, which no other run gets.

    Raises:
        OSError: It can't be made.
    """
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:60] or "run"
    base = f"{dt.datetime.now().astimezone():%Y%m%d-%H%M%S}-{safe}"
    for number in itertools.count(1):
        path = RUNS / (f"{base}-{number}" if number > 1 else base)
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            return path
    raise AssertionError("numbers never end")


def _too_many(definition: Definition) -> Diagnostic:
    message = f"the group has {definition.size:,} nodes; {MOST_NODES:,} can be run at once"
    hint = "`callboard check` and `callboard flow` take groups of any size"
    return Diagnostic("CB052", "error", message, hint=hint)


async def prepare(
    definition: Definition,
    sources: Policy,
    fetched: Callable[[str], None] = lambda _text: None,
    *,
    gate: bool = True,
) -> tuple[Definition, Verdict]:
    """Fetch what a definition names, and check it.

    Args:
        definition: What is to be run.
        sources: How test definitions are fetched.
        fetched: Called with a line of text when a source of test definitions has been fetched.
        gate: Refuse a group of which it is proved that it can't finish.

    Raises:
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
        DefinitionError: It has more nodes than can be run.
    """
    if definition.size > MOST_NODES:
        raise DefinitionError([_too_many(definition)])
    definition = await fetch(definition, sources, fetched)
    verdict = await anyio.to_thread.run_sync(check, definition)
    if gate and verdict.outcome == "deadlocks":
        raise GroupRefused(verdict)
    return definition, verdict


@contextlib.asynccontextmanager
async def open_group(
    definition: Definition,
    setup: Setup = Setup(),
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
        NodesUnavailable: This machine can't make containers, log in anywhere, or have links be as
            they are to be.
        OSError: The log or the state directory can't be written.
        ValueError: The counter of job ids is damaged.
    """
    definition, verdict = await prepare(definition, setup.sources, fetched, gate=setup.check)
    known = setup.devices.network.links if setup.devices else ()
    if (missing := await lacking(known, setup.mishaps)) is not None:
        raise NodesUnavailable(*missing)
    await sweep()
    await recover(state_directory() / "vland")
    first_id = take_job_ids(definition.size) if setup.first_id is None else setup.first_id
    run = name = str(uuid.uuid4())
    if setup.joining is not None:
        name = setup.joining.group
    jobs = split(definition, first_id=first_id, group=name)
    if setup.roles is not None:
        jobs = tuple(each for each in jobs if each.role and each.role.name in setup.roles)
    async with contextlib.AsyncExitStack() as resources:
        wanted = Wanted(
            run=run,
            jobs=jobs,
            devices=setup.devices,
            queue_s=definition.timeouts.queue_s,
            sandbox=setup.sandbox,
            network=setup.network,
            background=with_background(definition, verdict.extraction.programs),
            download=downloads(Path(definition.file).parent, setup.sources),
        )
        nodes = await resources.enter_async_context(open_nodes(wanted, waiting))
        linked = link(nodes.placements, known, setup.mishaps)
        directory = setup.directory or new_directory(definition.job_name)
        directory.mkdir(parents=True, exist_ok=True)
        log = resources.enter_context(contextlib.closing(LogFile(directory / LOG_NAME)))
        senders = senders_of(verdict.extraction.programs)
        rules = Rules(senders, Patience(setup.fail_fast, setup.deadlock_grace_s))
        if setup.joining is not None:
            rules = evolve(rules, bridge=partial(Bridge, setup.joining))
        if linked is not None:
            rules = evolve(rules, links=linked.links, cables=linked.cables, reach=linked.reach)
        started_at = dt.datetime.now(dt.UTC).isoformat()
        sinks: list[Observer] = [log, *observers]
        if setup.mishaps is not None:
            sinks.append(setup.mishaps)
        posts = tuple(map(post, nodes.placements))
        async with perform(
            definition, name, posts, sinks, rules, started_at, switches=nodes.switches
        ) as live:
            live.directory = directory
            yield live


async def run(
    definition: Definition,
    directory: str | Path | None = None,
    *,
    devices: DevicesFile | None = None,
    first_id: int | None = None,
    check: bool = True,
    observers: Iterable[Observer] = (),
) -> GroupResult:
    """Run a group to its end, in real time, and derive its reports.

    Args:
        definition: What to run.
        directory: Where to record the run; made if it does not exist. None makes a new one
            below `RUNS`.
        devices: The devices to choose from; None gives every node a device of its own.
        first_id: Id of the first job; None takes the next free ones.
        check: Refuse a group of which it is proved that it can't finish.
        observers: Are given every event.

    Raises:
        DefinitionError: The definition can't be run.
        SourcesFailed: Test definitions can't be had; it is a DefinitionError.
        GroupRefused: Some calls would never return; it is a DefinitionError.
        SandboxUnavailable: This machine can't make throw-away nodes.
        NodesUnavailable: This machine can't make containers, or log in anywhere.
        OSError: The directory can't be written.
    """
    where = None if directory is None else Path(directory)
    setup = Setup(where, devices=devices, first_id=first_id, check=check)
    if found := problems(definition, devices):
        raise DefinitionError(found)
    async with open_group(definition, setup, observers=observers) as group:
        ended = await group.wait()
        if group.log_error is not None:
            raise group.log_error
    assert group.directory is not None, "a real run is recorded"
    derived = derive(group.directory)
    return GroupResult(
        ended.status, ended.exit_code, ended.duration_s, derived.jobs, group.directory
    )
