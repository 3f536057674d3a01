"""What the tests of the coordinator share."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.coordinator.real import Real, running


@pytest.fixture(scope="session")
def real() -> Iterator[Real]:
    """LAVA's own coordinator on loopback, one for each process of tests."""
    yield from running()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted: {made.stderr.strip()}; root can")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)
