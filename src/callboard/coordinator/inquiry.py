"""Asks a coordinator for its state, over its Unix socket: once, or as it changes."""

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, evolve, field
from cattrs import Converter
from cattrs.errors import BaseValidationError

from callboard.coordinator.errors import NotRunning
from callboard.coordinator.states import VERSION, ClientState, CoordinatorState, GroupState

_ANSWER_S = 10.0
_LONGEST_LINE = 1 << 28

_CONVERTER = Converter()


@define
class Picture:
    """The state of a coordinator as far as it has been told.

    Attributes:
        coordinator: The coordinator itself.
        groups: Its groups by name, with the ages that they had when they were told.
    """

    coordinator: CoordinatorState
    groups: dict[str, GroupState] = field(factory=dict)
    _told_s: dict[str, float] = field(factory=dict)

    def put(self, group: GroupState) -> None:
        """A group is told anew."""
        self.groups[group.name] = group
        self._told_s[group.name] = time.monotonic()

    def extend(self, name: str, clients: tuple[ClientState, ...]) -> None:
        """More clients of a group are told of."""
        group = self.groups[name]
        self.groups[name] = evolve(group, clients=(*group.clients, *clients))

    def drop(self, name: str) -> None:
        """A group has ended."""
        self.groups.pop(name, None)
        self._told_s.pop(name, None)

    def now(self, group: GroupState) -> GroupState:
        """A group with the ages that it has by now."""
        by_s = time.monotonic() - self._told_s[group.name]
        clients = (evolve(each, seen_s=each.seen_s + by_s) for each in group.clients)
        waits = (evolve(each, since_s=each.since_s + by_s) for each in group.waits)
        return evolve(
            group,
            age_s=group.age_s + by_s,
            seen_s=group.seen_s + by_s,
            clients=tuple(clients),
            waits=tuple(waits),
        )


async def state(socket: Path) -> Picture:
    """The state of the coordinator that has that socket.

    Raises:
        NotRunning: No coordinator answers there, or none that can be understood.
    """
    async with aclosing(_pictures(socket, "state")) as pictures:
        async for picture in pictures:
            return picture
    raise _silent(socket)


async def watch(socket: Path) -> AsyncGenerator[Picture]:
    """The same picture again whenever something in it has changed, until the coordinator ends.

    Raises:
        NotRunning: No coordinator answers there, or none that can be understood.
    """
    async with aclosing(_pictures(socket, "watch")) as pictures:
        async for picture in pictures:
            yield picture


async def _pictures(socket: Path, request: str) -> AsyncGenerator[Picture]:
    picture: Picture | None = None
    async with await _connect(socket) as stream:
        reader = BufferedByteReceiveStream(stream)
        try:
            line = json.dumps({"version": VERSION, "request": request})
            await stream.send(f"{line}\n".encode())
            while True:
                with anyio.fail_after(_ANSWER_S):  # a coordinator that lives tells something
                    told = await _line(reader)
                if told is None:
                    return
                match told["kind"]:
                    case "coordinator":
                        coordinator = _CONVERTER.structure(told, CoordinatorState)
                        picture = picture or Picture(coordinator)
                        picture.coordinator = coordinator
                    case "group" if picture is not None:
                        picture.put(_CONVERTER.structure(told, GroupState))
                    case "clients" if picture is not None:
                        clients = _CONVERTER.structure(told["clients"], tuple[ClientState, ...])
                        picture.extend(told["name"], clients)
                    case "gone" if picture is not None:
                        picture.drop(told["name"])
                    case "shown" if picture is not None:
                        yield picture
                    case "error":
                        raise NotRunning(f"the coordinator at {socket} says: {told['text']}")
                    case _:  # a newer coordinator may tell more
                        pass
        except TimeoutError as error:
            raise _silent(socket) from error
        except (ValueError, KeyError, TypeError, BaseValidationError) as error:
            text = f"what answers at {socket} can't be understood"
            raise NotRunning(text, "it has to be of a version that this one knows") from error
        except anyio.BrokenResourceError:
            return


async def _connect(socket: Path) -> SocketStream:
    cure = "`callboard coordinator` runs one; --socket PATH names another's socket"
    try:
        return await anyio.connect_unix(socket)
    except FileNotFoundError as error:
        raise NotRunning(f"no coordinator is running: there is no {socket}", cure) from error
    except ConnectionRefusedError as error:
        text = f"no coordinator is running: nobody listens at {socket}"
        raise NotRunning(text, cure) from error
    except PermissionError as error:
        text = f"{socket} is another user's"
        raise NotRunning(text, "ask as the user that runs the coordinator, or as root") from error
    except OSError as error:
        raise NotRunning(f"{socket} can't be used: {error.strerror or error}", cure) from error


async def _line(reader: BufferedByteReceiveStream) -> dict[str, Any] | None:
    try:
        line = await reader.receive_until(b"\n", _LONGEST_LINE)
    except (anyio.EndOfStream, anyio.IncompleteRead):
        return None
    found = json.loads(line)
    if not isinstance(found, dict):
        raise TypeError(found)
    return found


def _silent(socket: Path) -> NotRunning:
    return NotRunning(f"the coordinator at {socket} does not answer", "see its log")
