"""A node that is a shell on this machine: real shells, real processes."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from callboard.actors.drivers import Console
from callboard.actors.drivers.bare import BareNode
from callboard.actors.drivers.folder import NodeFolder, sweep
from callboard.actors.drivers.processes import children, lives, marked
from callboard.actors.members import Member
from callboard.actors.overlay import Overlay

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("temporary")]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for this test's nodes, in which nothing may be left."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


async def read_until(console: Console, done: Callable[[bytes], bool]) -> bytes:
    """The output of a console up to where `done` holds, or to its end."""
    output = b""
    with anyio.fail_after(20):
        while not done(output) and (data := await console.receive()):
            output += data
    return output


async def ask(console: Console, command: str) -> str:
    """What a command prints."""
    console.send(f"{command}; echo '<'end'>'\n".encode())
    output = await read_until(console, lambda output: b"<end>" in output)
    return output.decode().partition("<end>")[0]


async def test_a_shell_reads_commands_without_echo_or_prompt() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        console = await node.open_shell()
        assert await ask(console, "echo one; echo two") == "one\ntwo\n"
        assert await ask(console, "x=1; cd /") == ""
        assert await ask(console, "echo $x $PWD") == "1 /\n"
        assert await ask(console, "tty -s && echo terminal") == "terminal\n"
    finally:
        await node.release()


async def test_a_node_has_its_own_home_temporary_folder_and_cache(temporary: Path) -> None:
    nodes = [BareNode("n"), BareNode("n")]
    seen: set[str] = set()
    for node in nodes:
        await node.prepare()
    try:
        for node in nodes:
            console = await node.open_shell()
            text = await ask(console, "echo $HOME $TMPDIR $LAVA_MULTI_NODE_CACHE")
            assert all(word.startswith(str(temporary)) for word in text.split())
            seen.update(text.split())
    finally:
        for node in nodes:
            await node.release()
    assert len(seen) == 6


async def test_files_are_installed_where_the_node_sees_them() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        root = node.overlay_root(7)
        await node.install(
            Overlay(
                job_id=7,
                root=root,
                shell=node.shell(None),
                role="server",
                group=(Member(7, "server"),),
                environment=(),
                secrets=(),
                cache=node.cache,
                stages=(),
            )
        )
        assert await ask(await node.open_shell(), f"{root}/bin/lava-self") == "7\n"
    finally:
        await node.release()


async def test_an_interrupt_ends_the_command_and_not_the_shell() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        console = await node.open_shell()
        console.send(b"sh -c 'echo under way; exec sleep 600'\n")
        await read_until(console, lambda output: b"under way" in output)
        console.send(b"\x03\n")
        assert "alive" in await ask(console, "echo alive")
    finally:
        await node.release()


async def test_much_input_is_kept_until_the_device_reads_and_too_much_is_refused() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        console = await node.open_shell()
        lines = b"".join(b"echo %d\n" % number for number in range(20_000))
        console.send(lines)
        output = await read_until(console, lambda output: output.endswith(b"19999\n"))
        assert output == b"".join(b"%d\n" % number for number in range(20_000))
        console.send(b"sleep 600\n")
        with pytest.raises(BlockingIOError, match="stopped reading"):
            for _ in range(100):
                console.send(b"x" * 50_000 + b"\n")
    finally:
        await node.release()


async def test_the_end_of_the_shell_is_the_end_of_its_output() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        console = await node.open_shell()
        console.send(b"echo last words; exit\n")
        assert await read_until(console, lambda _output: False) == b"last words\n"
        assert await console.receive() == b""
        console.send(b"nobody reads this\n")
    finally:
        await node.release()


async def test_closing_ends_a_waiting_read() -> None:
    node = BareNode("n")
    await node.prepare()
    try:
        console = await node.open_shell()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_until, console, lambda _output: False)
            await anyio.wait_all_tasks_blocked()
            console.close()
            console.close()
    finally:
        await node.release()


DETACHED = [
    "sleep 600 &",
    "nohup sleep 600 > /dev/null 2>&1 &",
    "setsid sleep 600 &",
    "(setsid sh -c 'sleep 600 & sleep 600' &)",
    "sh -c 'trap \"\" HUP INT TERM; while :; do sleep 600; done' &",
    "env -i sleep 600 &",
]


@pytest.mark.parametrize("command", DETACHED)
async def test_release_ends_every_process_however_it_detached_itself(
    command: str,
) -> None:
    node = BareNode("n")
    await node.prepare()
    mark = node.folder.mark
    console = await node.open_shell()
    await ask(console, f"{command}\necho started")
    pid = int(await ask(console, "echo $$"))
    below = set(children(pid))
    assert set(marked(mark))
    await node.release()
    assert list(marked(mark)) == []
    assert not any(map(lives, below | {pid}))


async def test_a_node_that_was_never_prepared_has_nothing_to_release() -> None:
    node = BareNode("n")
    node.kill()
    await node.release()


@pytest.mark.parametrize(
    ("action", "able"),
    [
        ("http-download", False),
        ("execute-qemu", False),
        ("fastboot-flash-deploy", False),
        ("expect-shell-connection", True),
    ],
)
async def test_a_node_says_what_it_can_not_do(action: str, able: bool) -> None:
    assert (BareNode("n").unable(action) is None) == able


# What a callboard that was killed leaves


OWNER = """
import subprocess, sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from callboard.actors.drivers.folder import NodeFolder
from callboard.actors.drivers.processes import MARK
folder = NodeFolder("n")
environment = {"PATH": "/usr/bin:/bin", MARK: folder.mark}
shell = subprocess.Popen(["sh", "-c", "trap '' HUP; echo; while :; do sleep 600; done"],
                         env=environment, stdout=subprocess.PIPE, start_new_session=True)
shell.stdout.readline()
print(folder.mark, flush=True)
sys.stdin.read()
"""


def start_owner(temporary: Path) -> tuple["subprocess.Popen[str]", str]:
    """A process with a node; returns it and the node's mark."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(temporary)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


async def test_what_a_killed_owner_left_is_swept_away(temporary: Path) -> None:
    owner, mark = start_owner(temporary)
    with owner:
        assert list(marked(mark)), "it has processes"
        assert await sweep() == 0, "its owner lives"
        assert list(marked(mark))
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert list(marked(mark)), "its processes live on"
        assert await sweep() == 1
    assert list(marked(mark)) == []


async def test_folders_of_others_are_left_alone(temporary: Path) -> None:
    (temporary / "callboard-notes").mkdir()
    (temporary / "callboard-file").write_text("x")
    mine = NodeFolder("n")
    assert await sweep() == 0
    assert mine.path in listed(temporary)
    mine.remove()
    assert listed(temporary) == {temporary / "callboard-file", temporary / "callboard-notes"}
    (temporary / "callboard-notes").rmdir()
    (temporary / "callboard-file").unlink()


def listed(folder: Path) -> set[Path]:
    return set(folder.iterdir())
