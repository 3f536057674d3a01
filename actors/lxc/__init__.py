"""The LXC protocol: the actor that keeps a job's container, and the actions that ask it."""

from callboard.actors.lxc.messages import LxcMessage
from callboard.actors.lxc.protocol import Lxc

__all__ = ["Lxc", "LxcMessage"]
