"""Tells the state of a coordinator over a Unix socket: once, or whenever it changes.

Who connects sends one line, `{"version": 1, "request": "state"}`, and gets lines of JSON, each
with its `kind`:

| kind | says |
| --- | --- |
| `coordinator` | the coordinator itself, as `CoordinatorState` |
| `group` | a group, as `GroupState`; it replaces what was said of it before |
| `clients` | more clients, as `ClientState`, of the group of this `name`, which had very many |
| `gone` | the group of this `name` has ended |
| `shown` | all that was to be told now has been told |
| `error` | why nothing is told, as `text` |

After the request `state` the connection is closed when all is shown; after `watch` the groups
follow that have changed, again up to a `shown`, until the client closes it.
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import evolve
from cattrs import Converter

from callboard.coordinator.errors import AddressError
from callboard.coordinator.overview import Overview
from callboard.coordinator.states import VERSION, GroupState

_ANOTHER = "give this one another socket: --socket PATH"
_LONGEST_PATH = 107
_LONGEST_REQUEST = 1_000
_ASKING_S = 10.0
_GAP_S = 0.1
_SHARE = 20
"""What is told takes at most one part in so many of the coordinator's time, a watcher."""
_IDLE_S = 2.0
_WATCHERS = 64
_CHUNK = 1 << 14
_CLIENTS = 500
"""How many clients are told of in one line: a line is made at once."""

_CONVERTER = Converter()


@asynccontextmanager
async def telling(overview: Overview, socket: Path | None) -> AsyncIterator[None]:
    """The time in which the state can be asked for; nothing if there is no socket.

    Only the same user may ask. The socket of a coordinator that was killed is replaced.

    Raises:
        AddressError: Another coordinator has the socket, or it can't be made.
    """
    if socket is None:
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(_owned(socket))
            listener = await anyio.create_unix_listener(socket, mode=0o600)
        except OSError as error:
            raise AddressError(f"{socket} can't be made: {error.strerror}", _ANOTHER) from error
        stack.callback(socket.unlink, missing_ok=True)
        slots = anyio.CapacityLimiter(_WATCHERS)
        failed: Exception | None = None
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, partial(_tell, overview, slots))
            try:
                yield
            except Exception as error:
                failed = error
            tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed


@contextmanager
def _owned(socket: Path) -> Iterator[None]:
    """The time in which no other coordinator may have that socket.

    Raises:
        AddressError: One has it, or there is something else.
        OSError: It can't be made there.
    """
    if len(os.fsencode(socket)) > _LONGEST_PATH:
        text = f"{socket} is too long for a socket's path: {_LONGEST_PATH} bytes are the most"
        raise AddressError(text, _ANOTHER)
    socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(socket.lstat().st_mode):
            raise AddressError(f"{socket} is there, and is no socket", _ANOTHER)
    # A lock tells the living from the dead for certain, and outlives neither.
    with socket.with_name(f"{socket.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AddressError(f"another coordinator has {socket}", _ANOTHER) from error
        yield


async def _tell(overview: Overview, slots: anyio.CapacityLimiter, stream: SocketStream) -> None:
    # Who asks and leaves early, or sends what is no request, concerns nobody else.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        async with stream:
            try:
                slots.acquire_nowait()
            except anyio.WouldBlock:
                await _send(stream, [_error(f"{_WATCHERS} others look already")])
                return
            try:
                await _answer(overview, stream)
            finally:
                slots.release()


async def _answer(overview: Overview, stream: SocketStream) -> None:
    request = await _request(stream)
    if isinstance(request, bytes):
        await _send(stream, [request])
        return
    with overview.watching() as changes:
        while True:
            began_s = time.monotonic()
            await _send(stream, _batch(overview, changes.take()))
            if request == "state":
                return
            await anyio.sleep(max(_GAP_S, _SHARE * (time.monotonic() - began_s)))
            with anyio.move_on_after(_IDLE_S):
                await changes.any()


async def _request(stream: SocketStream) -> str | bytes:
    """What is asked for; or the line that says why it can't be."""
    reader = BufferedByteReceiveStream(stream)
    try:
        with anyio.fail_after(_ASKING_S):
            line = await reader.receive_until(b"\n", _LONGEST_REQUEST)
        asked = json.loads(line)
        version, request = asked["version"], asked["request"]
    except (TimeoutError, anyio.EndOfStream, anyio.IncompleteRead, anyio.DelimiterNotFound):
        return _error("no request has come")
    except (ValueError, KeyError, TypeError, RecursionError):
        return _error('this is no request; one is {"version": 1, "request": "state"}')
    if version != VERSION:
        return _error(f"this coordinator speaks version {VERSION} of the protocol, not {version}")
    if request not in ("state", "watch"):
        return _error(f"there are the requests state and watch, not {request}")
    return str(request)


def _batch(overview: Overview, groups: Iterable[str]) -> Iterator[bytes]:
    yield _line("coordinator", _CONVERTER.unstructure(overview.state()))
    for name in groups:
        group = overview.group(name)
        if group is None:
            yield _line("gone", {"name": name})
        else:
            yield from _group(group)
    yield _line("shown", {})


def _group(group: GroupState) -> Iterator[bytes]:
    first, others = group.clients[:_CLIENTS], group.clients[_CLIENTS:]
    yield _line("group", _CONVERTER.unstructure(evolve(group, clients=first)))
    while others:
        clients = [_CONVERTER.unstructure(each) for each in others[:_CLIENTS]]
        yield _line("clients", {"name": group.name, "clients": clients})
        others = others[_CLIENTS:]


async def _send(stream: SocketStream, lines: Iterable[bytes]) -> None:
    """Send lines in pieces, between which others have their turn."""
    chunk = bytearray()
    for line in lines:
        chunk += line
        if len(chunk) >= _CHUNK:
            await stream.send(bytes(chunk))
            await anyio.lowlevel.checkpoint()
            chunk.clear()
    await stream.send(bytes(chunk))


def _error(text: str) -> bytes:
    return _line("error", {"text": text})


def _line(kind: str, content: dict[str, object]) -> bytes:
    document = {"version": VERSION, "kind": kind, **content}
    return json.dumps(document).encode() + b"\n"
