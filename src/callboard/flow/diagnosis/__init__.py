"""What is wrong with a group's flow: located, in the user's words, each cause once."""

from callboard.definition.diagnostics import Diagnostic, Severity
from callboard.definition.model import Definition
from callboard.definition.source import Source
from callboard.flow.diagnosis.circle import circles
from callboard.flow.diagnosis.doubt import doubts
from callboard.flow.diagnosis.finding import Finding, Stand, explained, merged, place
from callboard.flow.diagnosis.ledger import Ledger
from callboard.flow.diagnosis.limit import limits
from callboard.flow.diagnosis.meeting import meetings
from callboard.flow.diagnosis.mismatch import mismatches
from callboard.flow.diagnosis.need import unneeded
from callboard.flow.diagnosis.slip import slips
from callboard.flow.diagnosis.vlan import vlans
from callboard.flow.extraction import Extraction
from callboard.flow.proof import Proof


def diagnose(
    definition: Definition, extraction: Extraction, proof: Proof
) -> tuple[Diagnostic, ...]:
    """Say why calls never return, fail, or can't be told, sorted by place.

    An error is certain: the call never returns in any order, or fails by itself. Everything else
    is a warning. What follows from another finding is left out.
    """
    ledger = Ledger(extraction.programs)
    stuck = frozenset((each.role, each.call) for each in (*proof.witness, *proof.stuck))
    deadlocked = stuck if proof.outcome == "deadlocks" else frozenset[Stand]()
    found = [*slips(ledger), *limits(definition, ledger)]
    found += vlans(definition, ledger)
    if ledger.multinode:
        found += [*mismatches(ledger, stuck, explained(found)), *meetings(ledger, stuck)]
        doubtful = doubts(ledger, proof, explained(found))
        if not any(each.code == "CB179" for each in doubtful):
            found += circles(ledger, proof, found)
        found += [*doubtful, *unneeded(definition, ledger)]
    return tuple(
        _diagnostic(each, definition, extraction, _severity(each, deadlocked))
        for each in merged(found)
    )


def _severity(finding: Finding, deadlocked: frozenset[Stand]) -> Severity:
    return "error" if finding.fails or finding.explains & deadlocked else "warning"


def _diagnostic(
    finding: Finding, definition: Definition, extraction: Extraction, severity: Severity
) -> Diagnostic:
    roles = [role for role in finding.roles if role]
    role = roles[0] if len(roles) == 1 else None
    at = place(finding.where)
    source = extraction.sources.get(at.file)
    if source is not None and source.has(at, ""):
        offset = source.offset(at)
        return source.diagnostic(
            finding.code, severity, offset, finding.message, finding.hint, role
        )
    secrets = frozenset({*definition.secrets.values(), *definition.hidden})
    hide = Source(at.file, "", secrets=secrets).masked
    hint = None if finding.hint is None else hide(finding.hint)
    return Diagnostic(finding.code, severity, hide(finding.message), at, hint, role=role)
