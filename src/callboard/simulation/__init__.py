"""Rehearsals of groups in virtual time, and the files that go with them."""

from callboard.simulation.cast import Cast, cast_of
from callboard.simulation.distribution import Distribution
from callboard.simulation.faults import Fault, Faults
from callboard.simulation.model import Model
from callboard.simulation.reading import (
    read_faults,
    read_faults_text,
    read_model,
    read_model_text,
    read_scenario,
    read_scenario_text,
)
from callboard.simulation.scenario import Expectations, Scenario
from callboard.simulation.seeds import Seeds, SeedsError, parse_seeds
from callboard.simulation.validation import validate

__all__ = [
    "Cast",
    "Distribution",
    "Expectations",
    "Fault",
    "Faults",
    "Model",
    "Scenario",
    "Seeds",
    "SeedsError",
    "cast_of",
    "parse_seeds",
    "read_faults",
    "read_faults_text",
    "read_model",
    "read_model_text",
    "read_scenario",
    "read_scenario_text",
    "validate",
]
