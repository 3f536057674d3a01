"""The driver `command`: a device whose console is what a command gives."""

from callboard.actors.drivers.commanded.node import CommandNode

__all__ = ["CommandNode"]
