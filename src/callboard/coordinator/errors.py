"""What goes wrong with a coordinator as a whole, in the user's words."""

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Place


class CoordinatorError(Exception):
    """The coordinator can't be run, or not like this.

    Attributes:
        code: Of the diagnostic, see `callboard check --explain`.
        text: What is wrong.
        cure: What would mend it, None where nobody can say.
        place: The line of a file where it is wrong, None where there is none.
    """

    def __init__(
        self, code: str, text: str, cure: str | None = None, place: Place | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cure = cure
        self.place = place

    @property
    def diagnostic(self) -> Diagnostic:
        """The same, for whoever reads it."""
        return Diagnostic(self.code, "error", self.text, place=self.place, hint=self.cure)


class SettingError(CoordinatorError):
    """A setting can't have this value.

    Attributes:
        setting: Its name, as the command line has it without the dashes.
    """

    def __init__(self, setting: str, text: str, cure: str | None = None) -> None:
        super().__init__("CB290", text, cure)
        self.setting = setting


class AddressError(CoordinatorError):
    """The coordinator can't listen where it should."""

    def __init__(self, text: str, cure: str | None = None) -> None:
        super().__init__("CB292", text, cure)


class NotRunning(CoordinatorError):
    """No coordinator answers where its state is asked for."""

    def __init__(self, text: str, cure: str | None = None) -> None:
        super().__init__("CB293", text, cure)


class StateError(CoordinatorError):
    """What is kept of the groups can't be used; nothing of it has been changed."""

    def __init__(self, text: str, cure: str | None = None) -> None:
        super().__init__("CB294", text, cure)
