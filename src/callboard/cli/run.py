"""`callboard run`: executes a group on this machine, or on a cluster."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import click
from attrs import evolve
from click.core import ParameterSource

from callboard.actors.support import problems
from callboard.cli.application import output, verb
from callboard.cli.bridge_options import Bridged, bridge_options
from callboard.cli.cluster_options import SHORT, cluster_options
from callboard.cli.clustered import checked, running
from callboard.cli.execution import Course, Execution
from callboard.cli.group_options import JUNIT, OUTPUT, group_options
from callboard.cli.inputs import definition, devices_file
from callboard.cli.live import view
from callboard.cli.mishaps import mishaps
from callboard.cli.options import DEVICES
from callboard.cli.output import Output, Refusal, refusal
from callboard.cli.run_directory import run_directory
from callboard.cli.starting import starting
from callboard.cluster.errors import Left
from callboard.cluster.records import Settings
from callboard.coordinator.joining import Joining
from callboard.definition import Definition
from callboard.elsewhere import Order
from callboard.live import LiveGroup
from callboard.running import Setup, open_group
from callboard.sources import Policy

if TYPE_CHECKING:
    from callboard.cluster.access import Access


@verb("run")
@click.argument("file", type=click.Path())
@OUTPUT
@DEVICES
@JUNIT
@group_options
@click.option(
    "--network",
    type=click.Choice(["host", "group"]),
    envvar="CALLBOARD_NETWORK",
    help="Which network nodes on this machine are in: its own, or one that the group has to "
    "itself.  [default: what the devices file says; group for VLANs, else host]",
)
@click.option(
    "--faults",
    metavar="FILE",
    type=click.Path(),
    envvar="CALLBOARD_RUN_FAULTS",
    help="What befalls the links between the nodes.",
)
@bridge_options
@cluster_options
def command(
    file: str,
    directory: str | None,
    devices: str | None,
    strict: bool,
    junit: str | None,
    first_id: int | None,
    no_check: bool,
    no_fail_fast: bool,
    deadlock_grace: float,
    no_sandbox: bool,
    allow_local: bool,
    fetch_timeout: float,
    network: Literal["host", "group"] | None,
    faults: str | None,
    bridged: Bridged | None,
    access: "Access | None",
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Run the group that the definition FILE describes, to its end.

    Exit codes: 0 all is well; 1 a test case, definition or call failed; 2 the definition, the
    command line or the output directory is wrong, nothing was started; 3 a job is incomplete;
    4 it can't finish, nothing was started; 130 interrupted.
    """
    said = output(json, quiet, verbose, color)
    if access is not None:
        _refuse_on_cluster(
            {
                "--network group": network == "group",
                "--faults": faults is not None,
                "--coordinator": bridged is not None,
            }
        )
    if bridged is not None and faults is not None:
        text = "--faults can't be combined with --coordinator: it needs the whole group"
        raise refusal("CB295", text, "leave one of them out")
    found, _ = definition(file, said, strict=strict)
    joining, roles = bridged.join(found) if bridged is not None else (None, None)
    setup = Setup(
        devices=devices_file(devices, said) if access is None else None,
        first_id=first_id,
        strict=strict,
        fail_fast=not no_fail_fast,
        deadlock_grace_s=deadlock_grace,
        sandbox=not no_sandbox,
        sources=Policy(allow_local, fetch_timeout),
        check=not no_check,
        network=network,
        mishaps=None if faults is None else mishaps(faults, found),
        joining=joining,
        roles=roles,
    )
    output_file = Path(junit) if junit else None
    if access is not None:
        checked(found, sandbox=setup.sandbox)
        _warn(setup, said, "the workers' machines themselves and can change them")
        return _run_elsewhere(access, found, setup, directory, output_file, said)
    kind, thrown_away = setup.network, setup.sandbox
    here = setup.part(found)
    errors = problems(here, setup.devices, strict=strict, network=kind, sandbox=thrown_away)
    if errors:
        raise Refusal(*errors)
    _warn(setup, said, "this machine itself and can change it")
    return _run_here(found, setup, directory, output_file, said)


def _run_here(
    found: Definition, setup: Setup, directory: str | None, junit: Path | None, said: Output
) -> int:
    with run_directory(directory, found.job_name) as where:
        shown = view(said)
        if setup.joining is not None and not said.quiet:
            _tell(setup.joining, shown.note)
        opened = open_group(
            found,
            evolve(setup, directory=where),
            observers=[shown],
            waiting=lambda busy: shown.note(
                f"waiting for devices; busy: {', '.join(sorted(busy))}"
            ),
            fetched=shown.note,
        )
        course = Course(_started(opened), where)
        return anyio.run(Execution(course, said, shown, junit).run)


def _run_elsewhere(
    access: "Access",
    found: Definition,
    setup: Setup,
    directory: str | None,
    junit: Path | None,
    said: Output,
) -> int:
    settings = Settings(setup.fail_fast, setup.deadlock_grace_s, setup.sandbox, setup.strict)
    order = Order(found, settings, setup.first_id, setup.sources, setup.check)
    with run_directory(directory, found.job_name) as where:
        shown = view(said)

        known = []

        def submitted(group: str) -> None:
            known.append(group[:SHORT])
            if not said.quiet:
                shown.note(f"submitted as {group[:SHORT]}")

        course = Course(
            running(access, order, [shown], shown.note, submitted, where),
            where,
            first="ending the group in order; once more to leave that to the cluster",
            second="leaving the group, which goes on ending",
        )
        try:
            return anyio.run(Execution(course, said, shown, junit).run)
        except Left as error:
            said.note(f"`callboard attach {known[-1]}` shows it again")
            raise KeyboardInterrupt from error


@contextlib.asynccontextmanager
async def _started(
    opened: contextlib.AbstractAsyncContextManager[LiveGroup],
) -> AsyncIterator[LiveGroup]:
    """The open group; what goes wrong before it runs is `NotStarted`."""
    async with contextlib.AsyncExitStack() as stack:
        with starting():
            group = await stack.enter_async_context(opened)
        yield group


def _refuse_on_cluster(given: dict[str, bool]) -> None:
    source = click.get_current_context().get_parameter_source("devices")
    given["--devices"] = source is ParameterSource.COMMANDLINE
    for option, is_given in given.items():
        if is_given:
            what = (
                "the workers have the devices" if option == "--devices" else "it needs one machine"
            )
            text = f"{option} can't be combined with --nats: {what}"
            raise refusal("CB277", text, "leave one of them out; $CALLBOARD_NATS is a --nats, too")


def _tell(joining: Joining, note: Callable[[str], None]) -> None:
    """How others get into the group, and what is not done for it."""
    note(f"joining the group {joining.group} of {joining.size} nodes at {joining.address}")
    note("what others do there isn't known, so that no wait is given up before its limit")


def _warn(setup: Setup, said: Output, where: str) -> None:
    if not setup.sandbox:
        text = f"callboard: warning: nodes are shells on {where} (--no-sandbox)"
        said.note(text, style="yellow")
