"""Real containers: made once, cloned, entered, kept, removed, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
import pytest_asyncio
from tests.system.lxc import BUSYBOX, Yard, read_until

from callboard.actors.drivers.lxc import configuration, inventory, unpacking
from callboard.actors.drivers.lxc.address import wait_for_address
from callboard.actors.drivers.lxc.mirror import machine_mirrors
from callboard.actors.drivers.lxc.name import ContainerName
from callboard.actors.drivers.lxc.recipe import Recipe
from callboard.actors.drivers.lxc.reclaim import reclaim
from callboard.actors.drivers.lxc.store import Store
from callboard.actors.drivers.lxc.tools import Tools
from callboard.actors.drivers.tool import run_tool
from callboard.actors.errors import InfrastructureError, JobError
from callboard.actors.overlay import File, Link, pack
from callboard.definition.lxc_devices import LxcLimits, LxcMount

pytestmark = [pytest.mark.asyncio, pytest.mark.needs_lxc("busybox")]

MIRROR, _ = machine_mirrors()


@pytest_asyncio.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """Nothing of a test's containers may be left."""
    made = Yard(tmp_path / "state/lxc")
    yield made
    left = [*made.names(), *made.left()]
    for each in made.made:
        await each.remove()
    await reclaim(made.tools, made.said.append, bases=True)
    assert left == []
    assert [name.text for name in made.tools.store.names()] == []


async def test_a_container_is_made_started_entered_and_removed(yard: Yard) -> None:
    web = yard.container("web-1")
    created = await web.create([])
    assert (created.name, created.how) == ("web-1", "created")
    address = await web.start()
    assert address.count(".") == 3
    assert await web.run(["sh", "-c", "echo out; echo err >&2; exit 7"]) == 7
    assert {"out", "err"} <= set(yard.said)
    shell = await web.open_shell()
    shell.send(b"echo $((6 * 7)); hostname; echo $CONTAINER$HOME; echo end\n")
    assert await read_until(shell, "end\n") == "42\nweb-1\n/root\nend\n"
    await web.remove()
    await web.remove()
    assert yard.names() == []


async def test_the_second_container_is_a_clone_of_the_first_ones_base(yard: Yard) -> None:
    first, second = yard.container("a"), yard.container("b")
    assert [(await each.create([])).how for each in (first, second)] == ["created", "cloned"]
    (base,) = inventory.bases(yard.tools)
    assert (base.recipe, base.clones) == (BUSYBOX, 2)
    listed = await inventory.containers(yard.tools)
    assert [(each.name, each.state, each.job, each.alive, each.base) for each in listed] == [
        ("a", "stopped", 1, True, base.name),
        ("b", "stopped", 1, True, base.name),
    ]
    for each in (first, second):
        await each.remove()
    assert sum("making the base" in line for line in yard.said) == 1


async def test_ten_that_ask_at_once_share_one_base(yard: Yard) -> None:
    made = [yard.container(f"one-{number}", job=number) for number in range(10)]
    hows: list[str] = []

    async def live(number: int) -> None:
        hows.append((await made[number].create([])).how)
        assert await made[number].start()
        await made[number].remove()

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(live, number)
    assert sum("making the base" in line for line in yard.said) == 1
    assert len(hows) == 10
    assert len(inventory.bases(yard.tools)) == 1


async def test_files_are_put_into_a_container_whether_it_runs_or_not(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    tool = File("hi", b"#!/bin/sh\necho hi\n", 0o755)
    await web.put([tool, File("link", Link("hi"))], "/bin")
    await web.start()
    assert await web.run(["link"]) == 0
    assert yard.said[-1] == "hi"
    assert await web.run(["ls", "/bin/busybox"]) == 0, "what was there is still there"
    await web.put([File("deep/er/file", b"text")], "/lava-1")
    assert await web.run(["cat", "/lava-1/deep/er/file"]) == 0
    assert yard.said[-1] == "text"
    await web.remove()


async def test_no_link_of_a_container_leads_files_out_of_it(yard: Yard, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    web = yard.container("web")
    await web.create([])
    await web.put([File("lava-lxc", Link(str(outside)))], "/")
    for running in (False, True):
        if running:
            await web.start()
        with pytest.raises(InfrastructureError, match="files can't be put into lxc container"):
            await web.put([File("x", b"")], "/lava-lxc")
        await web.put([File("etc", Link("/"))], "/mnt")
        await web.put([File("etc/passwd2", b"")], "/mnt")
    assert _there(outside / "x", Path("/etc/passwd2"), Path("/passwd2")) == []
    await web.remove()


async def test_files_are_not_put_beside_a_container_that_has_ended(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    with archive.open("wb") as stream:
        pack({"/": [File("callboard-of-a-test", b"")]}, stream)
    root = f"/proc/{os.getpid()}/root"  # as if the number were this process's now
    with archive.open("rb") as stream:
        ran = await run_tool(
            [sys.executable, "-I", "-S", unpacking.__file__, root],
            limit_s=30,
            stdin=stream.fileno(),
        )
    assert (ran.status, ran.errors) == (1, "the container has ended\n")
    assert _there(Path("/callboard-of-a-test")) == []


async def test_a_shell_passes_on_what_is_typed_and_printed_as_it_is(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.start()
    shell = await web.open_shell()
    shell.send(b'read x; echo "got $x"\n\x01q \xc3\xa9\n')
    assert await read_until(shell, "\n") == "got \x01q é\n"
    # Of its own child, for the shell itself would go on after ^C and only then begin to sleep.
    shell.send(b"sh -c 'echo begin; exec sleep 1000'\n")
    await read_until(shell, "begin\n")
    shell.send(b"\x03")
    shell.send(b"echo status $?; tty; echo end\n")
    text = await read_until(shell, "end\n")
    assert "/dev/pts/" in text
    other = await web.open_shell()
    other.send(b"seq 20000; echo end\n")
    lines = (await read_until(other, "end\n")).split()
    assert lines == [*map(str, range(1, 20001)), "end"]
    await web.remove()
    assert await shell.receive() == b""


async def test_what_runs_beside_the_shells_keeps_a_container_busy(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    assert not await web.busy()
    await web.start()
    assert await web.run(["sh", "-c", "setsid sleep 2000 >/dev/null 2>&1 &"]) == 0
    shell = await web.open_shell()
    assert not await web.busy(), "a service counts for nothing"
    shell.send(b"(setsid sleep 1000 & echo $! > /tmp/pid); echo begun\n")
    await read_until(shell, "begun\n")
    assert await web.busy()
    shell.send(b"kill $(cat /tmp/pid); while kill -0 $(cat /tmp/pid); do :; done; echo over\n")
    await read_until(shell, "over\n")
    assert not await web.busy()
    await web.remove()
    assert not await web.busy()


async def test_killing_a_container_ends_its_shells_at_once(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.start()
    shell = await web.open_shell()
    web.kill()
    while await shell.receive():
        pass
    await web.remove()


async def test_a_container_that_exists_is_not_taken(yard: Yard) -> None:
    first = yard.container("web", job=7, persistent=True)
    await first.create([])
    with pytest.raises(InfrastructureError, match="already exists: job 7 of run run-of-a-test"):
        await yard.container("web", job=8, patience_s=0.1).create([])
    await first.remove()
    with pytest.raises(InfrastructureError, match="lxc container 'web' already exists"):
        await yard.container("web", job=8).create([])
    assert yard.names() == ["web"]
    await yard.destroy("web")


async def test_a_job_that_creates_twice_keeps_its_container(yard: Yard) -> None:
    web, kept = yard.container("web"), yard.container("kept", persistent=True)
    for each in (web, kept):
        await each.create([])
    with pytest.raises(InfrastructureError, match="lxc container 'web' already exists"):
        await web.create([])
    assert (await kept.create([])).how == "reused"
    assert (await reclaim(yard.tools, yard.said.append)).removed == [], "its job lives"
    for each in (web, kept):
        await each.remove()
    await yard.destroy("kept")


async def test_a_persistent_container_is_used_again_whatever_it_holds(yard: Yard) -> None:
    first = yard.container("keep", job=1, persistent=True)
    await first.create([])
    await first.put([File("note", b"mine")], "/")
    await first.start()
    await first.remove()
    (kept,) = await inventory.containers(yard.tools)
    assert (kept.name, kept.state, kept.persistent, kept.alive) == ("keep", "stopped", True, False)
    second = yard.container("keep", job=2, persistent=True)
    assert (await second.create([])).how == "reused"
    label = configuration.read(yard.tools.store.configuration(ContainerName("keep"))).label
    assert label is not None
    assert label.job == 2
    await second.start()
    assert await second.run(["cat", "/note"]) == 0
    assert yard.said[-1] == "mine"
    await second.remove()
    await yard.destroy("keep")


async def test_who_wants_a_persistent_container_waits_for_its_owner_or_says_who_that_is(
    yard: Yard,
) -> None:
    first = yard.container("keep", job=1, persistent=True)
    await first.create([])
    with pytest.raises(InfrastructureError, match=r"'keep' is still used by job 1 of run .* 0.1 s"):
        await yard.container("keep", job=2, persistent=True, patience_s=0.1).create([])
    third = yard.container("keep", job=3, persistent=True)
    waits = anyio.Event()
    third.attend(lambda line: waits.set() if line.startswith("waiting for") else None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(third.create, [])
        await waits.wait()
        await first.remove()
    await third.remove()
    await yard.destroy("keep")


async def test_a_persistent_container_is_stopped_before_the_next_job_has_it(yard: Yard) -> None:
    first = yard.container("keep", job=1, persistent=True)
    await first.create([])
    await first.start()
    shell = await first.open_shell()
    getattr(first, "_release")()  # noqa: B009 - as when its callboard is killed
    second = yard.container("keep", job=2, persistent=True)
    assert (await second.create([])).how == "reused"
    while await shell.receive():
        pass
    assert await yard.tools.state(ContainerName("keep")) == "STOPPED"
    await second.remove()
    await yard.destroy("keep")


async def test_a_container_destroyed_by_others_is_said_to_be_gone(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.start()
    shell = await web.open_shell()
    await yard.destroy("web")
    while await shell.receive():
        pass
    for ask in (web.start, lambda: web.run(["true"]), lambda: web.put([], "/"), web.open_shell):
        with pytest.raises(InfrastructureError, match="'web' is gone: somebody else has destroyed"):
            await ask()
    await web.remove()


async def test_a_container_stopped_by_others_is_said_to_be_stopped(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    with pytest.raises(InfrastructureError, match="has not been started: it is STOPPED"):
        await web.run(["true"])
    await web.start()
    await yard.tools.stop(ContainerName("web"))
    with pytest.raises(InfrastructureError, match="has been stopped by others: it is STOPPED"):
        await web.run(["true"])
    await web.remove()


async def test_a_container_that_can_not_start_says_why(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    path = yard.tools.store.configuration(ContainerName("web"))
    configuration.rewrite(path, ["lxc.net.0.link = nobridge0"], without=["lxc.net.0.link"])
    with pytest.raises(InfrastructureError, match="there is no bridge nobridge0; `callboard doc"):
        await web.start()
    await web.remove()


async def test_a_container_that_gets_no_address_is_not_waited_for_for_ever(yard: Yard) -> None:
    web, name = yard.container("web"), ContainerName("web")
    await web.create([])
    path = yard.tools.store.configuration(name)
    configuration.rewrite(path, ["lxc.net.0.type = empty"], without=["lxc.net."])
    await yard.tools.start(name)
    with pytest.raises(InfrastructureError, match=r"no IPv4 address within 0.2 s; `callboard doc"):
        await wait_for_address(yard.tools, name, 0.2)
    await yard.tools.stop(name)
    with pytest.raises(InfrastructureError, match="stopped before it had an address"):
        await wait_for_address(yard.tools, name, 0.2)
    await web.remove()


async def test_a_full_disk_is_said_to_be_full_and_nothing_half_made_stays(yard: Yard) -> None:
    yard.folder.mkdir(parents=True)
    _run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(yard.folder))
    try:
        first = yard.container("first")
        await first.create([])
        filler = yard.folder / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(InfrastructureError, match=r"created: .*(disk is full|No space left)"):
            await yard.container("second").create([])
        assert yard.names() == ["first"]
        filler.unlink()
        await first.remove()
        await reclaim(yard.tools, yard.said.append, bases=True)
        assert yard.left()[1:] == [], "nothing but this mount"
    finally:
        _run("umount", str(yard.folder))


async def test_what_a_devices_file_allows_holds(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "file").write_text("of this machine")
    web = yard.container(
        "web",
        limits=LxcLimits(processes=40, memory_bytes=64 * 2**20),
        mounts=(
            LxcMount(str(tmp_path / "shared"), "/mnt/shared", writable=True),
            LxcMount(str(tmp_path / "file"), "/mnt/file"),
        ),
    )
    await web.create([])
    await web.start()
    assert await web.run(["sh", "-c", "cat /mnt/file && echo there > /mnt/shared/note"]) == 0
    assert (tmp_path / "shared/note").read_text() == "there\n"
    assert await web.run(["sh", "-c", "echo changed > /mnt/file"]) != 0
    many = "for i in $(seq 100); do sleep 1000 & done; exit 0"
    assert await web.run(["sh", "-c", many]) != 0, "the limit of processes holds"
    await web.remove()


async def test_packages_need_a_system_that_has_them(yard: Yard) -> None:
    with pytest.raises(JobError, match="template `busybox` has no apt-get for packages"):
        await yard.container("web").create(["iperf3"])


async def test_a_creation_that_is_cut_short_leaves_nothing(yard: Yard) -> None:
    for words in ("making the base", "privileged"):
        web = yard.container("web")
        with anyio.CancelScope() as scope:

            def said(line: str, words: str = words, scope: anyio.CancelScope = scope) -> None:
                if words in line:
                    scope.cancel()

            web.attend(said)
            await web.create([])
            await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        await web.remove()
        assert yard.names() == []


async def test_a_container_is_removed_whatever_it_has_made_of_its_files(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.start()
    deep = "n=$(printf '%0200d' 0); for i in $(seq 20); do mkdir $n && cd $n; done"
    narrow = "mkdir /m; cd /m; for i in $(seq 1500); do mkdir d && cd d; done"
    odd = "mknod /root/null c 1 3; mkfifo /root/pipe; ln -s / /root/link; mkdir -p /root/locked/x"
    for command in (f"cd /root; {deep}", narrow, odd):
        assert await web.run(["sh", "-c", command]) == 0
    delta = yard.tools.store.path(ContainerName("web")) / "overlay/delta"
    _run("chattr", "+i", *(str(delta / "root" / each) for each in ("locked/x", "locked")))
    await web.remove()
    assert yard.names() == []


async def test_what_a_devices_file_no_longer_allows_a_persistent_container_has_no_more(
    yard: Yard, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for job, name in enumerate(("old", "new", "new"), 1):
        mount = LxcMount(str(tmp_path / name), f"/mnt/{name}")
        web = yard.container("web", job=job, persistent=True, mounts=(mount,))
        await web.create([])
        await web.remove()
    found = configuration.read(yard.tools.store.configuration(ContainerName("web")))
    mounts = [each for each in found.values("lxc.mount.entry") if str(tmp_path) in each]
    assert mounts == [f"{tmp_path}/new mnt/new none rbind,ro,create=dir 0 0"]
    assert any("/lib" in each for each in found.values("lxc.mount.entry")), "the template's stay"
    await yard.destroy("web")


async def test_a_base_that_was_never_finished_is_made_anew(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.remove()
    base = yard.tools.store.path(BUSYBOX.base)
    (base / "ready").unlink()
    (base / "rootfs/bin/sh").unlink()
    assert (await web.create([])).how == "created"
    assert (base / "rootfs/bin/sh").is_symlink()
    await web.remove()


async def test_unused_bases_go_and_used_ones_stay(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    assert (await reclaim(yard.tools, yard.said.append, bases=True)).bases == []
    await web.remove()
    assert (await reclaim(yard.tools, yard.said.append)).bases == []
    found = await reclaim(yard.tools, yard.said.append, bases=True)
    assert found.bases == [BUSYBOX.base.text]


_OWNER = """
import sys, anyio
from pathlib import Path
from tests.system.lxc import Yard
async def main():
    yard = Yard(Path(sys.argv[1]))
    for name, persistent in (("dead", False), ("kept", True)):
        one = yard.container(name, persistent=persistent)
        print("creating", flush=True)
        await one.create([])
        print("created", flush=True)
        await one.start()
        print("started", flush=True)
        shell = await one.open_shell()
        shell.send(b"trap '' HUP TERM INT; sleep 1000 & sleep 1000\\n")
        print("entered", flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.parametrize("steps", range(1, 9))
async def test_containers_of_a_killed_callboard_are_removed_and_persistent_ones_stopped(
    yard: Yard, steps: int
) -> None:
    owner = _start_owner(yard)
    living = yard.container("living")
    await living.create([])
    await living.start()
    assert owner.stdout is not None
    for _ in range(steps):
        assert owner.stdout.readline()
    assert "dead" not in (await reclaim(yard.tools, yard.said.append)).removed
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    done = await reclaim(yard.tools, yard.said.append)
    assert done.left == []
    whole = "kept" in yard.names()
    assert yard.names() == (["kept", "living"] if whole else ["living"])
    assert whole or steps < 6
    assert done.stopped == ["kept"] or steps < 7
    assert await living.run(["true"]) == 0, "those of living jobs are left alone"
    await living.remove()
    assert yard.left() == []
    if whole:
        await yard.destroy("kept")


async def test_containers_that_callboard_has_not_made_are_left_alone(yard: Yard) -> None:
    yard.tools.store.prepare()
    other = ContainerName("other")
    await yard.tools.create(other, "busybox", [], yard.said.append)
    done = await reclaim(yard.tools, yard.said.append, bases=True)
    assert (done.removed, done.stopped, done.bases, done.left) == ([], [], [], [])
    assert yard.names() == ["other"]
    await yard.destroy("other")


async def test_a_persistent_container_that_callboard_has_not_made_is_not_taken(yard: Yard) -> None:
    store, other = yard.tools.store, ContainerName("other")
    store.prepare()
    await yard.tools.create(other, "busybox", [], yard.said.append)
    store.lock(other).write_text("somebody who was killed before he looked\n0\n")
    with pytest.raises(InfrastructureError, match="exists, and callboard has not made it"):
        await yard.container("other", persistent=True).create([])
    store.lock(other).write_text("somebody who was killed before he looked\n0\n")
    assert (await reclaim(yard.tools, yard.said.append)).removed == []
    assert yard.names() == ["other"]
    (listed,) = await inventory.containers(yard.tools)
    assert (listed.state, listed.run) == ("stopped", None)
    await yard.destroy("other")


async def test_a_clone_that_never_got_its_label_is_a_dead_jobs(yard: Yard) -> None:
    web = yard.container("web")
    await web.create([])
    await web.remove()
    half = ContainerName("half")
    await yard.tools.clone(BUSYBOX.base, half)
    again = yard.container("half", persistent=True)
    assert (await again.create([])).how == "cloned", "it is made anew"
    await again.remove()
    await yard.destroy("half")
    await yard.tools.clone(BUSYBOX.base, half)
    assert (await reclaim(yard.tools, yard.said.append)).removed == ["half"]


async def test_a_link_to_the_folder_of_containers_leads_to_the_same_ones(yard: Yard) -> None:
    owner = _start_owner(yard)
    assert owner.stdout is not None
    while owner.stdout.readline() != "started\n":
        pass
    link = yard.folder.with_name("link")
    link.symlink_to(yard.folder)
    tools = Tools(Store(link))
    assert "dead" not in (await reclaim(tools, yard.said.append)).removed
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert "dead" in (await reclaim(tools, yard.said.append)).removed
    assert yard.left() == []
    if "kept" in yard.names():
        await yard.destroy("kept")


@pytest.mark.needs_lxc("debian")
@pytest.mark.timeout(900)
async def test_packages_are_installed_once_and_later_containers_have_them(yard: Yard) -> None:
    debian = Recipe("debian", release="bookworm", mirror=MIRROR)
    first, second = yard.container("a", debian), yard.container("b", debian)
    created = await first.create(["tree"])
    assert created.packages
    assert (await second.create(["tree"])).how == "cloned"
    await second.start()
    assert await second.run(["tree", "--version"]) == 0
    assert second.shell("debian") == "/bin/bash"
    shell = await second.open_shell()
    shell.send(b"id -un; echo end\n")
    assert await read_until(shell, "end\n") == "root\nend\n"
    with pytest.raises(JobError, match=r"apt-get install fails in an lxc container: .*no-such"):
        await yard.container("c", debian).create(["no-such-package"])
    for each in (first, second):
        await each.remove()


@pytest.mark.needs_lxc("debian")
@pytest.mark.parametrize(
    ("recipe", "error", "text"),
    [
        (
            Recipe("debian", release="nosuch", mirror=MIRROR),
            JobError,
            "the mirror has no release nosuch",
        ),
        (
            Recipe("debian", release="bookworm", mirror="http://127.0.0.1:9/debian"),
            InfrastructureError,
            "the mirror http://127.0.0.1:9/debian can't be reached",
        ),
    ],
)
async def test_a_debian_that_does_not_exist_is_the_jobs_fault_and_no_network_the_labs(
    yard: Yard, recipe: Recipe, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        await yard.container("web", recipe).create([])


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


def _there(*paths: Path) -> list[Path]:
    return [path for path in paths if os.path.lexists(path)]


def _start_owner(yard: Yard) -> "subprocess.Popen[str]":
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(yard.folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
