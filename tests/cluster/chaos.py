"""Kills, stops and cuts off the parts of a cluster at random, and looks at what comes of it.

    python -m tests.cluster.chaos --seeds 1..10 [--faults kill-worker,cut-worker] [--for SECONDS]

Prints for each kind of fault how often it came, and how the groups ended that it came to. The exit
code is 1 when one ended as it should not have. Needs no root.
"""

import argparse
import asyncio
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen
from tests.cluster.arena import Arena, Client, Worker, hear, open_arena, signal_worker
from tests.cluster.judge import Away, Ends, Judged, judge

WORKERS = 3
LEASE_S = 2.0
AT_ONCE = 5
"""How many clients there are at a time; a busy machine would have more and more of them."""

FAULTS = ("kill-worker", "stop-worker", "cut-worker", "kill-server", "stop-server", "kill-client")

_PATIENCE_S = 60.0
"""How long groups may take to end when nothing befalls them any more."""


@frozen
class Blow:
    """Something that befalls a part of the cluster.

    Attributes:
        at_s: When, in seconds since the first group began to run.
        kind: One of `FAULTS`.
        victim: The worker; empty for another part.
        lasts_s: For how long.
    """

    at_s: float
    kind: str
    victim: str
    lasts_s: float


@define(eq=False)
class Outcome:
    """What a fault came to.

    Attributes:
        kind: One of `FAULTS`.
        begun_s: When it came, by the clock that only goes forward.
        running: The names of the groups that ran then.
    """

    kind: str
    begun_s: float
    running: tuple[str, ...]


@define(eq=False)
class Round:
    """What one seed has come to.

    Attributes:
        outcomes: Of each fault.
        groups: How each group ended, by its name.
        complaints: What should not have been.
        took_s: How long it took.
    """

    outcomes: list[Outcome] = field(factory=list[Outcome])
    groups: dict[str, Judged] = field(factory=dict[str, Judged])
    complaints: list[str] = field(factory=list[str])
    took_s: float = 0.0


def schedule(seed: int, faults: Sequence[str], length_s: float) -> list[Blow]:
    """What befalls whom, and when; the same for the same seed."""
    chance = random.Random(seed)
    at_s, blows = 0.5, list[Blow]()
    free_s: dict[str, float] = {}
    while (at_s := at_s + chance.expovariate(1 / 1.2)) < length_s:
        kind = chance.choice(faults)
        victim = f"w{chance.randint(1, WORKERS)}" if kind.endswith("worker") else ""
        lasts_s = chance.choice([0.2, 0.5, 1.5, 2.5]) * LEASE_S
        who = victim or kind.partition("-")[2]
        if free_s.get(who, 0.0) <= at_s:  # one thing at a time
            blows.append(Blow(at_s, kind, victim, lasts_s))
            free_s[who] = at_s + lasts_s + 0.5
    return blows


async def run(seed: int, folder: Path, faults: Sequence[str], length_s: float) -> Round:
    """Let groups run while everything happens that the seed says, and judge them."""
    found = Round()
    begun_s = time.monotonic()
    async with open_arena(folder, WORKERS, LEASE_S) as arena:
        ends = Ends(arena)
        chaos = _Chaos(arena, ends, found)
        watching = asyncio.create_task(ends.watch())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(chaos.submit(random.Random(seed), length_s, tasks))
            for blow in schedule(seed, faults, length_s):
                tasks.create_task(chaos.strike(blow))
        watching.cancel()
        await judge(arena, ends, chaos.away, found.groups, found.complaints, _PATIENCE_S)
        found.complaints += await arena.end(_PATIENCE_S)
    found.complaints += [f"left: {each.name}" for each in (folder / "tmp").iterdir()]
    found.took_s = time.monotonic() - begun_s
    return found


class _Chaos:
    """Strikes."""

    def __init__(self, arena: Arena, ends: Ends, found: Round) -> None:
        self._arena = arena
        self._ends = ends
        self._found = found
        self.away: list[Away] = []

    async def submit(
        self, chance: random.Random, length_s: float, tasks: asyncio.TaskGroup
    ) -> None:
        """Submit groups one after the other, as long as things happen."""
        number, end_s = 0, float("inf")
        while time.monotonic() < end_s:
            if self._ends.begun.is_set():
                end_s = min(end_s, time.monotonic() + length_s)
            number += 1
            client = await self._arena.start_client(
                f"group-{number}",
                chance.randint(1, 3),
                chance.randint(4, 16),
                essential=chance.random() < 0.3,
            )
            tasks.create_task(self._hear(client))
            await asyncio.sleep(chance.uniform(0.5, 4.0))
            await self._arena.wait_for_clients(AT_ONCE)

    async def _hear(self, client: Client) -> None:
        try:
            async with asyncio.timeout(2 * _PATIENCE_S):
                await hear(client)
        except TimeoutError:
            self._found.complaints.append(f"the client of {client.name} doesn't end")
            client.killed = True
            client.process.kill()

    async def strike(self, blow: Blow) -> None:
        """Let something happen, and undo it when its time is over."""
        await self._ends.begun.wait()
        await asyncio.sleep(blow.at_s)
        records = self._ends.records.values()
        running = tuple(each.name for each in records if each.state == "running")
        self._found.outcomes.append(Outcome(blow.kind, time.monotonic(), running))
        victim = self._arena.workers.get(blow.victim)
        begun_s = time.monotonic()
        if victim is None:
            await self._strike_other(blow)
            return
        undo = self._strike_worker(blow, victim)
        await asyncio.sleep(blow.lasts_s)
        await undo()
        lasted_s = time.monotonic() - begun_s
        killed = blow.kind == "kill-worker"
        self.away.append(Away(victim.name, begun_s, float("inf") if killed else lasted_s))

    async def _strike_other(self, blow: Blow) -> None:
        server = self._arena.server
        match blow.kind:
            case "kill-client":
                alive = [each for each in self._arena.clients if each.process.returncode is None]
                if alive:
                    client = random.Random(blow.at_s).choice(alive)
                    client.killed = True
                    with suppress(ProcessLookupError):
                        client.process.kill()
            case "kill-server":
                await asyncio.to_thread(server.kill)
                await asyncio.sleep(blow.lasts_s)
                await asyncio.to_thread(server.start)
            case "stop-server":
                server.pause()
                await asyncio.sleep(blow.lasts_s)
                server.resume()
            case _:
                raise AssertionError(blow.kind)

    def _strike_worker(
        self, blow: Blow, worker: Worker
    ) -> Callable[[], Coroutine[object, object, None]]:
        """Let something happen to a worker; what undoes it."""
        process = worker.process

        async def start() -> None:
            if process is not None:
                await process.wait()
            if process is not None and process.returncode == -signal.SIGKILL:  # else it had ended
                await self._arena.start_worker(worker.name)

        async def resume() -> None:
            signal_worker(worker, signal.SIGCONT)

        async def mend() -> None:
            worker.wire.mend()

        match blow.kind:
            case "kill-worker":
                signal_worker(worker, signal.SIGKILL)
                return start
            case "stop-worker":
                signal_worker(worker, signal.SIGSTOP)
                return resume
            case "cut-worker":
                worker.wire.cut()
                return mend
            case _:
                raise AssertionError(blow.kind)


def table(rounds: Sequence[Round], kinds: Sequence[str]) -> str:
    """What came of each kind of fault, as a table in Markdown."""
    lines = [
        "| fault | how often | groups | complete | jobs lost | until the end: median, most |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind in kinds:
        outcomes = [(each, one) for one in rounds for each in one.outcomes if each.kind == kind]
        met = [
            (one.groups[name], one.groups[name].ended_s - each.begun_s)
            for each, one in outcomes
            for name in each.running
            if name in one.groups and one.groups[name].ended_s > each.begun_s
        ]
        if met:
            complete = sum(group.exit_code == 0 for group, _ in met)
            times = [took_s for _, took_s in met]
            took = f"{statistics.median(times):.1f} s, {max(times):.1f} s"
            row = f"{len(met)} | {complete} | {len(met) - complete} | {took}"
        else:
            row = "0 | | | "
        lines.append(f"| {kind} | {len(outcomes)} | {row} |")
    return "\n".join(lines)


def main() -> int:
    """Run the seeds that the command line names."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left then, either
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1..5", metavar="A..B")
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--for", dest="length_s", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--keep", action="store_true", help="keep the files of seeds that failed")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("..")
    kinds = options.faults.split(",")
    rounds: list[Round] = []
    for seed in range(int(first), int(last or first) + 1):
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        found = asyncio.run(run(seed, folder, kinds, options.length_s))
        rounds.append(found)
        count, bad = len(found.groups), len(found.complaints)
        print(f"seed {seed}: {count} groups, {found.took_s:.0f} s, {bad} complaints", flush=True)
        for complaint in found.complaints:
            print(f"  {complaint}", flush=True)
        if found.complaints and options.keep:
            print(f"  see {folder}")
        else:
            shutil.rmtree(folder)
    print(table(rounds, kinds))
    return 1 if any(each.complaints for each in rounds) else 0


if __name__ == "__main__":
    sys.exit(main())
