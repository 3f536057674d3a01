"""Whether background work runs on a node: real shells, real processes, with and without sandbox."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from tests.system.conftest import ROOT
from tests.system.harness import Callboard

from callboard.actors.drivers import Console, Node
from callboard.actors.drivers.bare import BareNode
from callboard.actors.drivers.sandboxed import SandboxedNode, open_sandbox
from callboard.definition.devices import LocalLimits

KINDS = ["bare", "sandboxed"]
PYTHON = Path(sys.executable).resolve()
"""Not that of a virtual environment, which can be in /tmp, where nodes don't see it."""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder for this test's nodes, in which nothing may be left."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@asynccontextmanager
async def made(kind: str) -> AsyncIterator[Node]:
    """A node of that kind, not prepared."""
    if kind == "bare":
        node = BareNode("n")
        try:
            yield node
        finally:
            await node.release()
        return
    async with open_sandbox() as sandbox:
        sandboxed = SandboxedNode("n", sandbox, LocalLimits())
        try:
            yield sandboxed
        finally:
            await sandboxed.release()


@asynccontextmanager
async def prepared(kind: str) -> AsyncIterator[Node]:
    """A node of that kind that can be used."""
    async with made(kind) as node:
        await node.prepare()
        yield node


async def said(console: Console, word: str) -> str:
    """What a console says up to a word, which must not be in the command as it is sent."""
    output = b""
    with anyio.fail_after(20):
        while word.encode() not in output:
            data = await console.receive()
            assert data, f"the console ended after {output!r}"
            output += data
    return output.decode().partition(word)[0]


async def ask(console: Console, command: str) -> str:
    """What a command prints."""
    console.send(f"{command}\necho '<'end'>'\n".encode())
    return (await said(console, "<end>")).strip()


async def becomes(node: Node, *, busy: bool) -> None:
    """Wait until a node is busy, or isn't."""
    with anyio.fail_after(20):
        while await node.busy() != busy:
            await anyio.lowlevel.checkpoint()


WAITING = "echo wai''ting; read x"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_a_node_without_processes_is_not_busy(kind: str) -> None:
    async with made(kind) as node:
        assert not await node.busy()
        await node.prepare()
        assert not await node.busy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_idle_shells_are_not_busy(kind: str) -> None:
    async with prepared(kind) as node:
        for _ in range(2):
            assert await ask(await node.open_shell(), "echo hello") == "hello"
            assert not await node.busy()


CALL = f'sh -c "{WAITING}" lava-wait'
"""What looks like a helper that waits for its answer."""

WAITED = {
    "a chain": f"sh -c '{CALL}; :'; :",
    "a subshell": f"sh -c '( ( {CALL}; : ); : ); :'",
    "bash that stops at errors": f"bash -e -c '({CALL}); :'",
    "a substitution": f"sh -c 'x=$({CALL} >&2)'",
    "one that can't be interrupted": f"sh -c 'trap \"\" INT; {WAITING}' lava-sync",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", WAITED.values(), ids=WAITED)
@pytest.mark.asyncio
async def test_what_a_shell_waits_for_does_not_make_a_node_busy(kind: str, command: str) -> None:
    async with prepared(kind) as node:
        console, idle = await node.open_shell(), await node.open_shell()
        console.send(f"{command}\n".encode())
        await said(console, "waiting")
        await becomes(node, busy=False)  # what came before it may just be ending
        await ask(idle, "sleep 300 & wo=$!")
        await becomes(node, busy=True)
        await ask(idle, "kill $wo; wait")
        await becomes(node, busy=False)


PROGRAM = '["sh", "-c", "read x", "lava-wait"]'
LOOP = "while :; do sleep 300 & wait $!; done"
BACKGROUND = {
    "of an idle shell": "sleep 300 &",
    "nohup": "nohup sleep 300 > /dev/null 2>&1 &",
    "a loop": f"( {LOOP} ) < /dev/null &",
    "a loop beside a call": f"sh -c '( {LOOP} ) < /dev/null & {CALL}; :'",
    "beside a call": f"sh -c 'sleep 300 & {CALL}; :'",
    "deep below a call": f"sh -c '( sh -c \"sleep 300 & {WAITING}\" lava-wait ); :'",
    "in the foreground": "sleep 300",
    "a script": "sh -c 'read x'",
    "a program": f"{PYTHON} -c 'import subprocess as s; s.run({PROGRAM})'",
    "a call beside work in the foreground": "sh -c 'sh -c \"read x\" lava-wait & sleep 300'",
    "stopped": f"sh -c 'sh -c \"kill -STOP \\$\\$\" & {WAITING}'",
    "of a script that has ended": "sh -c 'sleep 300 &'",
    "a daemon": "sh -c 'setsid sleep 300 &'",
    "a daemon of a daemon": "( setsid sh -c 'setsid sleep 300 & exit' & )",
    "a daemon beside a call": f"sh -c '( setsid sleep 300 & ); {CALL}; :'",
    "a pipeline": "sh -c 'sleep 300 | cat'",
    "a pipeline of the shell itself": "sleep 300 | cat",
    "of a shell that has ended": "trap '' HUP; sleep 300 & exit",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", BACKGROUND.values(), ids=BACKGROUND)
@pytest.mark.asyncio
async def test_work_in_the_background_makes_a_node_busy_until_it_is_released(
    kind: str, command: str
) -> None:
    async with prepared(kind) as node:
        console, _idle = await node.open_shell(), await node.open_shell()
        console.send(f"{command}\n".encode())
        if WAITING in command:  # before it says so it may be a call and nothing else yet
            await said(console, "waiting")
        await becomes(node, busy=True)
        assert await node.busy()
        await node.release()
        assert not await node.busy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_a_node_is_busy_until_its_last_daemon_has_ended(kind: str) -> None:
    async with prepared(kind) as node:
        console = await node.open_shell()
        start = "sh -c 'setsid sleep 300 > /dev/null 2>&1 & echo $!'"
        pids = [await ask(console, start), await ask(console, start)]
        assert await node.busy()
        await ask(console, f"kill {pids[0]}")
        assert await node.busy()
        await ask(console, f"kill {pids[1]}")
        await becomes(node, busy=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_a_process_that_has_ended_is_none_though_nobody_has_noticed(kind: str) -> None:
    async with prepared(kind) as node:
        console, other = await node.open_shell(), await node.open_shell()
        # It says its end as a prompt: it is another program then, which knows nothing of the
        # child, and between two commands it would see that a child has ended.
        helper = r'exec sh -c "read -p \"$! en\"\"d\" y" lava-wait'
        console.send(f"sh -c 'sh -c \"read x\" < /dev/tty & {helper}'\n".encode())
        pid = (await said(console, " end")).strip()
        await becomes(node, busy=True)
        await ask(other, f"kill -KILL {pid}")
        await becomes(node, busy=False)
        assert "zombie" in await ask(other, f"grep ^State: /proc/{pid}/status")
        assert not await node.busy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_a_process_lives_as_long_as_one_of_its_threads(kind: str) -> None:
    code = (
        "import ctypes, threading; "
        "threading.Thread(target=threading.Event().wait).start(); "
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    async with prepared(kind) as node:
        console = await node.open_shell()
        pid = await ask(console, f"{PYTHON} -c '{code}' & echo $!")
        ended = f"until grep -q '^State:.Z' /proc/{pid}/status; do :; done; echo ended"
        assert await ask(console, ended) == "ended"
        assert await node.busy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_a_name_that_is_no_text_does_no_harm(kind: str) -> None:
    async with prepared(kind) as node:
        console = await node.open_shell()
        name = "printf 'a\\303\\r\\nState:\\tZ' > /proc/$$/comm"
        console.send(f'sh -c "{name.replace("$", chr(92) + "$")}; {WAITING}" lava-wait\n'.encode())
        await said(console, "waiting")
        await becomes(node, busy=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_shells_that_have_ended_are_forgotten(kind: str) -> None:
    async with prepared(kind) as node:
        for _ in range(3):
            console = await node.open_shell()
            console.send(b"exit\n")
            while await console.receive():
                pass
        await becomes(node, busy=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_nothing_runs_on_a_node_that_was_killed(kind: str) -> None:
    async with prepared(kind) as node:
        await ask(await node.open_shell(), "sleep 300 &")
        await becomes(node, busy=True)
        node.kill()
        await becomes(node, busy=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_whoever_asks_while_a_node_is_made_or_released_gets_an_answer(kind: str) -> None:
    answers: list[bool | None] = []

    async def asks(node: Node) -> None:
        answers.append(await node.busy())

    async with made(kind) as node:
        with anyio.fail_after(20):
            for change in (node.prepare, node.release):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(asks, node)
                    tasks.start_soon(change)
                    for _ in range(5):
                        tasks.start_soon(asks, node)
                        await anyio.lowlevel.checkpoint()
    assert answers == [False] * 12


@pytest.mark.asyncio
async def test_an_answer_that_nobody_waits_for_any_more_is_nobody_elses() -> None:
    async with prepared("sandboxed") as node:
        for _ in range(3):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(node.busy)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        assert await ask(await node.open_shell(), "echo hello") == "hello"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(node.open_shell)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert not await node.busy()


def test_all_of_this_holds_for_an_ordinary_user(ordinary: Callboard, tmp_path: Path) -> None:
    if not ordinary.prefix:
        pytest.skip("needs root; the others have shown it")
    own = f"--basetemp={tmp_path}/own"
    options = ["-q", "-p", "no:cacheprovider", "-k", "not ordinary", own]
    ran = subprocess.run(
        [*ordinary.prefix, sys.executable, "-m", "pytest", *options, __file__],
        cwd=ROOT,
        env=ordinary.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout
