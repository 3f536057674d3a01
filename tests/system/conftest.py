"""Real groups, run through the command line; nothing of them may be left."""

import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from tests.system.boxes import collect
from tests.system.harness import Callboard, Inside
from tests.system.ordinary import NOBODY

ROOT = Path(__file__).parents[2]
_ORDINARY = str(ROOT / "tests/system/ordinary.py")


@pytest.fixture
def callboard(tmp_path: Path) -> Iterator[Callboard]:
    """The command line; after the test no process and no file of a node may be left."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    yield from _clean(Inside(tmp_path, temporary))


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[Callboard]:
    """The command line of a user who is not root."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    if os.geteuid() != 0:
        yield from _clean(Callboard(tmp_path, temporary))
        return
    for folder in (tmp_path, temporary):
        os.chown(folder, NOBODY, NOBODY)
    folders = [str(tmp_path), str(ROOT), sys.base_prefix, sys.prefix]
    prefix = ["unshare", "--mount", "--propagation", "private", sys.executable, _ORDINARY]
    yield from _clean(Callboard(tmp_path, temporary, (*prefix, *folders, "--")))


@pytest.fixture(params=["root", "ordinary"])
def anybody(request: pytest.FixtureRequest) -> Callboard:
    """The command line of root, and that of an ordinary user."""
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("only root can run root's command line; the ordinary user's is tried")
    found = request.getfixturevalue("callboard" if request.param == "root" else "ordinary")
    assert isinstance(found, Callboard)
    return found


@pytest.fixture(scope="session")
def debian_bases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state of all tests with containers of Debian: a base takes a minute to make.

    Of the processes of a session the last one that ends removes them.
    """
    top = tmp_path_factory.getbasetemp()
    # the processes of a parallel session have a folder each, below the session's own
    shared = (top.parent if os.environ.get("PYTEST_XDIST_WORKER") else top) / "debian"
    shared.mkdir(exist_ok=True)
    users = os.open(shared / "users", os.O_RDWR | os.O_CREAT)
    fcntl.flock(users, fcntl.LOCK_SH)
    yield shared
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        collect(evolve(Callboard(shared, shared), state=shared), "--bases")
    os.close(users)


@pytest.fixture
def debian(callboard: Callboard, debian_bases: Path) -> Callboard:
    """The command line, with bases of Debian that all tests share."""
    return evolve(callboard, state=debian_bases)


def _clean(board: Callboard) -> Iterator[Callboard]:
    yield board
    left = list(board.processes())
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], "processes were left"
    assert list(board.temporary.iterdir()) == [], "files of nodes were left"
