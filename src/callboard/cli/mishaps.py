"""Reads what is to befall the links of a real run."""

from callboard.cli.output import Refusal
from callboard.definition import Definition
from callboard.simulation import read_faults
from callboard.simulation.mishaps import LinkMishaps, unfit


def mishaps(path: str, found: Definition) -> LinkMishaps:
    """The faults in a file, for the links of a real run.

    Raises:
        Refusal: They can't be used, or happen in rehearsals alone.
    """
    faults, diagnostics = read_faults(path)
    if faults is None:
        raise Refusal(*diagnostics)
    if errors := unfit(faults, found):
        raise Refusal(*errors)
    return LinkMishaps(faults)
