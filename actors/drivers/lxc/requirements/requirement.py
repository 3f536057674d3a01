"""One thing that containers need of a machine, and the command that gets it."""

from attrs import frozen

from callboard.actors.drivers.lxc.requirements.machine import Machine


@frozen
class Requirement:
    """Something that a machine has or lacks.

    Attributes:
        name: What it is.
        met: Whether the machine has it.
        detail: What was found, or why containers want it.
        cure: The command that would mend it, None when nothing needs to be.
        needed: Whether no container runs without; else it is only better or faster with it.
    """

    name: str
    met: bool
    detail: str
    cure: str | None = None
    needed: bool = True


def install(machine: Machine, *packages: str) -> str:
    """The command that installs packages, by their names in Debian."""
    names = " ".join(packages)
    if machine.tool("apt-get"):
        return f"apt-get install --no-install-recommends {names}"
    return f"install {names} (Debian's names) with this machine's package manager"


def as_root(machine: Machine, command: str) -> str:
    """A command that only root may give, as it is written for whoever asks."""
    return command if machine.is_root else f"as root: {command}"
