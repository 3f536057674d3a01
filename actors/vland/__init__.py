"""The VLANd protocol: the actor that keeps the VLANs of a group, and one for each job in them."""

from callboard.actors.vland.messages import SwitchboardMessage, VlandMessage
from callboard.actors.vland.protocol import Vland
from callboard.actors.vland.switchboard import Switchboard

__all__ = ["Switchboard", "SwitchboardMessage", "Vland", "VlandMessage"]
