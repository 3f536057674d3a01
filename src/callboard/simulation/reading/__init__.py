"""Readers of models, faults and scenarios: YAML to the classes beside, or what is wrong with it."""

from callboard.simulation.reading.faults import read_faults, read_faults_text
from callboard.simulation.reading.model import read_model, read_model_text
from callboard.simulation.reading.scenario import read_scenario, read_scenario_text

__all__ = [
    "read_faults",
    "read_faults_text",
    "read_model",
    "read_model_text",
    "read_scenario",
    "read_scenario_text",
]
