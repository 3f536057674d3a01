"""What a machine must have for containers, what is missing, and what would mend it."""

from callboard.actors.drivers.lxc.requirements.checks import TOOLS, missing, requirements
from callboard.actors.drivers.lxc.requirements.machine import Machine
from callboard.actors.drivers.lxc.requirements.network import network
from callboard.actors.drivers.lxc.requirements.requirement import Requirement, as_root, install

__all__ = [
    "TOOLS",
    "Machine",
    "Requirement",
    "as_root",
    "install",
    "missing",
    "network",
    "requirements",
]
