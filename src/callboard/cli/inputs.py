"""Reads what a verb is given: definitions and devices files."""

from attrs import evolve

from callboard.cli.output import Output, Refusal
from callboard.definition import Definition, DevicesFile, Diagnostic, read, read_devices

_NEVER_MADE = "CB085"


def definition(
    path: str, said: Output, *, strict: bool = False
) -> tuple[Definition, tuple[Diagnostic, ...]]:
    """The definition in a file, and the warnings about it, which are printed too.

    Args:
        path: The file.
        said: Where warnings go.
        strict: Take a call that no action makes for an error; other warnings stay warnings.

    Raises:
        Refusal: It can't be used.
    """
    found, diagnostics = readable(path, strict=strict)
    said.diagnostics(diagnostics)
    return found, diagnostics


def readable(path: str, *, strict: bool = False) -> tuple[Definition, tuple[Diagnostic, ...]]:
    """The definition in a file, and the warnings about it.

    Args:
        path: The file.
        strict: Take a call that no action makes for an error; other warnings stay warnings.

    Raises:
        Refusal: It can't be used.
    """
    found, diagnostics = read(path)
    if strict:
        diagnostics = tuple(
            evolve(each, severity="error") if each.code == _NEVER_MADE else each
            for each in diagnostics
        )
    if found is None or any(each.severity == "error" for each in diagnostics):
        raise Refusal(*diagnostics)
    return found, diagnostics


def devices_file(path: str | None, said: Output) -> DevicesFile | None:
    """The devices in a file, None without a file.

    Raises:
        Refusal: It can't be used.
    """
    if path is None:
        return None
    found, diagnostics = read_devices(path)
    if found is None:
        raise Refusal(*diagnostics)
    said.diagnostics(diagnostics)
    return found
