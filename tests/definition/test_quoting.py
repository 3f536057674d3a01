"""Findings that were made without the text of their file get their line."""

import os
from pathlib import Path

from attrs import evolve

from callboard.definition.diagnostics import Diagnostic
from callboard.definition.model import Place
from callboard.definition.quoting import with_lines


def found(file: Path, line: int, column: int) -> Diagnostic:
    return Diagnostic("CB102", "error", "no device", Place(str(file), line, column))


def test_a_finding_gets_the_line_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "rack.yaml"
    file.write_text("devices:\n  desk: {type: qemu}\n")
    [quote] = with_lines([found(file, 2, 9)])
    assert str(quote).splitlines()[1:] == ["  2 |   desk: {type: qemu}", "    |         ^"]


def test_what_must_not_be_shown_or_is_not_there_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "group.yaml"
    file.write_text("secrets: {TOKEN: hush-hush}\nroles: {a: hush-hush, b: 1}\n")
    os.mkfifo(tmp_path / "pipe")
    nowhere = Diagnostic("CB102", "error", "no device")
    findings = [
        found(file, 1, 1),
        found(file, 2, 8),
        found(file, 9, 1),
        found(tmp_path / "gone.yaml", 1, 1),
        found(tmp_path / "pipe", 1, 1),
        nowhere,
        evolve(found(file, 2, 8), source="quoted already", caret=3),
    ]
    assert with_lines(findings) == tuple(findings)
