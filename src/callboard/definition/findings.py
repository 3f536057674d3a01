"""What was found wrong in one file so far."""

from attrs import define, field

from callboard.definition.diagnostics import Diagnostic, Severity
from callboard.definition.source import Source
from callboard.definition.tree import Node

FINDINGS_LIMIT = 200
"""Findings kept for one file; a file with more is most likely not what was meant."""


@define
class _Finding:
    offset: int
    code: str
    severity: Severity
    message: str
    hint: str | None
    role: str | None


@define
class Findings:
    """Collects findings while a file is read, so that all of them are shown at once."""

    source: Source
    _found: list[_Finding] = field(factory=list[_Finding], init=False)
    _left_out: int = field(default=0, init=False)
    _errors: int = field(default=0, init=False)

    @property
    def full(self) -> bool:
        """Whether further findings are only counted."""
        return len(self._found) >= FINDINGS_LIMIT

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return self._errors

    def has(self, code: str) -> bool:
        """Whether a problem of this kind has been found."""
        return any(finding.code == code for finding in self._found)

    def error(
        self,
        code: str,
        at: Node | int,
        message: str,
        hint: str | None = None,
        role: str | None = None,
    ) -> None:
        """Adds something that makes the definition unusable."""
        self._errors += 1
        self._add(code, "error", at, message, hint, role)

    def warning(
        self,
        code: str,
        at: Node | int,
        message: str,
        hint: str | None = None,
        role: str | None = None,
    ) -> None:
        """Adds something that is most likely a slip, or that only LAVA's strict schema refuses."""
        self._add(code, "warning", at, message, hint, role)

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order of the file."""
        shown = [
            self.source.diagnostic(
                finding.code,
                finding.severity,
                finding.offset,
                finding.message,
                finding.hint,
                finding.role,
            )
            for finding in sorted(self._found, key=lambda finding: finding.offset)
        ]
        if self._left_out:
            message = f"{self._left_out:,} more problems are not shown"
            severity: Severity = "error" if self._errors else "warning"
            shown.append(Diagnostic("CB015", severity, message, shown[-1].place))
        return tuple(shown)

    def _add(
        self,
        code: str,
        severity: Severity,
        at: Node | int,
        message: str,
        hint: str | None,
        role: str | None,
    ) -> None:
        offset = at if isinstance(at, int) else at.offset
        finding = _Finding(offset, code, severity, message, hint, role)
        if not self.full:
            self._found.append(finding)
        elif finding.severity == "error" and self._found[-1].severity == "warning":
            # An error is never lost to a flood of warnings.
            self._found[-1] = finding
            self._left_out += 1
        else:
            self._left_out += 1
