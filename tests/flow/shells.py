"""Steps on both sides: what the extraction says of them, and what real shells do with them."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from callboard.definition.model import Place, Step
from callboard.flow.program import Item
from callboard.flow.shell import Files, Surroundings, TestText, test_scope
from callboard.flow.shell.known import VLANS
from callboard.flow.shell.script import Script

COUNTS = {"server": 1, "client": 2, "nobody": 0}

_HELPER = """#!/bin/sh
echo "${0##*/}" "$@" >> "$CALLS"
[ -n "$1" ]
"""
_MAYBE = """#!/bin/sh
case $MASK in *"${0##*maybe-}"*) exit 0 ;; *) exit 1 ;; esac
"""
_TEST_CASE = """#!/bin/sh
[ "$2" = --shell ] || exit 0
shift 2
if [ $# -eq 1 ]; then (eval "$1"); else "$@"; fi
exit 0
"""
_ROLE = """#!/bin/sh
if [ "$1" = list ]; then printf 'server\\nclient\\nclient\\n'; else printf server; fi
"""
_GROUP = """#!/bin/sh
[ $# -eq 0 ] && printf '1\\tserver\\n2\\tclient\\n3\\tclient\\n' && exit
case $1 in server) printf 1 ;; client) printf '2\\n3' ;; *) exit 1 ;; esac
"""
MAYBE = "abc"
_VLANS = """#!/bin/sh
printf 'one,eth1\\ntwo,eth2\\n'
"""
BESIDE = "beside"
"""What calls in the background say, whose order nobody knows."""


def extracted(
    *steps: str, role: str = "server", folder: Path | None = None, **parameters: str
) -> tuple[Item, ...]:
    """The items of a test that has these steps."""
    written = [Step(step, Place("test.yaml", number, 1)) for number, step in enumerate(steps, 1)]
    script = Script.of_steps(written, "0_test", None)
    test = TestText("0_test", None, script, parameters, Files(folder, "repo/"))
    around = Surroundings(role, COUNTS, {"LAVA_X": "x"}, 30, vlans=True)
    return test_scope(test, around).items


def made(bin_folder: Path) -> Path:
    """A folder of stand-ins for the helpers, which write down how they are called."""
    scripts = dict.fromkeys(("lava-send", "lava-wait", "lava-wait-all", "lava-sync"), _HELPER)
    scripts |= {f"maybe-{letter}": _MAYBE for letter in MAYBE}
    scripts |= dict.fromkeys(VLANS, _VLANS)
    scripts |= {"lava-test-case": _TEST_CASE, "lava-role": _ROLE, "lava-group": _GROUP}
    for name, text in scripts.items():
        path = bin_folder / name
        path.write_text(text)
        path.chmod(0o755)
    return bin_folder


def called(
    shell: str, bin_folder: Path, *steps: str, mask: str = "", folder: Path | None = None
) -> tuple[tuple[str, ...], int]:
    """The calls that a shell makes when it runs the steps as LAVA does, and its status."""
    calls = bin_folder / "calls"
    calls.write_text("")
    environment: Mapping[str, str] = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "MASK": mask,
        "LAVA_X": "x",
    }
    ended = subprocess.run(
        [*shell.split(), "-e"],
        input="".join(f"{step}\n" for step in ["set -e", *steps]),
        env=environment,
        cwd=folder or bin_folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    made_by_now = (each for each in calls.read_text().splitlines() if BESIDE not in each)
    return tuple(made_by_now), ended.returncode
