"""callboard runs LAVA MultiNode job definitions as an actor system.

    definition = callboard.load("group.yaml")
    result = await callboard.run(definition, "results")
    print(result.status)

Names are loaded when they are first used, so that importing a part does not import the whole.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callboard.cluster.errors import ClusterError
    from callboard.definition import load, read_devices
    from callboard.definition.devices import DevicesFile
    from callboard.definition.diagnostics import DefinitionError, Diagnostic
    from callboard.definition.model import Definition
    from callboard.elsewhere import attach, submit
    from callboard.flow.check import GroupRefused, Verdict, check
    from callboard.live import GroupResult, LiveGroup
    from callboard.running import Setup, open_group, run
    from callboard.simulation.simulate import SimulationResult, simulate

__all__ = [
    "ClusterError",
    "Definition",
    "DefinitionError",
    "DevicesFile",
    "Diagnostic",
    "GroupRefused",
    "GroupResult",
    "LiveGroup",
    "Setup",
    "SimulationResult",
    "Verdict",
    "attach",
    "check",
    "load",
    "open_group",
    "read_devices",
    "run",
    "simulate",
    "submit",
]

_HOMES = {
    "callboard.cluster.errors": ("ClusterError",),
    "callboard.elsewhere": ("attach", "submit"),
    "callboard.definition": ("load", "read_devices"),
    "callboard.definition.devices": ("DevicesFile",),
    "callboard.definition.diagnostics": ("DefinitionError", "Diagnostic"),
    "callboard.definition.model": ("Definition",),
    "callboard.flow.check": ("GroupRefused", "Verdict", "check"),
    "callboard.live": ("GroupResult", "LiveGroup"),
    "callboard.running": ("Setup", "open_group", "run"),
    "callboard.simulation.simulate": ("SimulationResult", "simulate"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name from the module that has it."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
