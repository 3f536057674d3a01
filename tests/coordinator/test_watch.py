"""Connections that are looked after together."""

import asyncio
import socket
import struct
from collections.abc import Iterator

import anyio
import pytest

from callboard.coordinator.watch import Watch

pytestmark = pytest.mark.asyncio

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [socket.socketpair(), socket.socketpair()]
    yield made
    for pair in made:
        for each in pair:
            each.close()


def watch() -> Watch:
    return Watch(asyncio.get_running_loop(), lambda: False)


async def test_it_tells_of_what_comes_until_it_is_forgotten(pairs: list[Pair]) -> None:
    (ours, theirs), _ = pairs
    looking, heard, come = watch(), list[bytes](), anyio.Event()

    def hear() -> None:
        heard.append(ours.recv(16))
        come.set()

    looking.data(ours.fileno(), hear)
    theirs.send(b"one")
    await come.wait()
    looking.forget(ours.fileno())
    theirs.send(b"two")
    await anyio.wait_all_tasks_blocked()
    looking.close()
    assert heard == [b"one"]


async def test_a_reset_is_told_and_an_end_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as theirs:
            ours, _ = server.accept()
            looking, told = watch(), anyio.Event()
            looking.reset(ours.fileno(), told.set)
            theirs.shutdown(socket.SHUT_WR)
            await anyio.wait_all_tasks_blocked()
            assert not told.is_set()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await told.wait()
        looking.close()
        ours.close()


async def test_who_has_come_under_the_number_of_another_is_not_told_of_its_events(
    pairs: list[Pair],
) -> None:
    looking, wrongly, told = watch(), list[int](), anyio.Event()

    def replace(own: socket.socket, other: socket.socket) -> None:
        own.recv(16)
        other.recv(16)
        looking.forget(other.fileno())
        looking.data(other.fileno(), lambda: wrongly.append(other.fileno()))
        told.set()

    (first, _), (second, _) = pairs
    looking.data(first.fileno(), lambda: replace(first, second))
    looking.data(second.fileno(), lambda: replace(second, first))
    for _, theirs in pairs:
        theirs.send(b"both at once")
    await told.wait()
    await anyio.wait_all_tasks_blocked()
    looking.close()
    assert wrongly == []
