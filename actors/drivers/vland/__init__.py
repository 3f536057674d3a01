"""Switches that a VLANd daemon manages: its protocol, and what was changed through it."""

from callboard.actors.drivers.vland.recovery import recover
from callboard.actors.drivers.vland.switches import VlandSwitches, open_vland

__all__ = ["VlandSwitches", "open_vland", "recover"]
