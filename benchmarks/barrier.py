"""N nodes that meet 10 times through the coordinator actor, beside bare anyio and other systems.

Every figure comes from a process of its own: `python -m benchmarks.barrier WAY NODES FIGURE`.
"""

import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import anyio
from attrs import frozen

from benchmarks import peers
from benchmarks.measurement import Measurement
from benchmarks.peers import Barrier
from callboard.actors.coordination import Coordination
from callboard.actors.coordinator import Coordinator, Patience
from callboard.actors.drivers import Console
from callboard.actors.members import Member
from callboard.actors.messages import Answer, Call, Granted, Sync
from callboard.actors.multinode import Multinode
from callboard.actors.overlay import Overlay
from callboard.definition.model import PipelineAction
from callboard.journal import Journal, LogFile
from callboard.runtime import ActorSystem, Request

_ROUNDS = 10
_TURNS = 3
_SMALL = (1_000, 10_000)
_LARGE = 100_000
_LIMIT_S = 3600.0
_KIB = 1024

Figure = Literal["speed", "memory"]


class _Device:
    """A node that is never asked for anything: its tests do nothing but call."""

    cache = "/cache"

    def overlay_root(self, job_id: int) -> str:
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:
        return os or "/bin/sh"

    def unable(self, action: str) -> str | None:
        return action

    async def prepare(self) -> None: ...

    def call(self, written: str) -> None: ...

    def perform(self, action: PipelineAction) -> None: ...

    def idles(self, action: PipelineAction) -> bool:  # noqa: ARG002 - it is so for all
        return True

    async def install(self, overlay: Overlay) -> None: ...

    async def open_shell(self) -> Console:
        raise OSError

    async def busy(self) -> bool:
        return False

    def kill(self) -> None: ...

    async def release(self) -> None: ...


def _members(barrier: Barrier) -> dict[int, Member]:
    return {number: Member(number, "node") for number in range(barrier.members)}


def _ids(barrier: Barrier) -> list[str]:
    return [f"round-{number}" for number in range(barrier.rounds + 1)]


async def _ask(barrier: Barrier) -> None:
    """Nodes are plain tasks that ask the coordinator."""
    members, ids = _members(barrier), _ids(barrier)
    state = Coordination((each.job, each.role) for each in members.values())
    journal = Journal(anyio.current_time)
    async with ActorSystem() as system:
        coordinator = system.spawn(
            lambda: Coordinator(state, members, journal, Patience()),
            "coordinator",
            mailbox_size=2 * barrier.members,
        )

        async def node(number: int) -> None:
            for turn, sync_id in enumerate(ids):
                answer = await coordinator.ask(Sync((number, turn), sync_id))
                assert type(answer) is Granted
                if turn == 0:
                    barrier.began()
            barrier.passed()

        async with peers.nodes(barrier) as tasks:
            for number in range(barrier.nodes):
                tasks.start_soon(node, number)


async def _call(barrier: Barrier, journal: Journal) -> None:
    """Each node calls the protocol actor of its job, which asks the coordinator."""
    members, ids = _members(barrier), _ids(barrier)
    state = Coordination((each.job, each.role) for each in members.values())
    group = tuple(members.values())
    device = _Device()
    async with ActorSystem() as system:
        coordinator = system.spawn(
            lambda: Coordinator(state, members, journal, Patience()),
            "coordinator",
            mailbox_size=2 * barrier.members,
        )

        async def node(member: Member) -> None:
            protocol = system.spawn(
                lambda: Multinode(member, group, coordinator, device.busy, journal),
                f"multinode-{member.job}",
            )
            for turn, sync_id in enumerate(ids):
                request: Request[Answer] = Call("sync", sync_id, _LIMIT_S)
                assert type(await protocol.ask(request)) is Granted
                if turn == 0:
                    barrier.began()
            barrier.passed()

        async with peers.nodes(barrier) as tasks:
            for number in range(barrier.nodes):
                tasks.start_soon(node, members[number])


def _coordinator(barrier: Barrier) -> None:
    anyio.run(_ask, barrier)


async def _without_log(barrier: Barrier) -> None:
    await _call(barrier, Journal(anyio.current_time))


def _protocols(barrier: Barrier) -> None:
    anyio.run(_without_log, barrier)


def _logged(barrier: Barrier) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "events.jsonl"
        with contextlib.closing(LogFile(log)) as sink:

            async def run() -> None:
                await _call(barrier, Journal(anyio.current_time, sinks=[sink]))

            anyio.run(run)
        events = sum(1 for _ in log.open("rb"))
    if not barrier.short:
        assert events == 2 * barrier.nodes * (barrier.rounds + 1), f"{events} events"


@frozen
class _Way:
    """A way to make a barrier; with at most so many nodes, and what has to be installed for it."""

    run: Callable[[Barrier], None]
    name: str
    most: int = _LARGE
    needs: str | None = None


WAYS: Mapping[str, _Way] = {
    "bare": _Way(peers.bare, "bare anyio: stream, future, drained"),
    "coordinator": _Way(_coordinator, "callboard: coordinator, no events"),
    "protocols": _Way(_protocols, "callboard: protocols too, event log off"),
    "logged": _Way(_logged, "callboard: protocols too, event log on"),
    "simpy-store": _Way(peers.simpy_store, "SimPy: Store and reply event", needs="simpy"),
    "simpy-event": _Way(peers.simpy_event, "SimPy: one event, no messages", needs="simpy"),
    "pykka": _Way(peers.pykka, "Pykka", most=1_000, needs="pykka"),
    "xoscar": _Way(peers.xoscar, "xoscar, one process", most=1_000, needs="xoscar"),
}


def installed() -> Sequence[str]:
    """The ways that can be tried here."""
    return [
        name
        for name, way in WAYS.items()
        if way.needs is None or importlib.util.find_spec(way.needs)
    ]


def _figure(way: str, nodes: int, figure: Figure) -> float:
    """One figure, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.barrier", way, str(nodes), figure]
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return float(ran.stdout)


def _measured(nodes: int) -> Sequence[Measurement]:
    """Print a table for so many nodes, and return what has a goal."""
    ways = [name for name in installed() if nodes <= WAYS[name].most]
    turns = 1 if nodes == _LARGE else _TURNS
    speeds = [{way: _figure(way, nodes, "speed") for way in ways} for _ in range(turns)]
    memory = {way: _figure(way, nodes, "memory") for way in ways}
    ratios = {way: median(turn[way] / turn["bare"] for turn in speeds) for way in ways}
    print(f"\n{nodes:,} nodes, {_ROUNDS} rounds{'':<24}  syncs/s   of bare   bytes a node")
    for way in ways:
        speed = median(turn[way] for turn in speeds)
        print(f"{WAYS[way].name:<42}{speed:>12,.0f}{ratios[way]:>10.2f}{memory[way]:>15,.0f}")
    for name in [name for name in WAYS if name not in installed()]:
        print(f"{WAYS[name].name:<42} is not installed: pip install '.[bench]'")
    print(flush=True)
    bare = median(turn["bare"] for turn in speeds) / 1000
    found = []
    for way, goal in (("coordinator", 0.6), ("protocols", None), ("logged", None)):
        speed = median(turn[way] for turn in speeds) / 1000
        name = f"syncs of {nodes:,}: {way}"
        found.append(Measurement(name, speed, bare, "k/s", ratios[way], goal))
    for way in ("coordinator", "protocols"):
        name = f"a node of {nodes:,} blocked in a call: {way}"
        ours, raw = memory[way] / _KIB, memory["bare"] / _KIB
        found.append(Measurement(name, ours, raw, "KiB", raw / ours, limit=12))
    return found


def barrier() -> Sequence[Measurement]:
    """Tables for 1,000 and 10,000 nodes."""
    return [each for nodes in _SMALL for each in _measured(nodes)]


def large() -> Sequence[Measurement]:
    """The same, and a table for 100,000 nodes."""
    return [*barrier(), *_measured(_LARGE)]


if __name__ == "__main__":
    _, name, nodes, figure = sys.argv
    measured = Barrier(int(nodes), _ROUNDS, short=figure == "memory")
    WAYS[name].run(measured)
    print(measured.bytes_per_node if measured.short else measured.syncs_per_s, flush=True)
    os._exit(0)  # threads that are blocked for ever, and a long collection of what was frozen
