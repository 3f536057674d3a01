"""Talks to a console: waits for what it shows, logs in, and takes over the shell."""

import re
import secrets
from collections.abc import Sequence

import anyio
from attrs import frozen

from callboard.actors.drivers.commanded.line import Line
from callboard.actors.drivers.commanded.matcher import Found, Pattern, pattern
from callboard.actors.drivers.local import COMMAND_LOOP
from callboard.actors.errors import InfrastructureError, JobError
from callboard.definition.model import AutoLogin

_NUDGE_S = 2.0
_PANIC = pattern(r"Kernel panic - not syncing[^\n]*\n")
_REFUSED = pattern(r"Login incorrect|Login timed out|Authentication failure")


class ConsoleEnded(InfrastructureError):
    """The command that gives the console has ended; reports call it InfrastructureError."""

    @classmethod
    def kind(cls) -> str:
        """LAVA has no word of its own for it."""
        return InfrastructureError.kind()


@frozen
class Boot:
    """What stands between a device that starts and its shell.

    Attributes:
        prompts: The shell's, regular expressions; at least one.
        message: What the console shows when the system begins to start; None is not waited for.
        login: How to log in, None where the shell is there by itself.
        starting: Whether the device is known to start now. Else its console may be silent,
            for it waits at a prompt already.
    """

    prompts: Sequence[str]
    message: str | None
    login: AutoLogin | None
    starting: bool


class Dialog:
    """Waits for a line to show what it should.

    Args:
        line: The line; it is watched.
        limit_s: How long each wait may take, in seconds.
    """

    def __init__(self, line: Line, limit_s: float) -> None:
        self._line = line
        self._limit_s = limit_s

    async def boot(self, boot: Boot) -> None:
        """Come to a prompt.

        Raises:
            JobError: The system doesn't start, or lets nobody in.
            ConsoleEnded: It has.
        """
        if boot.message is not None:
            await self._booting("the boot message", (boot.message,), nudged=False)
        prompts = tuple(boot.prompts)
        login, nudged = boot.login, not boot.starting
        if login is None:
            await self._booting("a prompt", prompts, nudged=nudged)
            return
        # Where somebody has logged in before, there is a prompt instead.
        further = prompts if nudged else ()
        found = await self._booting(
            "the login prompt", (login.login_prompt, *further), nudged=nudged
        )
        if found.index == 0:
            await self._log_in(login, prompts)
        for command in login.login_commands:
            self.type(command)
            await self._refusing(f"a prompt after `{command[:60]}`", prompts)

    async def take_over(self) -> None:
        """Make the shell at the prompt one that reads commands, echoes nothing and has no prompt.

        Raises:
            JobError: What answers is no shell.
            ConsoleEnded: It has.
        """
        word = secrets.token_hex(4)
        self.type(
            "unset HISTFILE; "  # the device's own history is none of the job's
            "stty sane -echo -onlcr 2>/dev/null || stty -echo 2>/dev/null; "
            f'exec /bin/sh -c \'echo "<callboard-""{word}>"; {COMMAND_LOOP}\''
        )
        await self.wait("an answer of the shell at the prompt", (pattern(f"<callboard-{word}>\n"),))

    async def run(self, command: str) -> tuple[int, str]:
        """Run a command in the shell that was taken over; returns its status and output.

        Raises:
            JobError: It doesn't end.
            ConsoleEnded: It has.
        """
        word = self.begin(command)
        return await self.result(word)

    def begin(self, command: str) -> str:
        """Begin to run a command; `result` waits for it, by the word that is returned."""
        word = secrets.token_hex(4)
        self.type(f'{command}; echo "<callboard-{word} $?>"')
        return word

    async def result(self, word: str) -> tuple[int, str]:
        """The status and the output of a command that was begun; raises as `run` does."""
        found = await self.wait("the end of a command", (pattern(rf"<callboard-{word} (\d+)>"),))
        return int(found.match[1]), found.before

    def type(self, line: str) -> None:
        """Type a line."""
        self._line.send(f"{line}\n".encode())

    async def wait(self, what: str, patterns: Sequence[Pattern], *, nudged: bool = False) -> Found:
        """Wait until one of the patterns is found.

        Args:
            what: What is waited for, in a message.
            patterns: What it looks like.
            nudged: Type a line feed whenever the console is silent.

        Raises:
            JobError: It doesn't come in time.
            ConsoleEnded: It has.
        """
        line = self._line
        with anyio.move_on_after(self._limit_s):
            while (found := line.matcher.find(patterns)) is None:
                if line.ended:
                    raise ConsoleEnded(f"the console ended before {what} came{line.tail()}")
                with anyio.move_on_after(_NUDGE_S if nudged else None) as silence:
                    await line.news()
                if silence.cancelled_caught:
                    line.send(b"\n")
            return found
        raise JobError(f"{what} did not come within {self._limit_s:g} s{line.tail()}")

    async def _booting(self, what: str, wanted: Sequence[str], *, nudged: bool) -> Found:
        patterns = (*_compiled(wanted), _PANIC)
        found = await self.wait(f"{what} ({_quoted(wanted)})", patterns, nudged=nudged)
        if found.index == len(wanted):
            raise JobError(f"the kernel panicked before {what} came{self._line.tail()}")
        return found

    async def _log_in(self, login: AutoLogin, prompts: Sequence[str]) -> None:
        self.type(login.username)
        if login.password is not None and login.password_prompt is not None:
            await self._refusing("the password prompt", (login.password_prompt,))
            self.type(login.password)
        await self._refusing("a prompt after the login", prompts)

    async def _refusing(self, what: str, wanted: Sequence[str]) -> None:
        patterns = (*_compiled(wanted), _REFUSED, _PANIC)
        found = await self.wait(f"{what} ({_quoted(wanted)})", patterns)
        if found.index == len(wanted):
            raise JobError(f"the device refused the login{self._line.tail()}")
        if found.index > len(wanted):
            raise JobError(f"the kernel panicked before {what} came{self._line.tail()}")


def _compiled(written: Sequence[str]) -> tuple[Pattern, ...]:
    try:
        return tuple(pattern(each) for each in written)
    except re.error as error:
        raise JobError(f"{_quoted(written)} is no regular expression: {error}") from error


def _quoted(written: Sequence[str]) -> str:
    return " or ".join(f"`{each[:60]}`" for each in written)
