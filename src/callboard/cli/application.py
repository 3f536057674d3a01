"""The command `callboard`: its verbs, and the way from what goes wrong to an exit code."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec

import click

from callboard.cli.configuration import defaults, paths
from callboard.cli.output import Color, Output, Refusal, refusal

P = ParamSpec("P")

_VERBS = {
    "run": "callboard.cli.run",
    "describe": "callboard.cli.describe",
    "report": "callboard.cli.report",
    "devices": "callboard.cli.devices",
    "completion": "callboard.cli.completion",
}
INTERRUPTED = 130


class _Application(click.Group):
    """Loads a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from importlib import import_module

        if cmd_name in _VERBS and cmd_name not in self.commands:
            self.add_command(import_module(_VERBS[cmd_name]).command)
        return super().get_command(ctx, cmd_name)

    def load(self) -> None:
        """Load every verb."""
        context = click.Context(self)
        for name in _VERBS:
            self.get_command(context, name)


@click.group(
    cls=_Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="callboard", message="%(prog)s %(version)s")
def application() -> None:
    """Run LAVA MultiNode job definitions on this machine: every node an actor."""


def verb(name: str) -> Callable[[Callable[P, int]], click.Command]:
    """Make a command of a function that returns an exit code, with the options all verbs have."""

    def make(function: Callable[P, int]) -> click.Command:
        command = click.command(name)(function)
        command.params += [
            click.Option(["--json"], is_flag=True, help="Print one JSON document, nothing else."),
            click.Option(["-q", "--quiet"], is_flag=True, help="Print results and errors only."),
            click.Option(["-v", "--verbose"], count=True, help="Say more; twice: tracebacks too."),
            click.Option(
                ["--color"],
                type=click.Choice(["auto", "always", "never"]),
                default="auto",
                show_default=True,
                help="When to use colours.",
            ),
        ]
        return command

    return make


def output(json: bool, quiet: bool, verbose: int, color: str) -> Output:
    """The output that the options of a verb ask for."""
    colors: dict[str, Color] = {"always": "always", "never": "never"}
    return Output(json, quiet, verbose, colors.get(color, "auto"))


def run(arguments: Sequence[str]) -> int:
    """Run the command line; whatever goes wrong becomes one message and an exit code."""
    said = _guess_output(arguments)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        return _unheard()
    except KeyboardInterrupt:
        said.note("interrupted")
        if said.json:
            said.document({"status": "canceled", "exit_code": INTERRUPTED, "diagnostics": []})
        return INTERRUPTED
    except Refusal as error:
        said.refuse(error)
        return error.exit_code
    except Exception as error:  # a fault of callboard, which must still be one clear message
        if said.verbosity > 1:
            raise
        text = f"this is a fault of callboard: {type(error).__name__}: {error}"
        said.refuse(refusal("CB109", text, "run it again with -vv for details", exit_code=3))
        return 3


def _dispatch(arguments: Sequence[str]) -> int:
    if "_CALLBOARD_COMPLETE" in os.environ:
        application.load()
        application.main(prog_name="callboard")
    try:
        files = _configuration()
        code = application.main(
            list(arguments), "callboard", standalone_mode=False, default_map=files
        )
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "callboard"
        message = error.format_message().rstrip(".")
        raise refusal("CB104", message[:1].lower() + message[1:], f"see {where} --help") from error
    except click.exceptions.Abort as error:
        raise KeyboardInterrupt from error


def _configuration() -> dict[str, dict[str, object]]:
    if not any(path.exists() for path in paths()):
        return {}
    application.load()
    return defaults(application)


def _guess_output(arguments: Sequence[str]) -> Output:
    """The output that is asked for, before the command line has been understood."""
    verbosity = sum(
        word.count("v") for word in arguments if word.startswith("-v") and set(word[1:]) == {"v"}
    )
    color = re.search(r"--color[= ](always|never)\b", " ".join(arguments))
    return output("--json" in arguments, False, verbosity, color[1] if color else "auto")


def _unheard() -> int:
    """Nobody reads standard output any more: end without a word, as others in a pipe do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13
