"""Runs the commands that a devices file has for a device, on this machine."""

from collections.abc import Sequence

from callboard.actors.drivers.tool import Said, run_tool
from callboard.actors.errors import InfrastructureError


async def run_device_commands(
    commands: Sequence[Sequence[str]], what: str, *, limit_s: float, said: Said
) -> None:
    """Run commands one after the other.

    Args:
        commands: They.
        what: What they are, in a message; their arguments are not shown, for they may be secret.
        limit_s: How long each may take, in seconds.
        said: Is given each line that they print, as it comes.

    Raises:
        InfrastructureError: One has failed; those after it are not run.
    """
    for command in commands:
        try:
            ran = await run_tool(command, limit_s=limit_s, said=said)
        except OSError as error:
            raise InfrastructureError(f"{what} failed: {error}") from error
        if ran.status != 0:
            last = (ran.errors.strip() or ran.output.strip()).splitlines()[-1:]
            why = f": {last[0][:200]}" if last else ""
            text = f"{what} failed: `{command[0]}` ended with status {ran.status}{why}"
            raise InfrastructureError(text)
