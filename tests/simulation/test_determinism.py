"""A seed gives one trace, byte for byte, wherever it is rehearsed."""

import io
import os
import re
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.simulation.hashing import hashes

from callboard.definition import load
from callboard.scenarios import scenario
from callboard.simulation.simulator import Trace, prepare

ROOT = Path(__file__).parents[2]
LAST = 1_000


def started(folder: Path, last: int, hash_seed: int, zone: str) -> "subprocess.Popen[str]":
    """A process of its own that hashes the traces of all seeds up to one."""
    folder.mkdir()
    folder.joinpath("group.yaml").write_text(scenario("branches").read_text())
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed), "TZ": zone, "HOME": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "-m", "tests.simulation.hashing", "group.yaml", "1", str(last)]
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("last", [60, pytest.param(LAST, marks=pytest.mark.long)])
def test_every_seed_gives_the_same_trace_in_two_processes_and_no_other_seed_does(
    tmp_path: Path, last: int
) -> None:
    one = started(tmp_path / "one", last, 1, "UTC")
    other = started(tmp_path / "other", last, 4_242, "Asia/Tokyo")
    (found, _), (again, _) = one.communicate(), other.communicate()
    assert (one.returncode, other.returncode) == (0, 0)
    assert found == again
    assert len(set(found.split())) == last


def interpreters() -> Iterator[tuple[str, str]]:
    """Other Python interpreters of this machine that can rehearse, and their versions.

    One of this minor version may use what is installed for this one; others need their own.
    """
    seen = {sys.version.split()[0]}
    folders = os.environ.get("PATH", "").split(os.pathsep)
    pyenv = Path.home() / ".pyenv" / "versions"
    found = [each for folder in folders for each in sorted(Path(folder).glob("python3*"))]
    found += sorted(pyenv.glob("3.*/bin/python3"))
    for each in found:
        if not re.fullmatch(r"python3(\.\d+)?", each.name):
            continue
        asked = subprocess.run([each, "-V"], capture_output=True, text=True, check=False)
        version = asked.stdout.removeprefix("Python ").strip()
        if version and version not in seen and able(str(each), version):
            seen.add(version)
            yield str(each), version


def is_near(version: str) -> bool:
    return version.split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def surroundings(version: str) -> dict[str, str]:
    installed = sysconfig.get_path("platlib") if is_near(version) else ""
    path = [str(ROOT / "src"), str(ROOT), *filter(None, [installed])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def able(interpreter: str, version: str) -> bool:
    words = [interpreter, "-c", "import callboard.simulation.simulator"]
    environment = surroundings(version)
    return not subprocess.run(words, env=environment, capture_output=True, check=False).returncode


def test_other_interpreters_of_the_same_minor_version_write_the_same_trace(
    record_property: Callable[[str, object], None],
) -> None:
    """What those of other minor versions write is only reported."""
    expected = hashes("scenarios/branches.yaml", 1, 5)
    for interpreter, version in interpreters():
        words = [interpreter, "-m", "tests.simulation.hashing", "scenarios/branches.yaml", "1", "5"]
        done = subprocess.run(
            words, cwd=ROOT, env=surroundings(version), capture_output=True, text=True, check=True
        )
        same = done.stdout.split() == expected
        record_property(f"Python {version}", "the same trace" if same else "another trace")
        assert same or not is_near(version)


def test_a_rehearsal_can_be_repeated_in_its_process(tmp_path: Path) -> None:
    path = tmp_path / "group.yaml"
    path.write_text(scenario("demo").read_text())
    assert hashes(str(path), 3, 5) == hashes(str(path), 3, 5)


def test_a_trace_tells_nothing_of_where_and_when_it_was_made() -> None:
    file = io.BytesIO()
    prepare(load("scenarios/demo.yaml")).run(7, [Trace(file)])
    text = file.getvalue().decode()
    assert str(ROOT) not in text
    assert str(Path.home()) + "/" not in text
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert not re.search(r"\b20\d\d-\d\d-\d\d\b", text)
    assert sys.version.split()[0] not in text
    assert '"started_at":null' in text
