"""What `callboard doctor` says of LAVA's coordinator on a machine."""

import json
from pathlib import Path
from typing import Any

from tests.commandline import callboard
from tests.coordinator.running import Coordinator


def examine(folder: Path, socket: Path) -> dict[str, Any]:
    ran = callboard(folder, "doctor", "--json", CALLBOARD_COORDINATOR_SOCKET=str(socket))
    found = {each["name"]: each for each in json.loads(ran.stdout)["checks"]}
    check: dict[str, Any] = found["LAVA coordinator"]
    return check


def test_the_doctor_looks_for_a_coordinator(tmp_path: Path) -> None:
    with Coordinator(tmp_path) as coordinator:
        running = examine(tmp_path, coordinator.control)
        assert running["ok"]
        assert running["detail"].startswith("runs; groups: 0")
        coordinator.kill()
        killed = examine(tmp_path, coordinator.control)
        assert not killed["ok"]
        assert "nobody listens" in killed["detail"]
        assert "callboard coordinator" in killed["cure"]
    none = examine(tmp_path, tmp_path / "none.sock")
    assert none["ok"]
    assert "can run here" in none["detail"]
