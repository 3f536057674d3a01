"""The state of a coordinator over its socket."""

import json
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from tests.coordinator.following import Followed, leave, send, sync, wait

from callboard.coordinator.errors import AddressError, NotRunning
from callboard.coordinator.inquiry import Picture, state, watch
from callboard.coordinator.status import telling

pytestmark = pytest.mark.asyncio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run/coordinator.sock"


@asynccontextmanager
async def told(groups: Followed, path: Path) -> AsyncIterator[None]:
    with anyio.fail_after(60):
        async with telling(groups.overview, path):
            yield


async def test_the_state_has_groups_clients_and_waits(path: Path) -> None:
    groups = Followed()
    groups.join("s101", "c102")
    groups.ask(sync("s101", "done"))
    groups.now_s += 5
    async with told(groups, path):
        picture = await state(path)
    assert list(picture.groups) == ["g"]
    group = picture.groups["g"]
    assert (group.size, group.age_s, group.seen_s) == (2, 5, 5)
    server, client = group.clients
    assert (server.name, server.role, server.host) == ("101", "server", "worker-1")
    assert (server.waits, client.waits) == ("lava-sync done", None)
    assert group.waits[0].missing == ("102",)
    assert picture.coordinator.pid == os.getpid()


async def next_with(pictures: AsyncIterator[Picture], *names: str) -> Picture:
    """The next picture that has these groups and no others."""
    async for picture in pictures:
        if list(picture.groups) == list(names):
            return picture
    raise AssertionError("it has ended")


async def test_whoever_watches_is_told_at_once(path: Path) -> None:
    groups = Followed()
    groups.join("s101", "c102")
    async with told(groups, path), aclosing(watch(path)) as pictures:
        await next_with(pictures, "g")
        groups.ask(wait("c102", "ready"))
        began_s = time.monotonic()
        async for picture in pictures:
            if picture.groups["g"].waits:
                break
        assert time.monotonic() - began_s < 1
        groups.join("s1", group="h", size=1)
        await next_with(pictures, "g", "h")
        groups.ask(leave("s1", "h"))
        picture = await next_with(pictures, "g")
        assert picture.now(picture.groups["g"]).waits[0].since_s >= 0


async def test_a_watch_ends_with_the_coordinator(path: Path) -> None:
    async with told(Followed(), path):
        pictures = watch(path)
        await anext(pictures)
    with pytest.raises(StopAsyncIteration):
        await anext(pictures)
    assert list(path.parent.glob("*.sock")) == []


async def test_the_socket_is_for_the_same_user_only(path: Path) -> None:
    async with told(Followed(), path):
        assert stat.S_IMODE((await anyio.Path(path).stat()).st_mode) == 0o600


async def test_no_socket_is_made_if_none_is_wanted(tmp_path: Path) -> None:
    async with telling(Followed().overview, None):
        assert [each async for each in anyio.Path(tmp_path).iterdir()] == []


HOLDER = """
import anyio, sys, time
from pathlib import Path
from tests.coordinator.following import Followed
from callboard.coordinator.status import telling
async def main():
    async with telling(Followed().overview, Path(sys.argv[1])):
        print(end="r", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_a_living_coordinator_keeps_its_socket_and_a_dead_one_does_not(path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", HOLDER, str(path)]
    async with await anyio.open_process(command, cwd=root, stderr=None) as holder:
        assert holder.stdout is not None
        assert await holder.stdout.receive() == b"r"
        with pytest.raises(AddressError, match="another coordinator has"):
            async with told(Followed(), path):
                pass
        assert (await state(path)).coordinator.pid == holder.pid
        holder.kill()
    assert await anyio.Path(path).is_socket()
    async with told(Followed(), path):
        assert (await state(path)).coordinator.pid == os.getpid()


async def test_what_is_no_socket_is_left_alone(path: Path) -> None:
    await anyio.Path(path.parent).mkdir()
    await anyio.Path(path).write_text("mine")
    with pytest.raises(AddressError, match="is there, and is no socket"):
        async with told(Followed(), path):
            pass
    assert await anyio.Path(path).read_text() == "mine"


async def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="107 bytes are the most"):
        async with told(Followed(), tmp_path / ("x" * 108)):
            pass


async def test_an_error_beside_it_comes_out_as_it_is(path: Path) -> None:
    with pytest.raises(AddressError, match="in use"):
        async with told(Followed(), path):
            raise AddressError("in use")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"hello\n", "this is no request"),
        (b'{"request": "state"}\n', "this is no request"),
        (b'{"version": 2, "request": "state"}\n', "speaks version 1 of the protocol, not 2"),
        (b'{"version": 1, "request": "stop"}\n', "there are the requests state and watch"),
        (b"x" * 2_000, "no request has come"),
        (b"[" * 999 + b"\n", "this is no request"),
        (b"\xff\xfe\n", "this is no request"),
    ],
)
async def test_who_asks_for_something_else_is_told_what_there_is(
    path: Path, line: bytes, text: str
) -> None:
    async with told(Followed(), path), await anyio.connect_unix(path) as stream:
        await stream.send(line)
        answer = json.loads(await stream.receive())
        assert (answer["version"], answer["kind"]) == (1, "error")
        assert text in answer["text"]


async def test_who_leaves_without_a_word_concerns_nobody(path: Path) -> None:
    async with told(Followed(), path):
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(path))
        await state(path)


async def test_who_watches_and_does_not_read_costs_bounded_memory(path: Path) -> None:
    groups = Followed()
    names = [f"c{number}" for number in range(100)]
    groups.join(*names)
    async with told(groups, path), await anyio.connect_unix(path) as stream:
        await stream.send(b'{"version": 1, "request": "watch"}\n')
        for _ in range(50):
            for name in names:
                groups.ask(send(name, "ready"))
            await anyio.lowlevel.checkpoint()
        picture = await state(path)
        assert len(picture.groups["g"].clients) == 100


async def test_to_tell_of_many_groups_keeps_nobody_waiting(path: Path) -> None:
    groups = Followed()
    for number in range(1_000):
        groups.join("s1", "c2", "c3", "c4", group=f"g{number}")
        groups.ask(wait("c2", "ready", f"g{number}"))
    longest_s = 0.0

    async def measure() -> None:
        nonlocal longest_s
        while True:
            began_s = time.monotonic()
            await anyio.lowlevel.checkpoint()
            longest_s = max(longest_s, time.monotonic() - began_s)

    async with told(groups, path), anyio.create_task_group() as tasks:
        tasks.start_soon(measure)
        command = [sys.executable, "-m", "callboard", "coordinator", "status", "--json"]
        ran = await anyio.run_process([*command, "--socket", str(path)])
        tasks.cancel_scope.cancel()
    assert len(json.loads(ran.stdout)["groups"]) == 1_000
    assert longest_s < 0.25  # all at once it would be twice as long, on a fast machine


async def test_all_clients_of_a_large_group_are_told_of(path: Path) -> None:
    groups = Followed()
    names = [f"c{number}" for number in range(1_201)]
    groups.join(*names)
    async with told(groups, path):
        picture = await state(path)
    assert [f"c{each.name}" for each in picture.groups["g"].clients] == names


async def test_it_says_when_nobody_is_there(path: Path) -> None:
    with pytest.raises(NotRunning, match="there is no"):
        await state(path)
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
    with pytest.raises(NotRunning, match="nobody listens at"):
        await state(path)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "can't be understood"),
        (b'{"version": 1, "kind": "coordinator"}\n', "can't be understood"),
        (b"[]\n", "can't be understood"),
        (b"", "does not answer"),
        (b'{"version": 9, "kind": "error", "text": "no such thing"}\n', "says: no such thing"),
    ],
)
async def test_it_says_when_something_else_is_there(path: Path, answer: bytes, text: str) -> None:
    path.parent.mkdir()

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    listener = await anyio.create_unix_listener(path)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        with pytest.raises(NotRunning, match=text):
            await state(path)
        tasks.cancel_scope.cancel()
