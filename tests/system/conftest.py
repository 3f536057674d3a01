"""Real groups, run through the command line; nothing of them may be left."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.system.harness import Callboard


@pytest.fixture
def callboard(tmp_path: Path) -> Iterator[Callboard]:
    """The command line; after the test no process and no file of a node may be left."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    board = Callboard(tmp_path, temporary)
    yield board
    left = list(board.processes())
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "processes were left"
    assert list(temporary.iterdir()) == [], "files of nodes were left"
