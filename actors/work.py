"""The work of the actions that callboard does itself, whatever the driver, by LAVA's names.

Actions of LAVA's pipeline that are missing here are the driver's to do or to skip. Those that
have nothing to do on any node of callboard stand here too, for LAVA runs them idle as well.
"""

from collections.abc import Awaitable, Callable, Mapping, Set

from callboard.actors import overlay
from callboard.actors.context import JobContext
from callboard.actors.errors import ConnectionClosedError, JobError
from callboard.actors.messages import Execute, Hangup, JobData, KeepConnection, ShellOverlay
from callboard.definition.model import Install, PipelineAction, Plain, TestSource

Work = Callable[[JobContext, PipelineAction, JobData], Awaitable[JobData]]


async def _install_overlay(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Build the overlay of the namespace and put it on the node."""
    job, node = context.job, context.node
    root = _overlay_root(context, plan.namespace)
    shell = node.shell(plan.block.os if plan.block else None)
    built = overlay.Overlay(
        job_id=job.id,
        root=root,
        shell=shell,
        role=job.role.name if job.role else None,
        group=context.group,
        environment=_environment(context),
        secrets=tuple(context.secrets.items()),
        cache=node.cache,
        stages=_stages(context, plan),
    )
    try:
        await node.install(built)
    except ValueError as error:
        raise JobError(str(error)) from error
    return data.with_overlay(plan.namespace, ShellOverlay(root, shell))


def _overlay_root(context: JobContext, namespace: str) -> str:
    """LAVA's path for the job's first namespace; all of them share the node."""
    root = context.node.overlay_root(context.job.id)
    number = list(dict.fromkeys(each.namespace for each in context.job.blocks)).index(namespace)
    return f"{root}/namespace-{number}" if number else root


def _environment(context: JobContext) -> tuple[tuple[str, str], ...]:
    """The role's environment as shell variables, then LAVA's own (LAVA: environment file)."""
    job = context.job
    own = {"LAVA_JOB_ID": str(job.id)}
    return (*_flat("", dict(job.environment)), *own.items())


def _flat(name: str, value: Plain) -> tuple[tuple[str, str], ...]:
    match value:
        case dict():
            items = [(f"{name}_{key}" if name else key, item) for key, item in value.items()]
        case list():
            items = [(f"{name}_{index}", item) for index, item in enumerate(value)]
        case bool():
            return ((name, "1" if value else "0"),)
        case None:
            return ((name, ""),)
        case _:
            return ((name, str(value)),)
    return tuple(pair for key, item in items for pair in _flat(key, item))


def _stages(
    context: JobContext, plan: PipelineAction
) -> tuple[tuple[overlay.Definition, ...], ...]:
    """The definitions of each test block of the namespace, numbered through."""
    system = plan.block.os if plan.block else None
    index = 0
    stages: list[tuple[overlay.Definition, ...]] = []
    for block in context.job.blocks:
        if block.namespace != plan.namespace or not block.definitions:
            continue
        stage = [
            _definition(context, source, number, system)
            for number, source in enumerate(block.definitions, start=index)
        ]
        index += len(stage)
        stages.append(tuple(stage))
    return tuple(stages)


def _definition(
    context: JobContext, source: TestSource, index: int, system: str | None
) -> overlay.Definition:
    definition, fetched = source.definition, source.fetched
    if definition is None:
        raise JobError(f"the definition `{source.name}` has not been fetched")
    install = _kept(definition.install, source.skip_install)
    return overlay.Definition(
        index=index,
        name=source.name,
        uuid=f"{context.job.id}_{_level(context.pipeline, source)}",
        run_steps=tuple(step.text for step in definition.run),
        install_steps=tuple(step.text for step in install.steps),
        parameters=(*definition.parameters, *source.parameters),
        testdef=definition.text,
        metadata=definition.metadata,
        keys=install.keys,
        sources=install.sources,
        deps=_packages(install, system),
        signal=source.signal,
        folder=fetched.folder if fetched else None,
        repositories=fetched.repositories if fetched else (),
    )


def _kept(install: Install, skipped: Set[str]) -> Install:
    """What is left of an `install` section after `skip_install`."""
    if "all" in skipped:
        return Install()
    return Install(
        deps={} if "deps" in skipped else install.deps,
        git_repos=() if "git-repos" in skipped else install.git_repos,
        keys=() if "keys" in skipped else install.keys,
        sources=() if "sources" in skipped else install.sources,
        steps=() if "steps" in skipped else install.steps,
    )


def _packages(install: Install, system: str | None) -> tuple[str, ...]:
    """The packages for a system, e.g. `deps` and `deps-debian` (LAVA: deployment data)."""
    distribution = (system or "").removesuffix("_installer")
    deps = (*install.deps.get("", ()), *install.deps.get(distribution, ()))
    return tuple(dict.fromkeys(deps))


def _level(actions: tuple[PipelineAction, ...], source: TestSource) -> str | None:
    """Level of the action that fetches `source`: the first that names it."""
    for each in actions:
        if each.source is source:
            return each.level
        if (level := _level(each.children, source)) is not None:
            return level
    return None


async def _open_shell(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Open the node's shell, unless the namespace has one, and see that it answers."""
    connection = data.connections.get(plan.namespace)
    if connection is None:
        console = await context.node.open_shell()
        connection = await context.owner.ask(KeepConnection(plan.namespace, console))
    if await connection.ask(Execute(":")) is None:
        raise ConnectionClosedError("the node's shell ended before it answered")
    return data.with_connection(plan.namespace, connection)


async def _power_off(context: JobContext, _plan: PipelineAction, data: JobData) -> JobData:
    """End the node: nothing of the job runs on afterwards."""
    await context.node.release()
    return data


async def _hang_up(_context: JobContext, _plan: PipelineAction, data: JobData) -> JobData:
    for connection in data.connections.values():
        await connection.ask(Hangup())
    return data


WORK: Mapping[str, Work] = {
    "compress-overlay": _install_overlay,
    "expect-shell-connection": _open_shell,
    "power-off": _power_off,
    "read-feedback": _hang_up,
}
"""What callboard does for each action of that name."""

IDLE = frozenset(
    {
        "auto-login-action",
        "deploy-device-env",
        "export-device-env",
        "extract-modules",
        "extract-rootfs",
        "finalize",
        "inline-repo-action",
        "lava-multinode-overlay",
        "lava-overlay",
        "lava-vland-overlay",
        "login-action",
        "prepare-scp-overlay",
        "test-definition",
        "test-install-overlay",
        "test-overlay",
        "test-runscript-overlay",
    }
)
"""Actions that have nothing to do on a node of callboard, and that no driver skips."""

OWN = IDLE | WORK.keys()
"""Actions that callboard answers for; the others are the driver's to do or to skip."""

RECORDED = frozenset(
    {"inline-repo-action", "test-overlay", "test-install-overlay", "test-runscript-overlay"}
)
"""Actions that make a case of the suite `lava` when they succeed (LAVA: results of actions)."""
