"""LXC's tools as shell scripts, which say and do what a test wants."""

import os
from pathlib import Path

import pytest
from attrs import frozen


@frozen
class FakeTools:
    """Scripts called `lxc-*`, before all others in the path.

    Attributes:
        folder: Where they are; the file `calls` has a line for each call.
        store: The folder of the containers.
    """

    folder: Path
    store: Path

    def script(self, tool: str, body: str) -> None:
        """Have a tool do what some lines of shell do."""
        path = self.folder / tool
        path.write_text(f'#!/bin/sh\necho "{tool} $*" >> "{self.folder}/calls"\n{body}\n')
        path.chmod(0o755)

    def calls(self, tool: str = "") -> list[str]:
        """How tools were called, in order."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(tool)]


def fake_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    """Tools that do nothing and succeed, until a test gives them scripts."""
    made = FakeTools(tmp_path / "bin", tmp_path / "lxc")
    made.folder.mkdir()
    for tool in ("create", "copy", "start", "stop", "destroy", "info", "attach", "ls"):
        made.script(f"lxc-{tool}", "exit 0")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made
