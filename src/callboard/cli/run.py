"""`callboard run`: executes a group on this machine."""

import contextlib
import functools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import anyio
import click
from attrs import evolve

from callboard.actors.drivers.sandboxed import SandboxUnavailable
from callboard.actors.support import problems
from callboard.cli.application import INTERRUPTED, output, verb
from callboard.cli.fetching import fetching, source_refusal
from callboard.cli.gate import refused
from callboard.cli.inputs import definition, devices_file
from callboard.cli.live import View, view
from callboard.cli.mishaps import mishaps
from callboard.cli.options import DEVICES, STRICT, Seconds
from callboard.cli.output import Output, Refusal, refusal
from callboard.cli.streams import abandon_output
from callboard.definition import Definition, DefinitionError
from callboard.events import LOG_NAME, read_log
from callboard.flow.check import GroupRefused
from callboard.live import LiveGroup
from callboard.networks import NodesUnavailable
from callboard.report import Run, derive, document, fold
from callboard.report.text import summary
from callboard.reservation import QueueTimeout
from callboard.running import RUNS, Setup, new_directory, open_group
from callboard.sources import Policy, SourcesFailed
from callboard.state import state_directory

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@verb("run")
@click.argument("file", type=click.Path())
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    type=click.Path(),
    envvar="CALLBOARD_OUTPUT",
    help="Where to record the run.  [default: callboard-runs/<time>-<name>]",
)
@DEVICES
@STRICT
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(),
    envvar="CALLBOARD_JUNIT",
    help="Where to write the JUnit file.",
)
@click.option(
    "--first-id",
    type=click.IntRange(min=1),
    envvar="CALLBOARD_FIRST_ID",
    help="Id of the first job.  [default: the next free one]",
)
@click.option(
    "--no-check",
    is_flag=True,
    envvar="CALLBOARD_NO_CHECK",
    help="Run it even if the check has found that it can't finish.",
)
@click.option(
    "--no-fail-fast",
    is_flag=True,
    envvar="CALLBOARD_NO_FAIL_FAST",
    help="Only report waits that nobody can satisfy any more; let them run into their limits.",
)
@click.option(
    "--deadlock-grace",
    type=Seconds(min=0),
    default=10.0,
    show_default=True,
    metavar="S",
    envvar="CALLBOARD_DEADLOCK_GRACE",
    help="Seconds without any call after which a group in which all wait is given up as stuck.",
)
@click.option(
    "--no-sandbox",
    is_flag=True,
    envvar="CALLBOARD_NO_SANDBOX",
    help="Let local nodes see and change this machine itself.",
)
@fetching
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
@click.option(
    "--coordinator",
    metavar="URL",
    envvar="CALLBOARD_COORDINATOR",
    help="Use that coordinator; not supported yet.",
)
@click.option(
    "--nats", metavar="URL", envvar="CALLBOARD_NATS", help="Run on a cluster; not supported yet."
)
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
    coordinator: str | None,
    nats: str | None,
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
    _refuse_unsupported(coordinator, nats)
    found, _ = definition(file, said, strict=strict)
    setup = Setup(
        devices=devices_file(devices, said),
        first_id=first_id,
        strict=strict,
        fail_fast=not no_fail_fast,
        deadlock_grace_s=deadlock_grace,
        sandbox=not no_sandbox,
        sources=Policy(allow_local, fetch_timeout),
        check=not no_check,
        network=network,
        mishaps=None if faults is None else mishaps(faults, found),
    )
    kind, thrown_away = setup.network, setup.sandbox
    errors = problems(found, setup.devices, strict=strict, network=kind, sandbox=thrown_away)
    if errors:
        raise Refusal(*errors)
    if no_sandbox:
        text = "nodes are shells on this machine itself and can change it (--no-sandbox)"
        said.note(f"callboard: warning: {text}", style="yellow")
    made = _make(Path(directory) if directory else RUNS)
    if not directory:
        made.insert(0, _make_new(found.job_name))
    where = Path(directory) if directory else made[0]
    setup = evolve(setup, directory=where)
    try:
        return anyio.run(_Execution(found, setup, where, said, view(said), junit).run)
    except _NotStarted as error:
        _remove(made)
        raise error.refusal from error
    except KeyboardInterrupt:
        _remove(made)
        raise


class _NotStarted(Exception):
    """The run could not be started."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def _not_started(
    code: str, text: str, hint: str | None = None, *, exit_code: int = 2
) -> _NotStarted:
    return _NotStarted(refusal(code, text, hint, exit_code=exit_code))


class _Execution:
    """One run, from its start to its summary."""

    def __init__(
        self,
        definition: Definition,
        setup: Setup,
        directory: Path,
        said: Output,
        view: View,
        junit: str | None,
    ) -> None:
        self._definition = definition
        self._setup = setup
        self._directory = directory
        self._said = said
        self._view = view
        self._junit = Path(junit) if junit else None
        self._group: LiveGroup | None = None

    async def run(self) -> int:
        """Run the group; returns the exit code."""
        heard = [each for each in _SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*heard) as signals:
            code, log_error = await self._run_group(signals)
            if log_error is not None:
                self._error(f"the run can't be recorded any more: {log_error}")
            # Here signals wait, for an impatient one must not cost the reports.
            return self._report(code, failed=log_error is not None)

    async def _run_group(self, signals: AsyncIterator[signal.Signals]) -> tuple[int, object]:
        began_s = anyio.current_time()
        failure: _NotStarted | None = None
        code = INTERRUPTED
        log_error: OSError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._interrupt, signals, tasks.cancel_scope)
            try:
                opened = open_group(
                    self._definition,
                    self._setup,
                    observers=[self._view],
                    waiting=self._waiting,
                    fetched=self._view.note,
                )
                async with _started(opened) as group:
                    self._group = group
                    with self._view.shown():
                        clock = functools.partial(_since, began_s)
                        tasks.start_soon(self._view.refresh, clock)
                        code = (await group.wait()).exit_code
                        log_error = group.log_error
                        tasks.cancel_scope.cancel()
            except _NotStarted as error:
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if self._group is None:
            raise KeyboardInterrupt
        return code, log_error

    def _waiting(self, busy: frozenset[str]) -> None:
        self._view.note(f"waiting for devices; busy: {', '.join(sorted(busy))}")

    async def _interrupt(
        self, signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope
    ) -> None:
        count = 0
        async for number in signals:
            count += 1
            if self._group is None:
                scope.cancel()
            elif count == 1:
                self._view.note("stopping in order; once more to stop at once")
                self._group.interrupt(f"interrupted by {number.name}")
            elif count == 2:
                self._view.note("stopping at once")
                self._group.kill()
            else:
                self._group.kill()
                os._exit(INTERRUPTED)

    def _report(self, code: int, *, failed: bool) -> int:
        try:
            run = derive(self._directory, junit_file=self._junit)
        except OSError as error:
            if not failed:
                self._error(f"the reports can't be written: {error}")
            run = fold(read_log(self._directory / LOG_NAME))
            code = code if code == INTERRUPTED else 3
        try:
            self._show(run, code)
        except BrokenPipeError:  # who reads no more of the summary may still want the exit code
            abandon_output()
        except OSError:
            if code != INTERRUPTED:  # the terminal may have gone, which is why
                raise
            abandon_output()
        return code

    def _show(self, run: Run, code: int) -> None:
        if self._said.json:
            self._said.document(document(run, self._directory) | {"exit_code": code})
        else:
            summary(run, self._directory, self._said.console)

    def _error(self, text: str) -> None:
        self._said.note(f"callboard: error: {text}", style="red")


@contextlib.asynccontextmanager
async def _started(
    opened: contextlib.AbstractAsyncContextManager[LiveGroup],
) -> AsyncIterator[LiveGroup]:
    """The open group; what goes wrong before it runs is `_NotStarted`."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            group = await stack.enter_async_context(opened)
        except FileExistsError as error:
            raise _not_started("CB105", "the directory holds a run already") from error
        except SourcesFailed as error:
            raise _NotStarted(source_refusal(error)) from error
        except GroupRefused as error:
            raise _NotStarted(refused(error.verdict)) from error
        except DefinitionError as error:
            raise _NotStarted(Refusal(*error.diagnostics)) from error
        except QueueTimeout as error:
            raise _not_started("CB110", str(error), exit_code=3) from error
        except SandboxUnavailable as error:
            text = f"this machine can't make throw-away nodes: {error}"
            hint = f"{error.cure}; --no-sandbox runs without"
            raise _not_started("CB100", text, hint) from error
        except NodesUnavailable as error:
            raise _not_started(error.code, str(error), error.cure) from error
        except (OSError, ValueError) as error:
            hint = f"callboard's state is in {state_directory()}; $CALLBOARD_STATE names another"
            raise _not_started("CB108", str(error), hint) from error
        yield group


def _since(began_s: float) -> float:
    return anyio.current_time() - began_s


def _refuse_unsupported(coordinator: str | None, nats: str | None) -> None:
    unsupported = {
        "--coordinator": coordinator is not None,
        "--nats": nats is not None,
    }
    for option, given in unsupported.items():
        if given:
            raise refusal("CB101", f"{option} is not supported yet", "run without it")


def _make_new(name: str) -> Path:
    """Make the default directory of a run."""
    try:
        return new_directory(name)
    except OSError as error:
        raise _unwritable(Path(error.filename or RUNS), error) from error


def _make(directory: Path) -> list[Path]:
    """Make the output directory and see that it can be written; returns the folders made."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        _remove(missing)
        raise _unwritable(directory, error) from error
    if (directory / LOG_NAME).exists():
        hint = "name another with -o, or remove it"
        raise refusal("CB105", f"{directory} holds a run already", hint)
    return missing


def _unwritable(directory: Path, error: OSError) -> Refusal:
    reason = error.strerror or str(error)
    return refusal("CB105", f"{directory} can't be written: {reason}", "name another with -o")


def _remove(folders: list[Path]) -> None:
    """Remove empty folders that were made in vain."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
