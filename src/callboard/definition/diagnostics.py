"""What is wrong with a file: located, in the user's words, with the next step."""

from collections.abc import Iterable
from typing import Literal

from attrs import frozen

from callboard.definition.model import Place

Severity = Literal["error", "warning"]


@frozen
class Diagnostic:
    """One finding in a definition, devices file or on the command line.

    Attributes:
        code: Stable code, e.g. `CB012`; the catalogue is in `callboard.definition.codes`.
        message: One sentence, lower case, without a final stop.
        hint: The next step, None when the message says it all.
        place: Where; None for findings about the run as a whole.
        source: The line of the file at `place`, None when it can't or mustn't be shown.
        role: The role concerned, None when it concerns the whole group.
        caret: Column of `source`, from 1, that is meant; None for the place's own column. They
            differ where the line was shortened or has wide characters.
    """

    code: str
    severity: Severity
    message: str
    place: Place | None = None
    hint: str | None = None
    source: str | None = None
    role: str | None = None
    caret: int | None = None

    def __str__(self) -> str:
        """The diagnostic as text: `file:line:column: error[CB012]: message`, source, hint."""
        where = f"{self.place}: " if self.place else ""
        lines = [f"{where}{self.severity}[{self.code}]: {self.message}"]
        if self.source is not None and self.place is not None:
            number = str(self.place.line)
            caret = self.caret or self.place.column
            lines.append(f"  {number} | {self.source}")
            lines.append(f"  {' ' * len(number)} | {' ' * (caret - 1)}^")
        if self.hint is not None:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class DefinitionError(Exception):
    """A definition can't be used.

    Attributes:
        diagnostics: Everything found, errors and warnings, in the order of the file.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))
