"""The check of a definition before anything runs: what `callboard check` and `run` ask for."""

from attrs import field, frozen

from callboard.definition.diagnostics import DefinitionError, Diagnostic
from callboard.definition.model import Definition
from callboard.definition.source import Source
from callboard.flow.diagnosis import diagnose
from callboard.flow.extraction import Extraction, extract
from callboard.flow.proof import Outcome, Proof, Semantics, Stuck, prove

ASSUMPTION = "every job boots, ordinary commands succeed and end in time, and waits have no limit"
"""What a verdict takes for granted; it is printed with each."""


@frozen
class Verdict:
    """What is known of a group before it runs.

    Attributes:
        outcome: `completes`, `deadlocks` or `unknown`.
        diagnostics: Everything found, sorted by place; none of them makes the definition invalid.
        semantics: The reading of the protocol that it holds for.
        proof: The proof.
        extraction: What the roles do.
        witness: Who waits where for what, a line for each of the fewest calls that explain it.
        doubts: The places because of which the outcome is unknown, a line for each.
    """

    outcome: Outcome
    diagnostics: tuple[Diagnostic, ...]
    semantics: Semantics
    proof: Proof = field(repr=False)
    extraction: Extraction = field(repr=False)
    witness: tuple[str, ...]
    doubts: tuple[str, ...]

    @property
    def completes(self) -> bool:
        """Whether every call of every role is proved to return."""
        return self.outcome == "completes"


class GroupRefused(DefinitionError):
    """A group can't finish, so it is not run.

    Attributes:
        verdict: Why.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.diagnostics)
        self.verdict = verdict


def check(definition: Definition, semantics: Semantics = "documented") -> Verdict:
    """Prove that every call of a group returns, or show those that never do.

    Nothing is fetched: a test definition that lies elsewhere, and has not been fetched, makes the
    outcome unknown.

    Args:
        definition: A valid definition.
        semantics: What LAVA documents, or what its coordinator does.
    """
    extraction = extract(definition)
    proof = prove(extraction.programs, semantics)
    found = diagnose(definition, extraction, proof)
    secrets = frozenset({*definition.secrets.values(), *definition.hidden})
    hide = Source(definition.file, "", secrets=secrets).masked
    witness = tuple(hide(_told(each)) for each in proof.witness)
    doubts = tuple(hide(each.text) for each in proof.doubts)
    return Verdict(proof.outcome, found, semantics, proof, extraction, witness, doubts)


def _told(stuck: Stuck) -> str:
    where = stuck.call.where
    place = f"{where.file}:{where.line}:{where.column}"
    return f"{stuck.role or 'the job'} waits in `{stuck.call.shown}` ({place}): {stuck.reason}"
