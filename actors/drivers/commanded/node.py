"""A device whose console is what a command gives, and which other commands give power."""

import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal

import anyio

from callboard.actors.drivers import Console
from callboard.actors.drivers.commanded.abilities import unable
from callboard.actors.drivers.commanded.dialog import Boot, ConsoleEnded, Dialog
from callboard.actors.drivers.commanded.line import Line
from callboard.actors.drivers.commanded.transfer import Transfer
from callboard.actors.drivers.device_commands import run_device_commands
from callboard.actors.drivers.local import BASH_SYSTEMS
from callboard.actors.errors import JobError
from callboard.actors.overlay import LAVA_CACHE, Overlay, archive, build
from callboard.definition.command_devices import CommandDevice
from callboard.definition.commands import Command
from callboard.definition.model import PipelineAction

POWER_OFF_S = 60.0
"""How long each command of `power_off` may take at the end of a job."""

_KEPT_CHARACTERS = 16 * 2**20
_TRANSFER_S = 30.0
_RECONNECTS = 4
_RECONNECT_S = 0.5
_State = Literal["unknown", "starting", "prompt", "shell"]


class CommandNode:
    """A device of the driver `command`; see `callboard.actors.drivers.Node`.

    Args:
        name: Name of the device.
        console: How it is reached and powered.
        commands: What requests of a boot run on this machine, by their names.
    """

    def __init__(
        self,
        name: str,
        console: CommandDevice,
        commands: Mapping[str, Sequence[Sequence[str]]],
    ) -> None:
        self.name = name
        self._console = console
        self._commands = commands
        self._line: Line | None = None
        self._state: _State = "unknown"
        self._failed = False
        self._namespace: str | None = None
        self._overlays: dict[str, bytes] = {}
        self._waiting: dict[str, None] = {}
        self._open = False
        self._heard: Callable[[str], None] = lambda _line: None
        self._said: Callable[[str], None] = lambda _text: None
        self._left = _KEPT_CHARACTERS
        self._work: dict[str, Callable[[PipelineAction], Awaitable[None]]] = {
            "connect-device": self._connect_device,
            "expect-shell-connection": self._have_shell,
            "login-action": self._have_prompt,
            "pdu-reboot": self._reboot,
            "power-on": lambda plan: self._run("power_on", console.power_on, plan.duration_s),
            "pre-os-command": self._run_before,
            "pre-power-command": self._run_before,
        }

    @property
    def cache(self) -> str:
        """LAVA's own: nobody else uses the device."""
        return LAVA_CACHE

    def overlay_root(self, job_id: int) -> str:
        """LAVA's path."""
        return f"/lava-{job_id}"

    def shell(self, os: str | None) -> str:
        """The shell that LAVA takes for the operating system."""
        return "/bin/bash" if os in BASH_SYSTEMS else "/bin/sh"

    def attend(self, heard: Callable[[str], None], said: Callable[[str], None]) -> None:
        """From now on give `heard` what the console shows before the job's connection has it.

        `said` is given what the commands print, and what is said of a transfer.
        """
        self._heard = heard
        self._said = said

    def unable(self, action: str) -> str | None:
        """Why a device with a console can't execute an action."""
        if action == "pdu-reboot" and not self._resets:
            return "the device has neither `hard_reset` nor `power_on`"
        if action == "power-on" and not self._console.power_on:
            return "the device has no `power_on`"
        return unable(action)

    async def prepare(self) -> None:
        """Nothing: its power and its console are matters of the boot."""
        self._open = True

    def perform(self, action: PipelineAction) -> Awaitable[None] | None:
        """Connect, switch power, log in, or have a shell.

        Raises:
            JobError: The system doesn't start, or lets nobody in.
            InfrastructureError: A command failed, or the console has ended.
        """
        work = self._work.get(action.name)
        return None if work is None else work(action)

    def idles(self, action: PipelineAction) -> bool:
        """Whether the driver has no part in an action."""
        return action.name not in self._work

    def call(self, written: str) -> None:
        """Nothing: actions call for the device whatever has become of it."""

    async def install(self, overlay: Overlay) -> None:
        """Keep the overlay until there is a shell that can take it; raises ValueError."""
        build(overlay)
        stream = io.BytesIO()
        await anyio.to_thread.run_sync(archive, overlay, stream)
        self._overlays[overlay.root] = stream.getvalue()
        self._waiting[overlay.root] = None
        if self._state == "shell":
            await self._deliver(_TRANSFER_S)

    async def open_shell(self) -> Console:
        """The shell that the boot has come to; raises OSError where there is none."""
        if self._line is None or self._line.ended or self._state != "shell":
            raise OSError("nobody has logged in on the device: it needs a boot before its test")
        return self._line.open_session()

    async def busy(self) -> bool | None:
        """Not while no job has it; else a console doesn't show it."""
        return None if self._open else False

    def kill(self) -> None:
        """End the command of the console."""
        if self._line is not None:
            self._line.kill()

    async def release(self) -> None:
        """Take the power away and hang up; raises InfrastructureError if a command fails."""
        if not self._open:
            return
        self._open = False
        with anyio.CancelScope(shield=True):
            try:
                await self._run("power_off", self._console.power_off, POWER_OFF_S)
            finally:
                await self._hang_up()

    @property
    def _resets(self) -> tuple[tuple[str, tuple[Command, ...]], ...]:
        """What starts the device anew, by the names in the devices file."""
        console = self._console
        if console.hard_reset:
            return (("hard_reset", console.hard_reset),)
        if not console.power_on:
            return ()
        return (("power_off", console.power_off), ("power_on", console.power_on))

    async def _connect_device(self, _plan: PipelineAction) -> None:
        line = self._line
        if line is not None and (line.ended or (self._failed and not self._resets)):
            await self._hang_up()
            self._failed = False
        self._connect()

    def _connect(self) -> Line:
        """The line, which is opened unless there is one."""
        if self._line is None:
            self._line = Line(self._console.connection_command, self._hear)
            self._state = "unknown"
        return self._line

    async def _hang_up(self) -> None:
        line, self._line = self._line, None
        self._state = "unknown"
        if line is not None:
            await line.close()

    async def _reboot(self, plan: PipelineAction) -> None:
        line = self._connect()
        line.watch()
        for name, commands in self._resets:
            await self._run(name, commands, plan.duration_s)
        if line.ended:  # there is no console without power
            await self._hang_up()
            self._connect()
        self._state = "starting"
        self._failed = False

    async def _have_prompt(self, plan: PipelineAction) -> None:
        """Come to the prompt of a device that starts, or that was started before."""
        if self._state == "shell" and self._line is not None and not self._line.ended:
            return
        block, console = plan.block, self._console
        assert block is not None, "every boot is a block"
        prompts = block.prompts or console.prompts
        if not prompts:
            raise JobError(
                "there are no `prompts`: give them to the boot block or, "
                f"in the devices file, to `{self.name}`"
            )
        line = self._connect()
        # A minimal boot has been reset by now, or has said that it is not to be.
        due = self._failed or block.method != "minimal"
        wanted = due and block.parameters.get("reset", True)
        if self._state == "unknown" and self._resets and wanted:
            await self._reboot(plan)
            line = self._connect()
        if not line.watching:
            line.watch()
        starting = self._state == "starting"
        message = block.kernel_start_message
        if message is None:
            message = console.boot_message
        login = block.auto_login or console.login
        # A password that is the user's name as well is no secret.
        secret = login.password if login and login.password != login.username else None
        line.mask(secret)
        self._state, self._failed = "unknown", True
        boot = Boot(prompts, (message or None) if starting else None, login, starting)
        for left in reversed(range(_RECONNECTS if starting else 1)):
            try:
                await Dialog(line, plan.connection_s).boot(boot)
                break
            except ConsoleEnded:
                if not left:
                    raise
            # Some consoles are there only when the device has had power for a moment.
            self._said("the console has ended; it is opened again")
            await anyio.sleep(_RECONNECT_S)
            await self._hang_up()
            line = self._connect()
            line.mask(secret)
        self._state, self._failed = "prompt", False

    async def _have_shell(self, plan: PipelineAction) -> None:
        """Make the shell at the prompt what `open_shell` promises, with the overlay."""
        line = self._line
        if line is not None and line.session is not None and self._namespace != plan.namespace:
            raise JobError(
                f"the device has one console, and the namespace `{self._namespace}` uses it"
            )
        if self._state != "prompt":
            await self._have_prompt(plan)
        line = self._connect()
        if self._state == "prompt":
            self._state, self._failed = "unknown", True
            await Dialog(line, plan.connection_s).take_over()
            self._state, self._failed = "shell", False
            self._waiting = dict.fromkeys(self._overlays)
        self._namespace = plan.namespace
        await self._deliver(plan.connection_s)

    async def _deliver(self, limit_s: float) -> None:
        """Bring the overlays to the device that it hasn't got yet, and stop watching."""
        line = self._connect()
        if self._waiting:
            line.watch()
        transfer = Transfer(line, limit_s, self._said)
        while self._waiting:
            root = next(iter(self._waiting))
            await transfer.put(self._overlays[root], root)
            del self._waiting[root]
        line.watching = False

    async def _run_before(self, plan: PipelineAction) -> None:
        commands, key = self._commands.get(plan.name), plan.name.replace("-", "_")
        if not commands:
            raise JobError(f"the device `{self.name}` has no `{key}` in the devices file")
        await self._run(key, commands, plan.duration_s)

    async def _run(self, key: str, commands: Sequence[Sequence[str]], limit_s: float) -> None:
        """Run commands of the devices file; raises InfrastructureError."""
        what = f"`{key}` of {self.name}"
        await run_device_commands(commands, what, limit_s=limit_s, said=self._said)

    def _hear(self, line: str) -> None:
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        self._heard(line)
        if self._left <= 0:
            size = _KEPT_CHARACTERS // 2**20
            self._said(f"the console has filled {size} MiB of log before its shell was there")
