"""The work of the actions that make, start and fill a job's container, by LAVA's names."""

from typing import TypeVar

import anyio

from callboard.actors.context import JobContext
from callboard.actors.errors import JobError
from callboard.actors.lxc.messages import (
    Abandon,
    CreateContainer,
    RunInContainer,
    StartContainer,
    StopContainer,
)
from callboard.actors.messages import JobData
from callboard.definition.model import PipelineAction
from callboard.runtime import Request

R = TypeVar("R")

_APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q")


async def ask(context: JobContext, request: Request[R]) -> R:
    """Ask the job's container; whoever stops waiting has it stop, too.

    Raises:
        ActionError: It can't be done.
        OSError: This machine can't.
    """
    container = context.container
    if container is None:
        raise JobError("the job has no container; `lava-lxc` describes it under `protocols`")
    try:
        return await container.ask(request)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await container.tell(Abandon())
        raise


async def create(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Have the container (LAVA: lxc-create-action)."""
    return data.with_creation(await ask(context, CreateContainer(_packages(plan))))


async def start(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Start the container and wait for its address (LAVA: boot-lxc)."""
    if not _has_packages(plan, data):
        await ask(context, StartContainer())
    return data


async def update(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Learn which packages there are (LAVA: lxc-apt-update)."""
    if _has_packages(plan, data):
        return data
    if await ask(context, RunInContainer((*_APT, "update"))) != 0:
        raise JobError("`apt-get update` failed in the container; its output is in the log")
    return data


async def install(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Install the deploy block's packages (LAVA: lxc-apt-install)."""
    if _has_packages(plan, data):
        return data
    packages = _packages(plan)
    if await ask(context, RunInContainer((*_APT, "install", "--", *packages))) != 0:
        listed = ", ".join(packages)
        raise JobError(f"{listed} can't be installed in the container; the output is in the log")
    return data


async def stop(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Stop the container that was started for its packages (LAVA: lxc-stop)."""
    if not _has_packages(plan, data):
        await ask(context, StopContainer())
    return data


def _packages(plan: PipelineAction) -> tuple[str, ...]:
    listed = plan.block.parameters.get("packages") if plan.block else None
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _has_packages(plan: PipelineAction, data: JobData) -> bool:
    """Whether the action is there for packages alone, which the container came with."""
    deploys = plan.block is not None and plan.block.kind == "deploy"
    return deploys and data.creation is not None and data.creation.packages
