"""Clocks of machines are never compared: nothing of a cluster depends on the time of day."""

import ast
from collections.abc import Iterator
from pathlib import Path

import callboard.cluster

FOLDER = Path(str(callboard.cluster.__file__)).parent
CALENDARS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}
SHOWN = {
    "accounts.py": "signed claims carry the date on which they were made",
    "client.py": "when a group was submitted, for people",
    "reign.py": "when a group began to run, for people",
}
"""Where a date is made that nothing is decided by."""


def _calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            yield f"{name}.{node.attr}"


def test_only_dates_that_are_shown_come_from_the_clock_of_a_machine() -> None:
    found = {path.name for path in FOLDER.glob("*.py") if CALENDARS & set(_calls(path))}
    assert found == set(SHOWN)
