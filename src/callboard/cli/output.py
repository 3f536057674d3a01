"""Where a verb's text and JSON go, and how errors reach the user."""

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from attrs import define

from callboard.definition.diagnostics import Diagnostic

if TYPE_CHECKING:
    from rich.console import Console

    from callboard.cli.listing import Listing

Color = Literal["auto", "always", "never"]
_STATUSES = {3: "failed", 4: "refused", 130: "canceled"}
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

_NO_LIMIT = 10_000
"""Characters of a line that nobody has to see at once."""


def plain(text: str) -> str:
    """Text of a device or a definition, without what a terminal would act on."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


class Refusal(Exception):
    """A verb can't do what it was asked for.

    Args:
        diagnostics: Why; at least one is an error.
        exit_code: 2 when the input is wrong, 3 when something broke on the way, 4 when the group
            can't finish, 130 when it was cancelled first.
        notes: Lines of text that explain it, after the diagnostics.
    """

    def __init__(
        self, *diagnostics: Diagnostic, exit_code: int = 2, notes: Sequence[str] = ()
    ) -> None:
        super().__init__("; ".join(each.message for each in diagnostics))
        self.diagnostics = diagnostics
        self.exit_code = exit_code
        self.notes = notes


def refusal(code: str, message: str, hint: str | None = None, *, exit_code: int = 2) -> Refusal:
    """A refusal for one reason that has no place in a file."""
    return Refusal(Diagnostic(code, "error", message, hint=hint), exit_code=exit_code)


@define(slots=False)
class Output:
    """How much is said, and in which form.

    Attributes:
        json: One JSON document on standard output, and nothing else there.
        quiet: Nothing but results and errors.
        verbosity: How many `-v` there were.
        color: When to use colours; `auto` looks at the terminal and at `NO_COLOR`.
    """

    json: bool = False
    quiet: bool = False
    verbosity: int = 0
    color: Color = "auto"

    @cached_property
    def console(self) -> "Console":
        """Standard output."""
        return self._console(stderr=False)

    @cached_property
    def log(self) -> "Console":
        """Standard error."""
        return self._console(stderr=True)

    def document(self, document: Mapping[str, object]) -> None:
        """Print the one JSON document."""
        # Escapes are JSON's own where the stream can't hold a character.
        ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=ascii_only) + "\n")
        sys.stdout.flush()

    def refuse(self, refusal: Refusal) -> None:
        """Say why nothing is done: in text, and with `json` as the document."""
        self.diagnostics(refusal.diagnostics)
        if len(refusal.diagnostics) > 1:
            self.note(f"callboard: {_counts(refusal.diagnostics)}")
        for line in refusal.notes:
            self.note(line)
        if self.json:
            self.document(
                {
                    "status": _STATUSES.get(refusal.exit_code, "invalid"),
                    "exit_code": refusal.exit_code,
                    "diagnostics": [as_json(each) for each in refusal.diagnostics],
                }
            )

    def listing(self, listing: "Listing") -> None:
        """Print rows; who isn't a terminal gets each row on a line of its own."""
        console = self.console
        if not console.is_terminal:
            console = self._console(stderr=False)
            console.width = _NO_LIMIT
        console.print(listing)

    def text(self, text: str) -> None:
        """Print a document that is not JSON as it is."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def diagnostics(self, diagnostics: Iterable[Diagnostic], *, results: bool = False) -> None:
        """Print findings on standard error, or on standard output where they are the results."""
        console = self.console if results else self.log
        for each in diagnostics:
            console.print(_text(each), soft_wrap=True, highlight=False, markup=False)

    def note(self, text: str, style: str | None = None) -> None:
        """Print a line on standard error, if somebody is there to read it."""
        with suppress(OSError):
            self.log.print(plain(text), style=style, soft_wrap=True, highlight=False, markup=False)

    def _console(self, *, stderr: bool) -> "Console":
        from rich.console import Console

        class Pipe(Console):
            """A console whose reader may leave: the caller decides what that means."""

            def on_broken_pipe(self) -> None:
                """Called while the exception is being handled; rich would end the program."""
                raise  # noqa: PLE0704 - see above

        # Whoever sets NO_COLOR to nothing has not set it (no-color.org).
        unstyled = self.color == "never" or (
            self.color == "auto" and bool(os.environ.get("NO_COLOR"))
        )
        return Pipe(
            stderr=stderr,
            force_terminal=True if self.color == "always" else None,
            color_system=None if unstyled else "auto",
            no_color=unstyled,
            highlight=False,
        )


def _counts(diagnostics: Sequence[Diagnostic]) -> str:
    numbers = Counter(each.severity for each in diagnostics)
    parts = [(numbers[severity], severity) for severity in ("error", "warning")]
    return ", ".join(f"{n} {noun}" if n == 1 else f"{n} {noun}s" for n, noun in parts if n)


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """A finding as it stands in JSON documents."""
    place = diagnostic.place
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "file": place.file if place else None,
        "line": place.line if place else None,
        "column": place.column if place else None,
        "role": diagnostic.role,
    }


def _text(diagnostic: Diagnostic) -> object:
    from rich.text import Text

    first, *rest = plain(str(diagnostic)).split("\n")
    if diagnostic.place is None:
        first = f"callboard: {first}"
    text = Text(first)
    colour = "red" if diagnostic.severity == "error" else "yellow"
    text.highlight_regex(rf"{diagnostic.severity}\[{diagnostic.code}\]", f"bold {colour}")
    text.append("".join(f"\n{line}" for line in rest))
    return text
