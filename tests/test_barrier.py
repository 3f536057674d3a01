"""The barrier's benchmark: every way of it lets all nodes through, or blocks them all."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import barrier

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("figure", ["speed", "memory"])
@pytest.mark.parametrize("way", barrier.installed())
def test_a_way_gives_its_figure(way: str, figure: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.barrier", way, "200", figure],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert float(ran.stdout) > 0
