"""The process that offers a machine's devices to a cluster, and leads groups."""

import os
import platform
import re
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from typing import Literal, Protocol, TypeVar

import anyio
from attrs import define, evolve, field, frozen

from callboard.actors.drivers.abilities import DRIVERS
from callboard.actors.drivers.folder import sweep
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.requirements import missing
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.sandboxed import SandboxUnavailable, open_sandbox
from callboard.actors.drivers.vland import recover
from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.alongside import alongside
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.fleet import Fleet, watched
from callboard.cluster.presence import Presence, only_one, present
from callboard.cluster.records import Offer, Registration
from callboard.definition.devices import DevicesFile
from callboard.definition.lxc_devices import LxcDevice
from callboard.state import state_directory

T = TypeVar("T")

FactKind = Literal["ready", "draining", "ending", "ended", "note"]

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@frozen
class Fact:
    """Something that whoever looks after a worker may want to know.

    Attributes:
        kind: What has happened; `note` for all that is said besides.
        text: The line for people.
    """

    kind: FactKind
    text: str


@frozen
class Plan:
    """What a worker is to do.

    Attributes:
        name: Its name.
        file: The devices that it offers; None for throw-away nodes.
        nodes: How many throw-away nodes it offers without a file.
        leads: Whether it leads groups.
        contains: Whether it offers as many containers, for roles of the type `lxc`.
        sandbox: Whether local nodes are throw-away, whatever a group asks for.
    """

    name: str
    file: DevicesFile | None
    nodes: int
    leads: bool
    contains: bool = False
    sandbox: bool = True

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The devices that it offers: those of the file that nodes can be made of."""
        if self.file is None:
            numbers = range(1, self.nodes + 1)
            nodes = tuple(Offer(f"local-{n}", None, "local") for n in numbers)
            made = tuple(Offer(f"lxc-{n}", "lxc", "lxc") for n in numbers if self.contains)
            return nodes + made
        return tuple(
            Offer(each.name, each.type, each.driver, tuple(sorted(each.tags)))
            for each in self.file.devices
            if each.driver in DRIVERS
        )


@define(eq=False)
class Worker:
    """A worker at work, as those see it who do the work.

    Attributes:
        cluster: Its connection.
        name: Its name.
        incarnation: Of this process.
        file: The devices file that its devices are of; None for throw-away nodes.
        offers: The devices that it offers.
        presence: Its entry among the cluster's workers.
        fleet: All workers; None when it leads no groups.
        say: Takes a line for the user.
        sandbox: Whether local nodes are throw-away, whatever a group asks for.
        draining: Set when nothing new is to be taken: finish, or give back.
        ending: Set when what is there is to be ended now, in order.
    """

    cluster: Cluster
    name: str
    incarnation: str
    file: DevicesFile | None
    offers: tuple[Offer, ...]
    presence: Presence
    fleet: Fleet | None
    say: Callable[[str], None]
    sandbox: bool = True
    draining: anyio.Event = field(factory=anyio.Event)
    ending: anyio.Event = field(factory=anyio.Event)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do what takes a while in a thread of its own."""
        return await anyio.to_thread.run_sync(work)

    def leads(self, groups: int) -> None:
        """Let the cluster see how many groups this worker leads now."""
        self.presence.update(lambda entry: evolve(entry, leading=groups))

    def drain(self) -> None:
        """Take nothing new, and leave when nothing is left to do."""
        self.presence.update(lambda entry: evolve(entry, draining=True))
        self.draining.set()


class Part(Protocol):
    """What a worker does for its cluster, see `duties.serve`."""

    async def __call__(self, worker: Worker) -> None:
        """Do it until `worker.draining` is set and nothing is left to do.

        When `worker.ending` is set, what is left is ended at once, in order; `draining` is set by
        then, too. Cancelled, it leaves as fast as it can.
        """


def makes_containers() -> bool:
    """Whether this machine can make containers for roles of the type `lxc`."""
    return os.geteuid() == 0 and not missing([LxcDevice().template])


def default_name() -> str:
    """The name of this machine, made fit for a worker's."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", platform.node()).strip("-_")[:64]
    return name or "worker"


async def run(access: Access, plan: Plan, part: Part, say: Callable[[Fact], None]) -> int:
    """Be a worker until a signal says that it is enough.

    The first signal drains: the worker takes nothing new, and leaves when its jobs have ended. The
    second ends them now, in order; the third leaves at once.

    Args:
        access: The cluster.
        plan: What to do.
        part: Does it.
        say: Takes what is to be known of it.

    Returns:
        0 when everything was finished, 130 when something had to be ended.

    Raises:
        ClusterError: The cluster can't be used, or not any more.
        OSError: The state directory can't be written.
    """
    incarnation = secrets.token_hex(8)

    def note(text: str) -> None:
        say(Fact("note", text))

    async with AsyncExitStack() as stack:
        machine = stack.enter_context(only_one(plan.name))
        await _clean_up(note)
        for line in await _unable(plan.offers):
            note(line)
        name = f"callboard worker {plan.name}"
        cluster = await stack.enter_async_context(connect(access, name=name, note=note))
        fleet = await stack.enter_async_context(watched(cluster)) if plan.leads else None
        entry = Registration(
            name=plan.name,
            incarnation=incarnation,
            machine=machine,
            protocol=subjects.PROTOCOL,
            version=version("callboard"),
            host=platform.node(),
            offers=plan.offers,
            leads=plan.leads,
            pid=os.getpid(),
        )
        presence = await stack.enter_async_context(present(cluster, entry, note))
        worker = Worker(
            cluster,
            plan.name,
            incarnation,
            plan.file,
            plan.offers,
            presence,
            fleet,
            note,
            plan.sandbox,
        )
        heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        signals = stack.enter_context(anyio.open_signal_receiver(*heard))
        say(Fact("ready", _described(plan, access)))
        async with alongside(partial(_obey, worker, signals, say)):
            await part(worker)
    say(Fact("ended", f"worker {plan.name} has ended"))
    return INTERRUPTED if worker.ending.is_set() else 0


async def _obey(
    worker: Worker, signals: AsyncIterator[signal.Signals], say: Callable[[Fact], None]
) -> None:
    async for number in signals:
        if not worker.draining.is_set():
            text = f"{number.name}: taking nothing new, and leaving when all jobs have ended;"
            say(Fact("draining", f"{text} once more to end them now"))
            worker.drain()
        elif not worker.ending.is_set():
            say(Fact("ending", f"{number.name}: ending all jobs; once more to leave at once"))
            worker.ending.set()
        else:
            os._exit(INTERRUPTED)
    await anyio.sleep_forever()


async def _clean_up(note: Callable[[str], None]) -> None:
    """Remove what dead processes have left on this machine, as every run does."""
    if swept := await sweep():
        note(f"removed what {swept} dead node{'s' * (swept != 1)} had left")
    await recover(state_directory() / "vland")
    if os.geteuid() == 0:
        done = await reclaim(Tools(Store(state_directory() / "lxc")), note)
        if gone := [*done.removed, *done.stopped]:
            note(f"reclaimed containers of dead jobs: {', '.join(gone)}")


async def _unable(offers: Iterable[Offer]) -> list[str]:
    """What this machine can't make of what it offers: else a group would be the first to know."""
    drivers = {each.driver for each in offers}
    found: list[str] = []
    if "local" in drivers:
        try:
            async with open_sandbox() as sandbox:
                await sandbox.probe()
        except SandboxUnavailable as error:
            text = f"this machine can't make throw-away nodes, and jobs on them will fail: {error}"
            found.append(f"{text}; {error.cure}" if error.cure else text)
    if "lxc" in drivers and (lacking := missing()):
        text = "; ".join(each.detail for each in lacking)
        found.append(f"this machine can't make containers, and jobs in them will fail: {text}")
    return found


def _described(plan: Plan, access: Access) -> str:
    count = len(plan.offers)
    if plan.file is None:
        what = f"{plan.nodes} throw-away node{'s' * (plan.nodes != 1)}" if count else "no devices"
        what += " and as many containers" if count and plan.contains else ""
    else:
        what = f"{count} device{'s' * (count != 1)} of {plan.file.file}"
    leads = "leads groups" if plan.leads else "leads no groups"
    return f"worker {plan.name} at {access.shown}: offers {what}, {leads}"
