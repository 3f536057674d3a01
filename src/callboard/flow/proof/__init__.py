"""Whether a group gets past every synchronisation call, whatever the order of its nodes."""

from callboard.flow.program import Program
from callboard.flow.proof.documented import decide
from callboard.flow.proof.evidence import (
    Doubt,
    Missing,
    Outcome,
    Part,
    Passage,
    Proof,
    Run,
    Semantics,
    Stuck,
)
from callboard.flow.proof.lava import explore

__all__ = [
    "Doubt",
    "Missing",
    "Outcome",
    "Part",
    "Passage",
    "Proof",
    "Run",
    "Semantics",
    "Stuck",
    "prove",
]


def prove(programs: tuple[Program, ...], semantics: Semantics = "documented") -> Proof:
    """Prove that a group finishes, or find where it gets stuck.

    It is taken for granted that every job boots, that ordinary commands succeed and end, and
    that no wait has a limit.

    Args:
        programs: One a role, in the order of the definition; those without nodes do nothing.
        semantics: What LAVA documents, or what its coordinator does.
    """
    present = tuple(program for program in programs if program.count > 0)
    if not present:
        return Proof("completes", Run((), ()))
    return explore(present) if semantics == "lava" else decide(present)
