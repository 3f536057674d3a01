"""Job definitions: YAML text to typed, validated parts that know their line numbers."""

from callboard.definition.codes import CODES, Code
from callboard.definition.devices import Device, DevicesFile, read_devices
from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.job import load, read, read_text
from callboard.definition.model import (
    Block,
    Call,
    Definition,
    Install,
    LxcContainer,
    NodeJob,
    PipelineAction,
    Place,
    Role,
    Step,
    TestDefinition,
    TestSource,
    Timeouts,
    VlanInterface,
)
from callboard.definition.pipeline import pipeline
from callboard.definition.split import split

__all__ = [
    "CODES",
    "Block",
    "Call",
    "Code",
    "Definition",
    "DefinitionError",
    "Device",
    "DevicesFile",
    "Diagnostic",
    "Install",
    "LxcContainer",
    "NodeJob",
    "PipelineAction",
    "Place",
    "Role",
    "Step",
    "TestDefinition",
    "TestSource",
    "Timeouts",
    "VlanInterface",
    "load",
    "pipeline",
    "read",
    "read_devices",
    "read_text",
    "split",
]
