"""The check before a group is run or rehearsed."""

from callboard.cli.output import Refusal
from callboard.flow.check import ASSUMPTION, Verdict


def refused(verdict: Verdict) -> Refusal:
    """The refusal of a group of which it is proved that it can't finish."""
    notes = [
        "callboard: the group can't finish, so nothing was started; --no-check runs it anyway",
        *(f"  {line}" for line in verdict.witness),
        f"  assumed: {ASSUMPTION}",
    ]
    return Refusal(*verdict.diagnostics, exit_code=4, notes=notes)
