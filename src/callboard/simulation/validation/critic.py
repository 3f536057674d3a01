"""Says what is wrong with a rule, in terms of the group that it speaks of."""

from collections.abc import Iterable, Mapping

from attrs import frozen

from callboard.definition.findings import Findings
from callboard.definition.model import Place
from callboard.definition.reader import did_you_mean, listed
from callboard.definition.source import Source
from callboard.simulation.cast import Cast


@frozen
class Critic:
    """Compares the rules of one file with a group.

    Attributes:
        cast: The group.
        findings: Where problems go.
    """

    cast: Cast
    findings: Findings

    @classmethod
    def of(cls, source: Source | None, cast: Cast) -> "Critic":
        """A critic of a file, or of rules that were made by a program and stand in none."""
        file, text = (source.file, source.text) if source else ("<rules>", "")
        # What a hint quotes from the definition may be secret.
        return cls(cast, Findings(Source(file, text, secrets=cast.secrets)))

    def error(self, code: str, at: Place, message: str, hint: str | None = None) -> None:
        """Adds an error."""
        self.findings.error(code, self._offset(at), message, hint)

    def warning(self, code: str, at: Place, message: str, hint: str | None = None) -> None:
        """Adds a warning."""
        self.findings.warning(code, self._offset(at), message, hint)

    def knows(
        self, role: str | None, at: Place, what: str, instead: str = "leave the role out"
    ) -> bool:
        """Whether the group has a role; says so if not.

        Args:
            role: The role, None for every role.
            at: Where it is named.
            what: What names it, in the user's words.
            instead: What to write in a job without roles.
        """
        if role is None or self.cast.part(role) is not None:
            return True
        roles = self.cast.roles
        if not roles:
            message = f"{what} names the role `{role[:60]}`, but the job has no roles"
            hint = instead
        elif not role:
            message, hint = f"{what} names no role", f"the roles are {listed(roles)}"
        else:
            message = f"{what} names the role `{role[:60]}`, which the group doesn't have"
            hint = self.suggestion(role, roles) or f"the roles are {listed(roles)}"
        self.error("CB210", at, message, hint)
        return False

    def suggestion(
        self, text: str, there: Iterable[str], elsewhere: Iterable[str] = ()
    ) -> str | None:
        """A hint with the name that was meant, or the roles that have what is named.

        Args:
            text: What is named.
            there: What there is where it was sought.
            elsewhere: Other roles that have it.
        """
        roles = tuple(elsewhere)
        if roles:
            one = len(roles) == 1
            return f"the role {listed(roles)} has it" if one else f"{listed(roles)} have it"
        # Comparing names takes a while, and nobody would see the hint.
        return None if self.findings.full else did_you_mean(text, dict.fromkeys(there))

    def _offset(self, place: Place) -> int:
        source = self.findings.source
        return source.offset(place) if source.text else 0


def at(places: Mapping[str, Place], key: str, otherwise: Place) -> Place:
    """Where the value of a key stands."""
    return places.get(key, otherwise)


def shown(text: str) -> str:
    """A name or command in a message."""
    line = text.split("\n", 1)[0]
    return f"`{text}`" if line == text and len(text) <= 60 else f"`{line[:59]}…`"
