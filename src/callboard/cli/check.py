"""`callboard check`: proves that a group finishes, before any device is booked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

import click
from attrs import field, frozen

from callboard.actors.support import problems
from callboard.cli.annotations import annotations
from callboard.cli.application import output, verb
from callboard.cli.fetching import NO_FETCH, fetched, fetching
from callboard.cli.inputs import devices_file, readable
from callboard.cli.options import DEVICES, flag
from callboard.cli.output import Output, Refusal, as_json, plain, refusal
from callboard.cli.sarif import sarif
from callboard.definition import CODES, DevicesFile, Diagnostic
from callboard.definition.reader import did_you_mean
from callboard.flow.check import ASSUMPTION, Verdict, check
from callboard.flow.proof import Semantics
from callboard.sources import Policy

Outcome = Literal["completes", "unknown", "deadlocks", "invalid"]

_FORMS: Mapping[str, Callable[[Sequence[Diagnostic]], str]] = {
    "sarif": sarif,
    "github": annotations,
}
_UNREACHED = 3
_WORST: tuple[Outcome, ...] = ("completes", "unknown", "deadlocks", "invalid")
_STYLES = {
    "completes": "green",
    "unknown": "yellow",
    "deadlocks": "bold red",
    "invalid": "bold red",
}
_MEANINGS: Mapping[Outcome, str] = {
    "completes": "every call of every role returns, in whatever order the nodes come",
    "unknown": "it can't be told whether every call returns",
    "deadlocks": "some calls never return, in whatever order the nodes come",
    "invalid": "the definition can't be run",
}


@frozen
class Checked:
    """What has come of one file.

    Attributes:
        file: The file, as it was named.
        outcome: The verdict on it.
        exit_code: What it alone would exit with.
        diagnostics: Everything that was found.
        verdict: The proof and what it found; None where it did not come to that.
        fails: Whether some call is sure to fail or never returns.
    """

    file: str
    outcome: Outcome
    exit_code: int
    diagnostics: tuple[Diagnostic, ...]
    verdict: Verdict | None = field(default=None, repr=False)
    fails: bool = False


@verb("check")
@click.argument("files", nargs=-1, metavar="FILE...", type=click.Path())
@DEVICES
@NO_FETCH
@fetching
@click.option(
    "--semantics",
    type=click.Choice(get_args(Semantics)),
    default="documented",
    show_default=True,
    envvar="CALLBOARD_SEMANTICS",
    help="The protocol as LAVA documents it, or as its coordinator behaves.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *_FORMS]),
    default="text",
    show_default=True,
    help="Text, SARIF 2.1.0, or annotations of GitHub's actions.",
)
@flag("strict", "Fail what can't be proved, and refuse calls that no action makes.")
@click.option("--explain", metavar="CODE", help="Say what a diagnostic's code means.")
def command(
    files: tuple[str, ...],
    devices: str | None,
    no_fetch: bool,
    allow_local: bool,
    fetch_timeout: float,
    semantics: Semantics,
    form: str,
    strict: bool,
    explain: str | None,
    json: bool,
    quiet: bool,
    verbose: int,
    color: str,
) -> int:
    """Prove that the groups that FILEs describe finish; no device is touched.

    Exit codes: 0 every call returns, or it can't be told; 4 some never return or are sure to fail,
    or with --strict it can't be told; 2 a definition is wrong; 3 a source can't be reached.
    """
    said = output(json, quiet, verbose, color)
    if explain is not None:
        return _explain(explain, said)
    if not files:
        raise refusal("CB104", "no FILE is given", "name a definition, or --explain CODE")
    checker = _Checker(
        devices_file(devices, said),
        Policy(allow_local, fetch_timeout),
        said,
        semantics,
        fetches=not no_fetch,
        strict=strict,
    )
    checked = []
    for file in files:
        checked.append(checker.check(file))
        if form == "text" and not said.json:
            _show(checked[-1], said)
    code = max((each.exit_code for each in checked), key=_severity)
    if said.json:
        said.document(_document(checked, code))
    elif form != "text":
        said.text(_FORMS[form]([found for each in checked for found in each.diagnostics]))
    return code


@frozen
class _Checker:
    """Checks one file after the other."""

    devices: DevicesFile | None
    sources: Policy
    said: Output
    semantics: Semantics
    fetches: bool
    strict: bool

    def check(self, file: str) -> Checked:
        """Check a file; whatever is wrong with it is in the result."""
        try:
            definition, warnings = readable(file, strict=self.strict)
            if errors := problems(definition, self.devices):
                raise Refusal(*warnings, *errors)
            if self.fetches:
                definition = fetched(definition, self.sources, self.said)
        except Refusal as error:
            # What can't be reached now says nothing about the definition.
            outcome: Outcome = "unknown" if error.exit_code == _UNREACHED else "invalid"
            return Checked(file, outcome, error.exit_code, error.diagnostics)
        verdict = check(definition, self.semantics)
        fails = any(each.severity == "error" for each in verdict.diagnostics)
        failed = verdict.outcome == "deadlocks" or fails or (self.strict and not verdict.completes)
        found = (*warnings, *verdict.diagnostics)
        return Checked(file, verdict.outcome, 4 if failed else 0, found, verdict, fails)


def _severity(code: int) -> int:
    """How bad a code is; of several, the worst is what the whole command exits with."""
    return (0, 3, 4, 2).index(code)


def _show(checked: Checked, said: Output) -> None:
    from rich.markup import escape

    said.diagnostics(checked.diagnostics, results=True)
    name = plain(checked.file)
    outcome = f"[{_STYLES[checked.outcome]}]{checked.outcome}[/]"
    text = f"{escape(name)}: {outcome}: {_MEANINGS[checked.outcome]}"
    if checked.fails and checked.outcome in ("completes", "unknown"):
        text += ", but some are sure to fail"
    said.console.print(text, soft_wrap=True, highlight=False)
    verdict = checked.verdict
    if verdict is None:
        return
    lines = verdict.witness if checked.outcome == "deadlocks" else verdict.doubts
    for line in lines if checked.outcome != "completes" else ():
        said.console.print(f"  {plain(line)}", soft_wrap=True, highlight=False, markup=False)
    if not said.quiet:
        text = f"  assumed: {ASSUMPTION}"
        said.console.print(text, style="dim", soft_wrap=True, highlight=False)


def _document(checked: Sequence[Checked], code: int) -> dict[str, object]:
    worst = max((each.outcome for each in checked), key=_WORST.index)
    document: dict[str, object] = {
        "verdict": worst,
        "exit_code": code,
        "assumption": ASSUMPTION,
        "files": [_file(each) for each in checked],
    }
    if worst == "invalid":
        document["status"] = "invalid"
    if len(checked) == 1:
        document["diagnostics"] = [as_json(each) for each in checked[0].diagnostics]
    return document


def _file(checked: Checked) -> dict[str, object]:
    verdict = checked.verdict
    return {
        "file": checked.file,
        "verdict": checked.outcome,
        "diagnostics": [as_json(each) for each in checked.diagnostics],
        "witness": list(verdict.witness) if verdict else [],
        "doubts": list(verdict.doubts) if verdict else [],
    }


def _explain(code: str, said: Output) -> int:
    found = CODES.get(code.upper())
    if found is None:
        hint = did_you_mean(code.upper(), CODES) or f"codes go from CB001 to {max(CODES)}"
        raise refusal("CB104", f"there is no diagnostic {code[:20]}", hint)
    if said.json:
        said.document({"code": found.code, "title": found.title, "explanation": found.explanation})
        return 0
    said.console.print(f"{found.code}: {found.title}", style="bold", markup=False)
    said.console.print(found.explanation, highlight=False, markup=False)
    return 0
