"""Devices with a console through the command line: scripts on a terminal stand for them."""

import select
import signal
import sys
from pathlib import Path

import yaml
from tests.system.harness import Callboard

from callboard.events import JobEnded, read_log

JOB = """\
job_name: board
device_type: board
visibility: public
timeouts: {job: {minutes: 5}, action: {minutes: 1}, connection: {seconds: LIMIT}}
actions:
- boot: {method: minimal, prompts: ['root@board:']}
- test:
    definitions:
    - from: inline
      name: t
      path: t.yaml
      repository:
        metadata: {format: Lava-Test Test Definition 1.0, name: t}
        run: {steps: ['true']}
"""

MUTE = "import pathlib, sys; print('mute', flush=True); pathlib.Path(sys.argv[1]).touch(); input()"


def devices(folder: Path) -> Path:
    """A devices file with a board that shows one line, and never a prompt."""
    board = {
        "type": "board",
        "driver": "command",
        "connection_command": [sys.executable, "-c", MUTE, str(folder / "connected")],
        "power_off": ["touch", str(folder / "off")],
    }
    path = folder / "devices.yaml"
    path.write_text(yaml.safe_dump({"devices": {"board-1": board}}))
    return path


def test_a_board_without_a_prompt_fails_its_job_and_loses_its_power(
    callboard: Callboard, tmp_path: Path
) -> None:
    ran = callboard.run(JOB.replace("LIMIT", "1"), "--devices", str(devices(tmp_path)))
    assert ran.exit_code == 3
    [job] = ran.document["jobs"]
    assert job["error"]["type"] == "JobError"
    assert job["error"]["message"].startswith("a prompt (`root@board:`) did not come within 1 s")
    assert job["error"]["message"].endswith("the last lines of the console: mute")
    assert job["error"]["action"].endswith("login-action")
    assert (tmp_path / "off").exists()


def test_an_interrupt_while_it_boots_takes_the_power_away_too(
    callboard: Callboard, tmp_path: Path
) -> None:
    path = callboard.write(JOB.replace("LIMIT", "60"))
    arguments = ("--devices", str(devices(tmp_path)), "-o", str(tmp_path / "run"), "--json")
    process = callboard.start("run", str(path), *arguments)
    while not (tmp_path / "connected").exists():
        assert process.poll() is None
        select.select([], [], [], 0.02)  # a file: there is no event to wait for
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert (tmp_path / "off").exists()
    [ended] = [
        event.body
        for event in read_log(tmp_path / "run/events.jsonl")
        if isinstance(event.body, JobEnded)
    ]
    assert ended.health == "canceled"
