"""The files that containers are kept by: configurations, locks, downloads, apt's sources."""

import fcntl
import os
from pathlib import Path

import anyio
import pytest

from callboard.actors.drivers.lock import (
    holder,
    is_held,
    lock,
    lock_of_the_dead,
    try_lock,
)
from callboard.actors.drivers.lxc import configuration
from callboard.actors.drivers.lxc.configuration import Configuration, Label
from callboard.actors.drivers.lxc.downloads import drop_unfinished
from callboard.actors.drivers.lxc.mirror import machine_mirrors
from callboard.actors.drivers.lxc.settings import settings
from callboard.actors.drivers.lxc.store import Store
from callboard.definition.lxc_devices import LxcLimits, LxcMount

LABEL = Label("8f1c-2d", 12, 1_700_000_000, persistent=True)


def _read(path: Path, text: str) -> Configuration:
    path.write_text(text)
    return configuration.read(path)


def test_a_label_survives_its_configuration(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("lxc.group = callboard-base\nlxc.uts.name = web\nlxc.pty.max = 1\n")
    without = ["lxc.group", "lxc.pty.max"]
    configuration.rewrite(path, [*LABEL.lines(), "lxc.pty.max = 9"], without=without)
    found = configuration.read(path)
    assert found.label == LABEL
    assert found.values("lxc.uts.name") == ["web"]
    assert found.values("lxc.pty.max") == ["9"]
    assert "callboard-base" not in found.values("lxc.group")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lxc.group = callboard\n",
        "lxc.group = job-1\nlxc.group = since-1\n",
        "lxc.group = callboard\nlxc.group = job-x\nlxc.group = since-1\n",
        "lxc.group = callboard\nlxc.group = job-1\nlxc.group = since-1\nlxc.group =\n",
        "# lxc.group = callboard\n",
        "\0\xff garbage",
    ],
)
def test_a_container_without_a_whole_label_is_not_ours(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path / "config", text).label is None


def test_a_configuration_says_what_a_container_is_a_clone_of(tmp_path: Path) -> None:
    path = tmp_path / "config"
    base = f"/s/base.{'0' * 16}/rootfs"
    found = _read(path, f"lxc.rootfs.path = overlay:{base}:/s/web/overlay/delta\n")
    assert found.layers == [Path("/s/web/overlay/delta"), Path(base)]
    assert str(found.base) == f"base.{'0' * 16}"
    assert _read(path, "lxc.rootfs.path = dir:/s/web/rootfs").layers == [Path("/s/web/rootfs")]
    assert _read(path, f"lxc.rootfs.path = dir:{base}").base is None
    assert _read(path, "").layers == []


def test_a_line_of_a_configuration_can_not_be_several(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("lxc.uts.name = web\n")
    with pytest.raises(ValueError, match="can't have several lines"):
        configuration.rewrite(path, ["lxc.group = a\nlxc.hook.start = /x"], without=[])
    assert path.read_text() == "lxc.uts.name = web\n"


def test_limits_and_mounts_are_lines_of_a_configuration(tmp_path: Path) -> None:
    mounts = [LxcMount(str(tmp_path), "/mnt/a"), LxcMount("/etc/hosts", "/b", writable=True)]
    lines, replaced = settings(LxcLimits(64, 2**20), mounts)
    values = [line.partition(" = ")[2] for line in lines]
    assert values == [
        "64",
        "1048576",
        f"{tmp_path} mnt/a none rbind,ro,create=dir 0 0",
        "/etc/hosts b none rbind,rw,create=file 0 0",
    ]
    assert {line.partition(" = ")[0] for line in lines[:2]} <= set(replaced)
    assert settings(LxcLimits(), [])[0] == []


@pytest.mark.parametrize("name", ["a b", "a:b", "a,b", 'a"b', "é", "a\nb"])
def test_a_folder_that_overlays_can_not_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match=r"(?s)no container can be in .* with \$CALLBOARD_STATE"):
        Store(tmp_path / name).prepare()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_containers_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "state/lxc")
    store.prepare()
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert Store(Path("state/lxc")).folder.is_absolute(), "the tools run in another folder"


def test_a_lock_is_held_by_one_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    first = try_lock(path)
    assert first is not None
    first.note("job 1 of run r")
    assert (is_held(path), holder(path)) == (True, "job 1 of run r")
    assert try_lock(path) is None
    first.release()
    first.release()
    assert not path.exists()
    assert holder(path) == ""


def test_a_shared_lock_is_held_by_many(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = [try_lock(path, shared=True) for _ in range(3)]
    assert None not in held
    assert try_lock(path) is None
    for each in held:
        assert each is not None
        each.release()
    assert path.exists()
    assert try_lock(path) is not None


@pytest.mark.asyncio
async def test_who_waits_for_a_lock_gets_one_that_still_has_its_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    got: list[int] = []

    async def take(number: int) -> None:
        held = await lock(path)
        assert is_held(path)
        await anyio.lowlevel.checkpoint()
        got.append(number)
        held.release()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(take, number)
    assert sorted(got) == list(range(20))


@pytest.mark.asyncio
async def test_the_lock_of_the_living_is_not_waited_for_and_that_of_the_dead_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    first = try_lock(path)
    assert first is not None
    first.note("me")
    assert await lock_of_the_dead(path) is None
    path.write_text("one that was killed\n0\n")
    async with anyio.create_task_group() as tasks:
        found = anyio.Event()

        async def take() -> None:
            assert await lock_of_the_dead(path) is not None
            found.set()

        tasks.start_soon(take)
        await anyio.lowlevel.checkpoint()
        assert not found.is_set()
        first.release()


def test_a_download_that_was_cut_short_is_dropped_unless_somebody_is_at_it(tmp_path: Path) -> None:
    (tmp_path / "partial-bookworm-amd64/etc").mkdir(parents=True)
    (tmp_path / "rootfs-bookworm-amd64").mkdir()
    locked = tmp_path / "lxc-debian"
    drop_unfinished(tmp_path, locked)
    locked.touch()
    descriptor = os.open(locked, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    drop_unfinished(tmp_path, locked)
    assert (tmp_path / "partial-bookworm-amd64").exists()
    os.close(descriptor)
    drop_unfinished(tmp_path, locked)
    assert [path.name for path in tmp_path.glob("*-amd64")] == ["rootfs-bookworm-amd64"]


@pytest.mark.parametrize(
    ("files", "mirrors"),
    [
        ({}, (None, None)),
        (
            {"sources.list": "deb [arch=amd64] http://m/debian/ bookworm main\n"},
            ("http://m/debian", None),
        ),
        (
            {
                "sources.list": "# deb http://no/debian x main\ndeb-src http://no/debian x main\n",
                "sources.list.d/z.list": "deb https://s/debian-security bookworm-security main\n",
                "sources.list.d/a.list": "deb https://m/debian bookworm main\n",
            },
            ("https://m/debian", "https://s/debian-security"),
        ),
        (
            {
                "sources.list.d/debian.sources": (
                    "Types: deb\n# a comment\nURIs: http://m/debian\n"
                    "Suites: bookworm\n bookworm-updates\nComponents: main\n\n"
                    "Types: deb\nURIs: http://m/debian-security\nSuites: bookworm-security\n"
                ),
                "sources.list.d/other.list": "deb https://apt.example/repo stable main\n",
            },
            ("http://m/debian", "http://m/debian-security"),
        ),
        (
            {
                "sources.list.d/off.sources": (
                    "Types: deb\nURIs: http://m/debian\nSuites: x\nEnabled: no\n"
                ),
                "sources.list.d/src.sources": "Types: deb-src\nURIs: http://m/debian\nSuites: x\n",
                "sources.list.d/file.list": "deb file:/srv/debian x main\n",
                "sources.list.d/saved.list.save": "deb http://m/debian x main\n",
            },
            (None, None),
        ),
    ],
)
def test_the_mirrors_of_this_machine_are_those_of_its_apt(
    tmp_path: Path, files: dict[str, str], mirrors: tuple[str | None, str | None]
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert machine_mirrors(tmp_path) == mirrors
