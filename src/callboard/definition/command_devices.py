"""Reads a device of the driver `command`: one whose console is what a command gives."""

from attrs import field, frozen

from callboard.definition.commands import Command, read_command, read_commands
from callboard.definition.login import check_patterns, read_login
from callboard.definition.model import AutoLogin
from callboard.definition.reader import Section


@frozen
class CommandDevice:
    """How a device of the driver `command` is reached and powered.

    Attributes:
        connection_command: Runs as long as the console is used; what it prints is the console's
            output, what it reads is typed on it.
        power_on: Gives the device power.
        power_off: Takes it away.
        hard_reset: Starts the device anew, whatever it does.
        prompts: Of its shell, where a boot block gives none; regular expressions.
        boot_message: What the console shows when the device begins to start, a regular
            expression; None where that is not waited for.
        login: How to log in where a boot block doesn't say.
    """

    connection_command: Command
    power_on: tuple[Command, ...] = ()
    power_off: tuple[Command, ...] = ()
    hard_reset: tuple[Command, ...] = ()
    prompts: tuple[str, ...] = ()
    boot_message: str | None = None
    login: AutoLogin | None = field(default=None, repr=False)


def read_command_device(section: Section) -> CommandDevice:
    """The keys of the driver; what is wrong with them is found."""
    device = CommandDevice(
        connection_command=read_command(section, "connection_command"),
        power_on=read_commands(section, "power_on"),
        power_off=read_commands(section, "power_off"),
        hard_reset=read_commands(section, "hard_reset"),
        prompts=section.strings("prompts", one=True),
        boot_message=section.string("boot_message"),
        login=read_login(section, required=False),
    )
    check_patterns(section, "prompts", "boot_message")
    return device
