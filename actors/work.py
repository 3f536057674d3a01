"""The work of the actions that callboard does itself, whatever the driver, by LAVA's names.

Actions of LAVA's pipeline that are missing here are the driver's to do or to skip. Those that
have nothing to do on any node of callboard stand here too, for LAVA runs them idle as well.
"""

from collections.abc import Awaitable, Callable, Mapping, Set

from callboard.actors import overlay
from callboard.actors.context import JobContext
from callboard.actors.errors import ConnectionClosedError, JobError
from callboard.actors.guest import reach_host
from callboard.actors.lxc import delivery
from callboard.actors.lxc import work as containing
from callboard.actors.messages import Execute, Hangup, JobData, KeepConnection, ShellOverlay
from callboard.definition.model import Install, PipelineAction, Plain, TestSource

Work = Callable[[JobContext, PipelineAction, JobData], Awaitable[JobData]]


async def _install_overlay(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Build the overlay of the namespace and put it on the node."""
    job, system = context.job, context.system(plan.namespace)
    root = _overlay_root(context, plan.namespace)
    shell = system.shell(plan.block.os if plan.block else None)
    built = overlay.Overlay(
        job_id=job.id,
        root=root,
        shell=shell,
        role=job.role.name if job.role else None,
        group=context.group,
        environment=_environment(context),
        secrets=tuple(context.secrets.items()),
        cache=system.cache,
        stages=_stages(context, plan),
        access=context.access if plan.block and plan.block.authorizes_ssh else None,
        wiring=context.wiring,
    )
    try:
        await system.install(built)
    except ValueError as error:
        raise JobError(str(error)) from error
    return data.with_overlay(plan.namespace, ShellOverlay(root, shell))


def _overlay_root(context: JobContext, namespace: str) -> str:
    """LAVA's path for the job's first namespace; all of them share the node."""
    root = context.system(namespace).overlay_root(context.job.id)
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


async def _connect(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Open a shell, unless the namespace has one."""
    return data if plan.namespace in data.connections else await _open(context, plan, data)


async def _expect_shell(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """See that the namespace's shell answers; one that a boot before has left may be gone."""
    if plan.namespace in data.connections and await _answers(data, plan.namespace):
        return data
    data = await _open(context, plan, data)
    if not await _answers(data, plan.namespace):
        raise ConnectionClosedError("the node's shell ended before it answered")
    return data


async def _open(context: JobContext, plan: PipelineAction, data: JobData) -> JobData:
    """Open a shell for a namespace."""
    console = await context.system(plan.namespace).open_shell()
    connection = await context.owner.ask(KeepConnection(plan.namespace, console))
    return data.with_connection(plan.namespace, connection)


async def _answers(data: JobData, namespace: str) -> bool:
    return await data.connections[namespace].ask(Execute(":")) is not None


async def _power_off(context: JobContext, _plan: PipelineAction, data: JobData) -> JobData:
    """End the node: nothing of the job runs on afterwards."""
    await context.node.release()
    return data


async def _hang_up(_context: JobContext, _plan: PipelineAction, data: JobData) -> JobData:
    for connection in data.connections.values():
        await connection.ask(Hangup())
    return data


WORK: Mapping[str, Work] = {
    "boot-lxc": containing.start,
    "compress-overlay": _install_overlay,
    "connect-lxc": _connect,
    "expect-shell-connection": _expect_shell,
    "file-download": delivery.deliver,
    "http-download": delivery.deliver,
    "lxc-apt-install": containing.install,
    "lxc-apt-update": containing.update,
    "lxc-create-action": containing.create,
    "lxc-download": delivery.find,
    "lxc-stop": containing.stop,
    "power-off": _power_off,
    "pre-downloaded": delivery.recall,
    "read-feedback": _hang_up,
    "scp-deploy": reach_host,
    "scp-download": delivery.deliver,
}
"""What callboard does for each action of that name."""

IDLE = frozenset(
    {
        "apply-lxc-overlay",
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
        "lxc-add-static",
        "lxc-create-udev-rule-action",
        "prepare-scp-overlay",
        "test-definition",
        "test-install-overlay",
        "test-overlay",
        "test-runscript-overlay",
    }
)
"""Actions that have nothing to do on a node of callboard, and that no driver skips."""

_SHARED = frozenset({"scp-deploy"}) | delivery.ACTIONS
"""Actions whose work here is not for every node; their own drivers say whether they are skipped."""

OWN = (IDLE | WORK.keys()) - _SHARED
"""Actions that callboard answers for; the others are the driver's to do or to skip."""

RECORDED = frozenset(
    {"inline-repo-action", "test-overlay", "test-install-overlay", "test-runscript-overlay"}
)
"""Actions that make a case of the suite `lava` when they succeed (LAVA: results of actions)."""
