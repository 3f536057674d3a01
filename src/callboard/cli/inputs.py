"""Reads what a verb is given: definitions and devices files."""

from callboard.cli.output import Output, Refusal
from callboard.definition import Definition, DevicesFile, Diagnostic, read, read_devices


def definition(path: str, said: Output) -> tuple[Definition, tuple[Diagnostic, ...]]:
    """The definition in a file, and the warnings about it, which are printed too.

    Raises:
        Refusal: It can't be used.
    """
    found, diagnostics = read(path)
    if found is None:
        raise Refusal(*diagnostics)
    said.diagnostics(diagnostics)
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
