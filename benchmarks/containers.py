"""LXC containers: how long it takes from nothing to a shell, against LXC's tools alone."""

import contextlib
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from itertools import count
from pathlib import Path
from statistics import median

import anyio

from benchmarks.measurement import Measurement
from callboard.actors.drivers.lxc.address import wait_for_address
from callboard.actors.drivers.lxc.bases import Bases, drop
from callboard.actors.drivers.lxc.container import VARIABLES, LxcContainer
from callboard.actors.drivers.lxc.mirror import machine_mirrors
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.order import Order
from callboard.actors.drivers.lxc.recipe import Recipe
from callboard.actors.drivers.lxc.removal import remove
from callboard.actors.drivers.lxc.requirements import missing
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.tool import run_tool

_RELEASE = "bookworm"
_CALLBOARDS = 7
_TEMPLATES = 3
_AT_ONCE = 10
_ANSWER_S = 10.0
_GOAL = 5

_Job = Callable[[Tools, Recipe, ContainerName], Coroutine[None, None, tuple[float, float]]]
"""Has a container until its shell has answered; seconds of that, and of its removal."""


async def _callboards(tools: Tools, recipe: Recipe, name: ContainerName) -> tuple[float, float]:
    """As a job has one."""
    container = LxcContainer(tools, Order(name, recipe, str(uuid.uuid4()), 1))
    began_s = time.perf_counter()
    try:
        await container.create(())
        await container.start()
        console = await container.open_shell()
        console.send(b"echo up\n")
        said = b""
        while b"up" not in said:
            said += await console.receive()
        up_s = time.perf_counter() - began_s
    finally:
        began_s = time.perf_counter()
        await container.remove()
    return up_s, time.perf_counter() - began_s


async def _templates(tools: Tools, recipe: Recipe, name: ContainerName) -> tuple[float, float]:
    """As its template makes one from the template's own cache."""
    making = tools.create(name, recipe.template, recipe.arguments(), _unsaid)
    return await _bare(tools, name, making)


async def _clones(tools: Tools, recipe: Recipe, name: ContainerName) -> tuple[float, float]:
    """As LXC's tools clone one from a base."""
    return await _bare(tools, name, tools.clone(recipe.base, name))


async def _bare(tools: Tools, name: ContainerName, making: Awaitable[None]) -> tuple[float, float]:
    began_s = time.perf_counter()
    try:
        await making
        await tools.start(name)
        await wait_for_address(tools, name, 60)
        shell = tools.attach(name, ["sh", "-c", "echo up"], VARIABLES)
        ran = await run_tool(shell, limit_s=_ANSWER_S)
        assert ran.output == "up\n", ran.errors
        up_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        await tools.destroy(name)
        return up_s, time.perf_counter() - began_s
    except BaseException:
        with anyio.CancelScope(shield=True):
            await remove(tools, name, print)
        raise


async def _one_by_one(
    tools: Tools, recipe: Recipe, names: Iterator[ContainerName], job: _Job, times: int
) -> tuple[float, float]:
    """Median seconds until the shell answers, and of the removal."""
    found = [await job(tools, recipe, next(names)) for _ in range(times)]
    return median(up_s for up_s, _ in found), median(down_s for _, down_s in found)


async def _at_once(
    tools: Tools, recipe: Recipe, names: Iterator[ContainerName], job: _Job
) -> float:
    """Seconds until each of many has answered and has been removed; all of them do."""
    began_s = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(_AT_ONCE):
            tasks.start_soon(job, tools, recipe, next(names))
    return time.perf_counter() - began_s


@contextlib.asynccontextmanager
async def _ready(folder: Path) -> AsyncIterator[tuple[Tools, Recipe]]:
    """A store with a base, so that everything after is a second job."""
    mirror, security_mirror = machine_mirrors()
    recipe = Recipe("debian", release=_RELEASE, mirror=mirror, security_mirror=security_mirror)
    tools = Tools(Store(folder / "lxc"))
    tools.store.prepare()
    try:
        async with Bases(tools, VARIABLES).use(recipe, print):
            pass
        yield tools, recipe
    finally:
        with anyio.CancelScope(shield=True):
            await drop(tools, recipe.base, print, ready=True)


async def _measure() -> Sequence[Measurement]:
    names = (ContainerName(f"bench-{number}") for number in count())
    with tempfile.TemporaryDirectory(prefix="callboard-bench-") as folder:
        async with _ready(Path(folder)) as (tools, recipe):
            ours = await _one_by_one(tools, recipe, names, _callboards, _CALLBOARDS)
            template = await _one_by_one(tools, recipe, names, _templates, _TEMPLATES)
            clone = await _one_by_one(tools, recipe, names, _clones, _CALLBOARDS)
            many_s = await _at_once(tools, recipe, names, _callboards)
            clones_s = await _at_once(tools, recipe, names, _clones)
    return [
        _measurement("Debian container to shell, template", ours[0], template[0], goal=_GOAL),
        _measurement("the same, a clone by LXC's tools", ours[0], clone[0]),
        _measurement("its teardown, lxc-destroy of a clone", ours[1], clone[1], limit=1000),
        _measurement(f"{_AT_ONCE} at once and gone, clones", many_s, clones_s, limit=20_000),
    ]


def _measurement(
    name: str, figure_s: float, raw_s: float, goal: float | None = None, limit: float | None = None
) -> Measurement:
    ratio = raw_s / figure_s
    return Measurement(name, figure_s * 1000, raw_s * 1000, "ms", ratio, goal=goal, limit=limit)


def _unsaid(_line: str) -> None:
    """What a template prints is no figure."""


def containers() -> Sequence[Measurement]:
    """Everything about containers; ends the process where this machine can't make them."""
    if lacking := missing(["debian"]):
        reasons = (f"{each.detail}\n  {each.cure}" for each in lacking)
        raise SystemExit("\n".join(["no containers can be made here:", *reasons]))
    return anyio.run(_measure)
