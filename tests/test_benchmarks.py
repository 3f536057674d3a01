"""The benchmarks themselves: what they print, and when they complain."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.measurement import Measurement

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        timeout=100,
        check=False,
    )


def test_a_benchmark_prints_its_figure_beside_a_raw_one() -> None:
    ran = run("ask")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"ask round trips .* k/s +raw .* ratio +\d+\.\d\d  .*\n", ran.stdout)


def test_an_unknown_benchmark_is_refused() -> None:
    ran = run("speed")
    assert ran.returncode == 2
    assert "no benchmark is called speed" in ran.stderr


def test_a_machine_without_lxc_is_told_what_the_benchmark_of_containers_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = run("containers")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "no containers can be made here" in ran.stderr
    assert "lxc-create" in ran.stderr


@pytest.mark.parametrize(
    ("measurement", "met"),
    [
        (Measurement("x", 50, 100, "k/s", 0.5, goal=0.5), True),
        (Measurement("x", 49, 100, "k/s", 0.49, goal=0.5), False),
        (Measurement("x", 20, 1, "ms", 0.05, limit=20), True),
        (Measurement("x", 21, 1, "ms", 0.05, limit=20), False),
        (Measurement("x", 21, 1, "ms", 0.05), True),
    ],
)
def test_a_goal_is_met_or_missed(measurement: Measurement, met: bool) -> None:
    assert measurement.met is met
    assert ("MISSED" in str(measurement)) is not met
