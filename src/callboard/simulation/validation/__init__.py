"""Compares models, faults and scenarios with the group that they are for."""

from typing import assert_never

from callboard.definition.diagnostics import Diagnostic
from callboard.simulation.cast import Cast
from callboard.simulation.faults import Faults
from callboard.simulation.model import Model
from callboard.simulation.scenario import Scenario
from callboard.simulation.validation.faults import validate_faults
from callboard.simulation.validation.model import validate_model
from callboard.simulation.validation.scenario import validate_scenario


def validate(found: Model | Faults | Scenario, cast: Cast) -> tuple[Diagnostic, ...]:
    """What is wrong with a file of a rehearsal, given the group that it is for.

    Args:
        found: What was read; a scenario with all that it names.
        cast: The group (`callboard.simulation.cast`), of the size that is rehearsed.
    """
    match found:
        case Model():
            return validate_model(found, cast)
        case Faults():
            return validate_faults(found, cast)
        case Scenario():
            return validate_scenario(found, cast)
        case _:
            assert_never(found)
