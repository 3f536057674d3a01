"""Compares what `callboard check` says of every scenario with what stands at its end.

`python -m tests.verdicts` prints a line each, and fails if one differs.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from callboard.actors.support import unsupported
from callboard.definition import load

SCENARIOS = Path(__file__).parents[1] / "scenarios"
DEFINITIONS = [
    path for path in sorted(SCENARIOS.rglob("*.yaml")) if "\njob_name:" in path.read_text()
]
_EXPECTED = re.compile(r"^# check: (\w+)$", re.MULTILINE)


def expected(path: Path) -> str:
    """The verdict that the comment at the end of a scenario names."""
    found = _EXPECTED.search(path.read_text())
    return found[1] if found else "none is named"


def runnable(path: Path) -> bool:
    """Whether `run` can do what a scenario asks for; only a rehearsal can do the others."""
    return not any(unsupported(load(path)))


@cache
def verdicts() -> Mapping[Path, str]:
    """What the check says of each."""
    words = [sys.executable, "-m", "callboard", "check", "--json", *map(str, DEFINITIONS)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    return {Path(each["file"]): each["verdict"] for each in json.loads(ran.stdout)["files"]}


def main() -> int:
    """Check every scenario; returns how many verdicts differ from what is expected."""
    wrong = 0
    for path in DEFINITIONS:
        found, wanted = verdicts()[path], expected(path) if runnable(path) else "invalid"
        wrong += found != wanted
        print(f"{path.name:22} {found}" + ("" if found == wanted else f", but expected: {wanted}"))
    return wrong


if __name__ == "__main__":
    sys.exit(main())
