"""The command `callboard`: its verbs, and the way from what goes wrong to an exit code."""

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import click
from attrs import define

from callboard.cli.configuration import defaults, paths
from callboard.cli.output import Color, Output, Refusal, refusal
from callboard.cli.streams import abandon_output, accept_signals

P = ParamSpec("P")
C = TypeVar("C", bound=click.Command)

_VERBS = {
    "run": "Run the group that a definition describes, to its end.",
    "check": "Prove that a group finishes, or show which calls never return.",
    "simulate": "Rehearse a group in virtual time: seeds, faults, any number of nodes.",
    "describe": "Show the jobs that a definition splits into, and what each would do.",
    "flow": "Draw who calls what in which order, and who waits for whom.",
    "report": "Derive all reports in a run directory again, from its event log.",
    "devices": "List the devices of the devices file: what runs, and what is busy.",
    "submit": "Hand a group to a cluster, and print its id.",
    "list": "List the groups of a cluster.",
    "attach": "Show a group of a cluster, to its end.",
    "logs": "Print what happened in a group of a cluster.",
    "cancel": "End a group of a cluster.",
    "lxc": "List the containers that callboard has made; remove those whose job is dead.",
    "doctor": "Say what this machine can do, and what would mend what it can't.",
    "worker": "Offer this machine's devices to a cluster of machines, and lead groups.",
    "cluster": "Run a NATS server to try a cluster, set one up, or print a configuration.",
    "coordinator": "Serve LAVA's dispatchers as their coordinator, or show its groups.",
    "schema": "Print the JSON Schema of a kind of file, for editors.",
    "completion": "Print the completion script of a shell.",
}
"""What each verb does, for the list of them: it is printed without loading them."""

INTERRUPTED = 130
_NO_READER = 128 + 13
"""What a shell says of a program that SIGPIPE has ended."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Application(click.Group):
    """Loads a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        from importlib import import_module

        if cmd_name in _VERBS and cmd_name not in self.commands:
            self.add_command(import_module(f"callboard.cli.{cmd_name}").command)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

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
    """Run LAVA MultiNode job definitions, on this machine or on many: every node an actor."""


def verb(name: str) -> Callable[[Callable[P, int]], click.Command]:
    """Make a command of a function that returns an exit code, with the options all verbs have."""
    return _make(name, click.Command)


def verb_with_verbs(name: str) -> Callable[[Callable[P, int]], click.Group]:
    """The same of one that has commands of its own, too; they come after its options."""
    return _make(name, click.Group, invoke_without_command=True)


def _make(name: str, kind: type[C], **attributes: object) -> Callable[[Callable[P, int]], C]:
    def make(function: Callable[P, int]) -> C:
        command = click.command(name, cls=kind, **attributes)(function)
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
    """The output that the options of a verb ask for; errors go there from now on."""
    colors: dict[str, Color] = {"always": "always", "never": "never"}
    said = Output(json, quiet, verbose, colors.get(color, "auto"))
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(context.obj, _Voice):
        context.obj.said = said
    return said


@define
class _Voice:
    """How errors are said: as the options ask for, as soon as these are known."""

    said: Output


def run(arguments: Sequence[str]) -> int:
    """Run the command line; whatever goes wrong becomes one message and an exit code."""
    voice = _Voice(_guess_output(arguments))
    try:
        accept_signals()
        return _dispatch(arguments, voice)
    except BrokenPipeError:
        abandon_output()
        return _NO_READER
    except KeyboardInterrupt:
        return _interrupted(voice.said)
    except Refusal as error:
        return _refused(voice.said, error)
    except Exception as error:  # a fault of callboard, which must still be one clear message
        if isinstance(error, OSError) and error.errno in _FULL:
            text = f"the output can't be written: {error.strerror}"
            return _refused(voice.said, refusal("CB105", text, exit_code=3))
        if voice.said.verbosity > 1:
            _print_traceback()
        text = f"this is a fault of callboard: {type(error).__name__}: {error}"
        hint = "run it again with -vv for details"
        return _refused(voice.said, refusal("CB109", text, hint, exit_code=3))


def _dispatch(arguments: Sequence[str], voice: _Voice) -> int:
    if "_CALLBOARD_COMPLETE" in os.environ:
        application.load()
        application.main(prog_name="callboard")
    try:
        code = _invoked(arguments, voice)
        sys.stdout.flush()
        return code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        if error.ctx is not None and (error.ctx.default_map or {}).get("json"):
            voice.said = Output(json=True)
        where = error.ctx.command_path if error.ctx else "callboard"
        message = error.format_message().rstrip(".")
        raise refusal("CB104", message[:1].lower() + message[1:], f"see {where} --help") from error


def _invoked(arguments: Sequence[str], voice: _Voice) -> int:
    """What a verb returns; click's own `main` would end the process where a reader has gone."""
    files = _configuration()
    try:
        with application.make_context(
            "callboard", list(arguments), default_map=files, obj=voice
        ) as context:
            code = application.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    return code if isinstance(code, int) else 0


def _configuration() -> dict[str, dict[str, object]]:
    if not any(os.path.exists(path) for path in paths()):  # noqa: PTH110 - false if forbidden
        return {}
    application.load()
    return defaults(application)


def _interrupted(said: Output) -> int:
    said.note("\ninterrupted" if said.log.is_terminal else "interrupted")  # after its ^C
    if said.json:
        said.document({"status": "canceled", "exit_code": INTERRUPTED, "diagnostics": []})
    return INTERRUPTED


def _refused(said: Output, error: Refusal) -> int:
    try:
        said.refuse(error)
    except OSError:  # what it says can't be written either
        abandon_output()
    return error.exit_code


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()


def _guess_output(arguments: Sequence[str]) -> Output:
    """The output that is asked for, before the command line has been understood."""
    verbosity = sum(
        word.count("v") for word in arguments if word.startswith("-v") and set(word[1:]) == {"v"}
    )
    color = re.search(r"--color[= ](always|never)\b", " ".join(arguments))
    return output("--json" in arguments, False, verbosity, color[1] if color else "auto")
