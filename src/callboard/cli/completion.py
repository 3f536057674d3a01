"""`callboard completion`: the script that lets a shell complete callboard's command line."""

import click
from click.shell_completion import get_completion_class

from callboard.cli.application import application, output, verb

_INSTALL = {
    "bash": 'eval "$(callboard completion bash)"',
    "zsh": 'eval "$(callboard completion zsh)"',
    "fish": "callboard completion fish | source",
}


@verb("completion")
@click.argument("shell", type=click.Choice(list(_INSTALL)))
def command(shell: str, json: bool, quiet: bool, verbose: int, color: str) -> int:
    r"""Print the completion script of SHELL.

    Put one of these into the start file of your shell:

    \b
        eval "$(callboard completion bash)"      # ~/.bashrc
        eval "$(callboard completion zsh)"       # ~/.zshrc
        callboard completion fish | source       # ~/.config/fish/config.fish
    """
    said = output(json, quiet, verbose, color)
    completion = get_completion_class(shell)
    assert completion is not None, "click knows every shell that is offered"
    script = completion(application, {}, "callboard", "_CALLBOARD_COMPLETE").source()
    if said.json:
        said.document({"shell": shell, "script": script})
    else:
        click.echo(script)
    return 0
