"""A NATS server for each module of tests, and a connection with a cluster of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import pytest_asyncio
from tests.cluster.server import Server

from callboard.cluster.access import Access
from callboard.cluster.connection import Cluster, connect
from callboard.cluster.errors import ClusterError
from callboard.cluster.founding import ensure

LEASE_S = 2.0
"""The lease of tests' clusters: the shortest in which a busy machine still refreshes in time."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module, which clean up after themselves or use other names."""
    with Server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may do with it what it likes."""
    with Server(tmp_path / "nats") as running:
        yield running


@pytest_asyncio.fixture
async def cluster(server: Server) -> AsyncIterator[Cluster]:
    """A connection to the module's server, with an empty cluster on it."""
    async with connect(Access(server.url), name="test", note=_quiet) as first:
        for stream in await first.js.streams_info():
            await first.js.delete_stream(str(stream.config.name))
        with anyio.fail_after(10):
            while not await _founded(first):
                await anyio.lowlevel.checkpoint()
    async with _kept(Access(server.url)) as connected:
        yield connected


async def _founded(cluster: Cluster) -> bool:
    """Whether all streams could be made; the files of one that was deleted may be there still."""
    try:
        await ensure(cluster.js, LEASE_S)
    except ClusterError as error:
        if "creating store" not in error.text:
            raise
        return False
    return True


@asynccontextmanager
async def _kept(access: Access) -> AsyncIterator[Cluster]:
    """A connection that is ended by another task than the one that has asked for it.

    pytest-asyncio runs the two halves of a fixture in two tasks.
    """
    connected: asyncio.Future[Cluster] = asyncio.get_running_loop().create_future()
    enough = asyncio.Event()

    async def hold() -> None:
        try:
            async with connect(access, name="test", note=_quiet) as cluster:
                connected.set_result(cluster)
                await enough.wait()
        except Exception as error:
            if connected.done():
                raise
            connected.set_exception(error)

    holding = asyncio.create_task(hold())
    try:
        yield await connected
    finally:
        enough.set()
        await holding


def _quiet(text: str) -> None:
    """Say nothing of the connection."""
