"""Why something can't be fetched.

SourceError        one source; becomes a diagnostic at its place in the definition
SourcesFailed      all that went wrong, when everything else has been fetched or given up
"""

from callboard.definition.diagnostics import DefinitionError

REFUSED = "CB111"
UNREACHABLE = "CB112"
MISSING = "CB113"
BAD_ARCHIVE = "CB114"
BAD_CHECKSUM = "CB115"
UNWRITABLE = "CB116"


class SourceError(Exception):
    """A source can't be had.

    Args:
        code: The kind of problem, one of this module's.
        message: What happened, in one sentence.
        hint: The next step.

    Servers and archives have a say in both, so that what a terminal would obey is written out.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        self.code = code
        self.message = _printable(message)
        self.hint = None if hint is None else _printable(hint)
        super().__init__(self.message)

    @property
    def unreachable(self) -> bool:
        """Whether the network is to blame, and not the definition."""
        return self.code == UNREACHABLE


def _printable(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


class SourcesFailed(DefinitionError):
    """Some sources of a definition can't be had.

    Args:
        diagnostics: One for each, in the order of the definition.
    """

    @property
    def unreachable(self) -> bool:
        """Whether the network is to blame for all of it, and not the definition."""
        return all(each.code == UNREACHABLE for each in self.diagnostics)
