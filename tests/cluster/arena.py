"""A cluster of real processes on this machine, and all that can befall them."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from tests.cluster.cut_wire import CutWire
from tests.cluster.referee import SCRIPT, Referee
from tests.cluster.server import Server

from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.fleet import watched
from callboard.cluster.founding import ensure

NODES = 3
"""How many throw-away nodes each worker offers."""

_NO_SERVER = 3
_AGAIN_S = 0.5

_GROUP = """\
job_name: {name}
visibility: public
timeouts: {{job: {{minutes: 3}}}}
protocols:
  lava-multinode:
    roles:
      first: {{device_type: qemu, count: 1, essential: {essential}}}
      other: {{device_type: qemu, count: {others}}}
    timeout: {{seconds: 60}}
actions:
- deploy: {{role: [first, other], to: tmpfs}}
- boot: {{role: [first, other], method: qemu, prompts: ['#']}}
- test:
    role: [first, other]
    definitions:
    - from: inline
      name: talk
      path: inline/talk.yaml
      repository:
        metadata: {{format: Lava-Test Test Definition 1.0, name: talk}}
        run:
          steps:
          - |
            cat > talk.sh <<'END'{script}            END
          - lava-test-case talk --shell bash talk.sh {port} {rounds}
"""


@define(eq=False)
class Worker:
    """A worker, which is one process after the other.

    Attributes:
        name: Its name.
        wire: Its connection to the server.
        process: Its process now; None while there is none.
    """

    name: str
    wire: CutWire
    process: Process | None = None


@define(eq=False)
class Client:
    """A command that submits a group and follows it.

    Attributes:
        name: The group's name.
        process: Its process.
        killed: Whether it was killed.
        document: What it has said at its end; None while it runs, and when it was killed.
    """

    name: str
    process: Process
    killed: bool = False
    document: Any = None


@define(eq=False)
class Arena:
    """A server, workers and clients.

    Attributes:
        folder: For all of their files.
        server: The server.
        cluster: A connection of the test's own.
        referee: Hears from nodes.
        workers: By name.
        clients: All that there ever were.
    """

    folder: Path
    server: Server
    cluster: Cluster
    referee: Referee
    workers: dict[str, Worker] = field(factory=dict[str, Worker])
    clients: list[Client] = field(factory=list[Client])
    _services: list[asyncio.Task[None]] = field(factory=list[asyncio.Task[None]])
    _ending: bool = False

    @property
    def temporary(self) -> Path:
        """Where nodes have their folders."""
        return self.folder / "tmp"

    async def start_worker(self, name: str) -> None:
        """Start a worker as a service."""
        worker = self.workers[name]
        url = f"nats://127.0.0.1:{worker.wire.port}"
        words = ("worker", "--nats", url, "--name", name, "--nodes", str(NODES))
        worker.process = await self._start(name, words, DEVNULL)
        self._services.append(asyncio.create_task(self._serve(worker, worker.process)))

    async def _serve(self, worker: Worker, process: Process) -> None:
        """Start a worker again that found no server, as whoever runs it as a service does."""
        code = await process.wait()
        if code == _NO_SERVER and worker.process is process and not self._ending:
            await asyncio.sleep(_AGAIN_S)
            await self.start_worker(worker.name)

    async def start_client(self, name: str, others: int, rounds: int, *, essential: bool) -> Client:
        """Start `callboard run` with a group in which everybody speaks with everybody."""
        path = self.folder / f"{name}.yaml"
        text = _GROUP.format(
            name=name,
            others=others,
            essential=str(essential).lower(),
            script=SCRIPT.replace("\n", "\n            ").rstrip(" "),
            port=self.referee.port,
            rounds=rounds,
        )
        path.write_text(text)
        words = ("run", str(path), "--nats", self.server.url, "--json", "-o", str(path) + ".run")
        client = Client(name, await self._start(name, words, PIPE))
        self.clients.append(client)
        return client

    async def _start(self, name: str, words: tuple[str, ...], stdout: int) -> Process:
        own = self.folder / "states" / name
        own.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "CALLBOARD_STATE": str(own / "state"),
            "CALLBOARD_CACHE": str(own / "cache"),
            "TMPDIR": str(self.temporary),
        }
        with (self.folder / f"{name}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "callboard", *words),
                stdin=DEVNULL,
                stdout=stdout,
                stderr=log,
                cwd=self.folder,
                env=environment,
            )

    async def wait_for_clients(self, most: int) -> None:
        """Return when fewer clients than that run."""
        running = [each for each in self.clients if each.process.returncode is None]
        if len(running) >= most:
            waits = [asyncio.ensure_future(each.process.wait()) for each in running]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()

    async def end(self, patience_s: float) -> list[str]:
        """End workers in order, as their users do; what went wrong with that."""
        complaints: list[str] = []
        self._ending = True
        for worker in self.workers.values():
            if worker.process is not None and worker.process.returncode is None:
                worker.process.terminate()
        for worker in self.workers.values():
            if worker.process is None:
                continue
            try:
                code = await asyncio.wait_for(worker.process.wait(), patience_s)
            except TimeoutError:
                complaints.append(f"worker {worker.name} doesn't end")
            else:
                if code != 0:
                    complaints.append(f"worker {worker.name} has ended with {code}")
        return complaints

    async def close(self) -> None:
        """End every process that there still is."""
        self._ending = True
        for each in self._services:
            each.cancel()
        everybody = [each.process for each in self.clients]
        everybody += [each.process for each in self.workers.values() if each.process is not None]
        for process in everybody:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def open_arena(folder: Path, workers: int, lease_s: float) -> AsyncIterator[Arena]:
    """A cluster with some workers that are ready."""
    (folder / "tmp").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Server(folder / "nats"))
        access = Access(server.url)
        async with connect(access, name="chaos", note=_quiet, init=True) as first:
            await ensure(first.js, lease_s)
        cluster = await stack.enter_async_context(connect(access, name="chaos", note=_quiet))
        referee = await stack.enter_async_context(Referee())
        arena = Arena(folder, server, cluster, referee)
        stack.push_async_callback(arena.close)
        for number in range(1, workers + 1):
            wire = await stack.enter_async_context(CutWire(server.port))
            arena.workers[f"w{number}"] = Worker(f"w{number}", wire)
        await asyncio.gather(*(arena.start_worker(name) for name in arena.workers))
        fleet = await stack.enter_async_context(watched(cluster))
        while len(fleet.registrations) < workers:
            await fleet.changed()
        yield arena


async def hear(client: Client) -> None:
    """Read what a client says until it ends."""
    out, _ = await client.process.communicate()
    if not client.killed:
        client.document = json.loads(out)


def signal_worker(worker: Worker, number: signal.Signals) -> None:
    """Send a signal to a worker's process, if there is one."""
    if worker.process is not None and worker.process.returncode is None:
        worker.process.send_signal(number)


def _quiet(text: str) -> None:
    """Say nothing of the connection."""
