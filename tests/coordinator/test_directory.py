"""A directory that can't be used is refused before anybody is served, with the cure."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from attrs import field, frozen
from tests.coordinator.keeping import NEW_YEAR, filled, opened, recalled

from callboard.actors.semantics import DOCUMENTED
from callboard.coordinator.errors import StateError
from callboard.coordinator.exchange import Exchange
from callboard.coordinator.store import Store


@frozen
class Wrong:
    """A directory that can't be used."""

    prepare: Callable[[Path], None] = field(repr=False)
    text: str
    cure: str


def _write(name: str, text: str) -> Callable[[Path], None]:
    def prepare(path: Path) -> None:
        path.mkdir()
        (path / name).write_text(text)

    return prepare


WRONG = {
    "a file": Wrong(lambda path: path.touch(), "{path}: file exists", "name a directory"),
    "others' files": Wrong(
        _write("photo.jpg", ""),
        "{path} has 'photo.jpg' in it, which is not of a coordinator",
        "give the coordinator a directory of its own",
    ),
    "a newer version": Wrong(
        _write("segments", "callboard coordinator log 2\n…"),
        "{path}/segments is of a newer callboard: of version 2 of the format, and this callboard"
        " reads version 1",
        "use that callboard, or give this one a directory of its own",
    ),
    "no log at all": Wrong(
        _write("segments", "hello\n"),
        "{path}/segments: byte 0: 'callboard coordinator log 1' was expected, and b'hello' is",
        "get the directory from a backup, or begin without groups: mv {path} {path}.damaged",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path, wrong: Wrong) -> None:
    path = tmp_path / "state"
    wrong.prepare(path)
    with pytest.raises(StateError) as caught:
        opened(path)
    assert caught.value.text.startswith(wrong.text.format(path=path))
    assert (caught.value.cure or "").startswith(wrong.cure.format(path=path))


def test_groups_of_other_rules_are_refused(tmp_path: Path) -> None:
    anyio.run(filled, tmp_path)
    with pytest.raises(StateError, match="work by the rules 'lava', not 'documented'") as caught:
        Store.open(tmp_path, Exchange(DOCUMENTED), NEW_YEAR, lambda _: None)
    assert caught.value.cure == "write --semantics lava, or name another directory"


def test_two_servers_never_share_a_directory(tmp_path: Path) -> None:
    kept = opened(tmp_path)
    with pytest.raises(StateError, match="another coordinator keeps its groups in") as caught:
        opened(tmp_path)
    assert caught.value.cure == "end that one, or give this one a directory of its own"
    anyio.run(kept.store.close)
    anyio.run(recalled, tmp_path)


def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    """Such as that of a service with a dynamic user, to which a link leads."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away; run the tests as root")
    path, real = tmp_path / "state", tmp_path / "private"
    real.mkdir()
    path.symlink_to(real)
    os.chown(real, 54321, 54321)
    with pytest.raises(StateError, match="belongs to user 54321, and root runs this") as caught:
        opened(path)
    run_as, _, command = str(caught.value.cure).partition(", or write: ")
    assert run_as == "run it as that user"
    subprocess.run(command.split(), check=True)
    anyio.run(opened(path).store.close)


def test_files_of_another_user_are_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away; run the tests as root")
    anyio.run(filled, tmp_path)
    os.chown(tmp_path / "00000001.log", 54321, 54321)
    with pytest.raises(StateError, match=r"00000001\.log belongs to user 54321"):
        opened(tmp_path)


def test_a_disk_that_can_only_be_read_is_refused(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StateError, match="read-only file system") as caught:
        opened(small_disk)
    assert caught.value.cure == "mend that, or name another directory"


def test_nobody_else_can_read_what_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "state"
    kept = opened(path)
    anyio.run(kept.store.close)
    assert path.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in path.iterdir()} == {0o600}


def test_the_socket_of_a_coordinator_may_be_with_its_groups(tmp_path: Path) -> None:
    anyio.run(filled, tmp_path)
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(tmp_path / "s.sock"))
        (tmp_path / "s.sock.lock").touch()
        (tmp_path / "lost+found").mkdir()
        anyio.run(recalled, tmp_path)
