"""Groups on a cluster: a real server on loopback, and workers that are processes of their own.

What is measured stands beside the round trip of a bare NATS request, in the same run.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from statistics import median, quantiles

import anyio
import cattrs
from attrs import frozen
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.measurement import Measurement
from benchmarks.stage import Plan, Report
from callboard.cluster import subjects
from callboard.cluster.access import Access
from callboard.cluster.connection import connect
from callboard.cluster.server import serving

_WORKERS = 3
_NODES = (3, 30, 300)
_ROUNDS = 100
_TOGETHER = 100
_LATE_S = {3: 0.05, 30: 0.08, 300: 0.25}
_TURNS = 3
_BUSY = 500
_RESTED = 100
_PAUSE_S = 0.05
_GOAL = 1 / 4
_WITH_GOAL = (3, 30)
"""Of 300 the work at the nodes takes longer than the messages, on few cores."""

_EVENTS = 10_000
_UNDER_WAY = 100
_SUBJECT = "benchmark.echo"


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """A server as `callboard cluster dev` runs it, with a cluster on it; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), 0) as server:
            async with connect(Access(server.url), name="benchmark", note=print):
                pass
            yield server.url


@frozen
class _RoundTrip:
    """Seconds of bare requests to another process and their answers.

    Attributes:
        busy: One after the other.
        rested: As far apart as meetings are: processes that have slept wake up first.
    """

    busy: Sequence[float]
    rested: Sequence[float]


async def _round_trip(url: str) -> _RoundTrip:
    command = [sys.executable, "-m", "benchmarks.nats", url]
    echo = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - nothing else runs
    client = Client()
    await client.connect(url)
    try:
        assert echo.stdout is not None
        echo.stdout.readline()
        return _RoundTrip(
            await _requests(client, _BUSY, 0.0), await _requests(client, _RESTED, _PAUSE_S)
        )
    finally:
        await client.close()
        echo.kill()
        echo.wait()


async def _requests(client: Client, count: int, pause_s: float) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        await anyio.sleep(pause_s)
        began_s = time.perf_counter()
        await client.request(_SUBJECT, b"x" * 64)
        times.append(time.perf_counter() - began_s)
    return times


async def _echo(url: str) -> None:
    client = Client()
    await client.connect(url)

    async def answer(message: Msg) -> None:
        await message.respond(message.data)

    await client.subscribe(_SUBJECT, cb=answer)
    await client.flush()
    print(flush=True)
    await anyio.sleep_forever()


def _perform(plan: Plan) -> Sequence[Report]:
    """What the processes of a group report."""
    with ExitStack() as processes:
        outputs = []
        for index in reversed(range(plan.workers)):  # the leader last: all others hear it
            own = json.dumps(cattrs.unstructure(plan) | {"index": index})
            command = [sys.executable, "-m", "benchmarks.stage", own]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            processes.enter_context(process)
            assert process.stdout is not None
            process.stdout.readline()
            outputs.append(process.stdout)
        return [cattrs.structure(json.loads(each.readline()), Report) for each in outputs]


@frozen
class _Releases:
    """Seconds from the last call of a meeting to the last answer, for each."""

    late: Sequence[float]
    together: Sequence[float]


async def _releases(url: str, nodes: int) -> _Releases:
    plan = Plan(url, 0, _WORKERS, nodes, _ROUNDS, _LATE_S[nodes], _TOGETHER)
    reports = await anyio.to_thread.run_sync(_perform, plan)
    spans = [
        max(each.answered_s[turn] for each in reports)
        - max(each.called_s[turn] for each in reports)
        for turn in range(_ROUNDS + _TOGETHER)
    ]
    return _Releases(spans[:_ROUNDS], spans[_ROUNDS:])


async def _turn(nodes: int) -> tuple[_RoundTrip, _Releases]:
    async with _server() as url:
        bare = await _round_trip(url)
        return bare, await _releases(url, nodes)


def release() -> Sequence[Measurement]:
    """From the last node's call at its worker to the last answer at a node, on three workers."""
    found: list[Measurement] = []
    for nodes in _NODES:
        turns = [anyio.run(_turn, nodes) for _ in range(_TURNS)]
        late = [(bare.rested, each.late) for bare, each in turns]
        goal = _GOAL if nodes in _WITH_GOAL else None
        found += _compared(f"release of {nodes} on 3 workers", late, goal)
        together = [(bare.busy, each.together) for bare, each in turns]
        found += _compared(f"sync of {nodes} at once on 3 workers", together)
    return found


def _compared(
    name: str,
    turns: Sequence[tuple[Sequence[float], Sequence[float]]],
    goal: float | None = None,
) -> Sequence[Measurement]:
    """Median and p99 beside those of the requests of the same turn; the median of the turns."""
    found = []
    for what, cut in (("median", 50), ("p99", 99)):
        cuts = [[quantiles(each, n=100)[cut - 1] for each in turn] for turn in turns]
        bare_ms, ours_ms = (median(each) * 1e3 for each in zip(*cuts, strict=True))
        ratio = median(bare / ours for bare, ours in cuts)
        found.append(Measurement(f"{name}, {what}", ours_ms, bare_ms, "ms", ratio, goal))
    return found


def events() -> Measurement:
    """Lines of consoles from three workers into the log, stored; raw: each published for itself."""
    turns = [anyio.run(_events) for _ in range(_TURNS)]
    ours, raw = (median(each) / 1000 for each in zip(*turns, strict=True))
    ratio = median(own / bare for own, bare in turns)
    return Measurement("events of 3 workers into the log", ours, raw, "k/s", ratio)


async def _events() -> tuple[float, float]:
    """Events a second through a leader, and lines a second published by one client."""
    async with _server() as url:
        plan = Plan(url, 0, _WORKERS, _WORKERS, events=_EVENTS)
        reports = await anyio.to_thread.run_sync(_perform, plan)
        took_s = max(each.stored_s for each in reports) - min(each.emitted_s for each in reports)
        return _WORKERS * _EVENTS / took_s, await _lines(url)


async def _lines(url: str) -> float:
    client = Client()
    await client.connect(url)
    stream = client.jetstream()
    room = anyio.CapacityLimiter(_UNDER_WAY)

    async def publish() -> None:
        async with room:
            await stream.publish(subjects.log("bare"), b"x" * 200, timeout=60)

    began_s = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(_EVENTS):
            tasks.start_soon(publish)
    took_s = time.perf_counter() - began_s
    await client.close()
    return _EVENTS / took_s


if __name__ == "__main__":
    anyio.run(_echo, sys.argv[1])
