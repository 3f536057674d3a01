"""Runs every rule's definition and writes `docs/conformance.md`."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.page import HOLDS, PAGE, page
from tests.conformance.rule import Rule, complaints, run
from tests.conformance.rules import RULES
from tests.system.boxes import clear
from tests.system.harness import Callboard


def main() -> int:
    """Write the page; returns 1 if a rule doesn't hold."""
    with ThreadPoolExecutor() as threads:
        found = list(zip(RULES, threads.map(_complaints, RULES), strict=True))
    for rule, complaint in found:
        sys.stderr.writelines(f"{rule.name}: {each}\n" for each in complaint)
    PAGE.write_text(page({rule.name: _result(each) for rule, each in found}))
    return any(complaint for _, complaint in found)


def _complaints(rule: Rule) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        board = Callboard(Path(folder), temporary)
        try:
            return complaints(rule, run(rule, board))
        finally:
            clear(board)


def _result(complaint: list[str]) -> str:
    return f"fails: {complaint[0]}" if complaint else HOLDS


if __name__ == "__main__":
    sys.exit(main())
